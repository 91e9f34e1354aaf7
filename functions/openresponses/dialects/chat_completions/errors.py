"""What errors mean, beyond their statuses. MiniMax tells of them beside the choices, with status 200, in numbers of its
own.
"""

from collections.abc import Mapping

from ...core.errors import ProviderError
from ...schema.base import JsonObject
from .._shared.errors import OUT_OF_QUOTA, TooLong, UpstreamErrors
from .._shared.facts import UNSOURCED, Source
from .._shared.json import count, fields
from .._shared.windows import TOO_LONG

_READ = "2026-11"
_TOO_LONG = (
    TooLong(
        r"reduce the length of the messages or completion",
        Source("https://github.com/OpenHands/OpenHands/issues/1902", _READ),
    ),
    TooLong(  # Mistral
        r"contains (?P<tokens>\d+) tokens.{0,40} too large for model with (?P<most>\d+) maximum context length",
        Source("https://portkey.ai/error-library/context-length-exceeded-error-13710000", _READ),
    ),
    TooLong(  # Qwen
        r"range of input length should be", Source("https://github.com/QwenLM/qwen-code/issues/98", _READ)
    ),
    TooLong(  # TGI
        r"`inputs` tokens \+ `max_new_tokens` must be <= (?P<most>\d+)\. Given: (?P<tokens>\d+) `inputs`",
        Source("https://github.com/huggingface/llm-vscode/issues/94", _READ),
    ),
    TooLong(  # Together
        r"input \((?P<tokens>\d+) tokens\) is longer than the model's context length \((?P<most>\d+) tokens\)",
        UNSOURCED,
    ),
)

_STATUSES: Mapping[int, int] = {1002: 429, 1004: 401, 1008: 402, 1026: 400, 1027: 400}
"""https://platform.minimax.io/docs/api-reference/errorcode, 2026-11. After all others, one may try again."""


class ChatErrors(UpstreamErrors):
    def of_object(self, value: JsonObject) -> ProviderError | None:
        if "base_resp" in value:
            told = fields(value["base_resp"])
            if code := count(told.get("status_code")):
                value = {"error": {"message": told.get("status_msg"), "code": _STATUSES.get(code, 503)}}
        return super().of_object(value)


ERRORS = ChatErrors(meanings={**OUT_OF_QUOTA, "tool_use_failed": 503}, too_long=(*TOO_LONG, *_TOO_LONG))
"""`tool_use_failed` is Groq's: the model wrote a call that doesn't parse, so a retry may help. It comes with a 400."""
