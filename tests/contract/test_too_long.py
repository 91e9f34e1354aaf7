"""The words by which vendors say that an input is too long: all mean one error, with the numbers that they tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openresponses.core.errors import InputTooLong, ProviderRejected, ProviderThrottled
from openresponses.dialects._shared.errors import MAX_READ, TooLong, UpstreamErrors
from openresponses.dialects.anthropic.errors import ERRORS as ANTHROPIC
from openresponses.dialects.bedrock.errors import ERRORS as BEDROCK
from openresponses.dialects.chat_completions.errors import ERRORS as CHAT
from openresponses.dialects.gemini.errors import ERRORS as GEMINI
from openresponses.dialects.openai_responses.errors import ERRORS as RESPONSES

CLAUDE = "prompt is too long: 208310 tokens > 200000 maximum"
CLAUDE_WITH_ANSWER = (
    "input length and `max_tokens` exceed context limit: 189136 + 20000 > 204648, decrease input length or "
    "`max_tokens` and try again"
)
OPENAI = "Your input exceeds the context window of this model. Please adjust your input and try again."
VLLM = (
    "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the "
    "messages, 10000 in the completion). Please reduce the length of the messages or completion."
)
CHATS: dict[str, tuple[str, tuple[int, int]]] = {
    # https://github.com/chathub-dev/chathub/issues/126
    "OpenAI": (
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 4294 tokens. Please "
        "reduce the length of the messages.",
        (4294, 4097),
    ),
    # https://github.com/DrShushen/climb/issues/13
    "OpenAI, more than a minute's": (
        "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 30601. The "
        "input or output tokens must be reduced in order to run successfully.",
        (30601, 30000),
    ),
    # https://github.com/vllm-project/vllm/issues/20409
    "vLLM": (VLLM, (112946, 6384)),
    # https://github.com/vllm-project/vllm/pull/33425
    "vLLM, later": (
        "This model's maximum context length is 2048 tokens. However, your request has 8 input tokens plus 2045 "
        "'max_tokens'. Please reduce one or the other.",
        (0, 0),
    ),
    # https://github.com/xorbitsai/inference/issues/3785, https://github.com/vllm-project/vllm/issues/12165
    "vLLM's engine": (
        "The decoder prompt (length 21535) is longer than the maximum model length of 16384",
        (21535, 16384),
    ),
    "vLLM's engine, earlier": (
        "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
        (25938, 4096),
    ),
    # https://github.com/refly-ai/refly/issues/1177
    "OpenRouter": (
        "This endpoint's maximum context length is 32768 tokens. However, you requested about 42832 tokens (42832 of "
        "text input). Please reduce the length of either one.",
        (42832, 32768),
    ),
    # https://github.com/evalstate/fast-agent/issues/621
    "DeepSeek": (
        "This model's maximum context length is 131072 tokens. However, you requested 131134 tokens (122942 in the "
        "messages, 8192 in the completion). Please reduce the length of the messages or completion.",
        (122942, 122880),
    ),
    # https://github.com/OpenHands/OpenHands/issues/1902
    "Groq": ("Please reduce the length of the messages or completion.", (0, 0)),
    # https://github.com/continuedev/continue/issues/10218
    "Groq, more than a minute's": (
        "Request too large for model `llama-3.3-70b-versatile` in organization `org_x` service tier `on_demand` on "
        "tokens per minute (TPM): Limit 12000, Requested 14137, please reduce your message size and try again.",
        (14137, 12000),
    ),
    # https://portkey.ai/error-library/context-length-exceeded-error-13710000
    "Mistral": ("Prompt contains 66385 tokens, too large for model with 32768 maximum context length", (66385, 32768)),
    # https://github.com/cline/cline/issues/3120
    "xAI": ("This model's maximum prompt length is 131072 but the request contains 136973 tokens.", (136973, 131072)),
    # https://github.com/MoonshotAI/kimi-cli/issues/2011
    "Moonshot": (
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 269030)",
        (269030, 262144),
    ),
    # https://github.com/QwenLM/qwen-code/issues/98
    "Qwen": ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 204800]", (0, 0)),
    # https://github.com/ggml-org/llama.cpp/pull/15780
    "llama.cpp": ("the request exceeds the available context size. try increasing the context size", (0, 0)),
    "llama.cpp, later": (
        "request (9412 tokens) exceeds the available context size (8192 tokens), try increasing it",
        (9412, 8192),
    ),
    # https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546
    "LM Studio": (
        "Trying to keep the first 111490 tokens when context the overflows. However, the model is loaded with context "
        "length of only 32768 tokens, which is not enough.",
        (111490, 32768),
    ),
    # https://github.com/sgl-project/sglang/issues/4048
    "SGLang": ("Input length (160062 tokens) exceeds the maximum allowed length (59862 tokens).", (160062, 59862)),
    # https://github.com/huggingface/llm-vscode/issues/94
    "TGI": (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3474 `inputs` tokens and "
        "60 `max_new_tokens`",
        (3474, 2048),
    ),
    # https://github.com/badlogic/pi-mono/blob/main/packages/ai/src/utils/overflow.ts
    "MiniMax": ("invalid params, context window exceeds limit", (0, 0)),
    "Ollama": ("prompt too long; exceeded max context length by 100918 tokens", (0, 0)),
    "Together": (
        "The input (516368 tokens) is longer than the model's context length (262144 tokens).",
        (516368, 262144),
    ),
    "Z.ai": ("Prompt exceeds max length", (0, 0)),
    "Claude behind a router": (CLAUDE, (208310, 200000)),
}  # fmt: skip


def body(message: str, **fields: Any) -> bytes:
    return json.dumps({"error": {"message": message, **fields}}).encode()


OTHERS: dict[str, tuple[UpstreamErrors, int, bytes, tuple[int, int]]] = {
    # https://github.com/anthropics/claude-code/issues/12186 and 408
    "Claude": (ANTHROPIC, 400, body(CLAUDE, type="invalid_request_error"), (208310, 200000)),
    "Claude, with its answer": (ANTHROPIC, 400, body(CLAUDE_WITH_ANSWER), (189136, 184648)),
    # https://platform.claude.com/docs/en/api/errors
    "Claude, too many bytes": (
        ANTHROPIC,
        413,
        body("Request exceeds the maximum size", type="request_too_large"),
        (0, 0),
    ),
    "vLLM on Anthropic's wire": (ANTHROPIC, 400, body(VLLM), (112946, 6384)),
    # https://github.com/google-gemini/gemini-cli/issues/6678
    "Gemini": (
        GEMINI,
        400,
        body("The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).", code=400),
        (1200293, 1048576),
    ),
    "Gemini, without its count": (
        GEMINI,
        400,
        body("The input token count exceeds the maximum number of tokens allowed 1048576."),
        (0, 0),
    ),
    "Vertex": (
        GEMINI,
        400,
        body("Unable to submit request because the input token count is 32825 but model only supports up to 32768."),
        (32825, 32768),
    ),
    "Gemini, too many bytes": (GEMINI, 400, body("Request payload size exceeds the limit: 20971520 bytes."), (0, 0)),
    # https://github.com/dyad-sh/dyad/issues/1672
    "OpenAI's Responses": (RESPONSES, 400, body(OPENAI, code="context_length_exceeded", param="input"), (0, 0)),
    "a server with no words (Cerebras)": (CHAT, 413, b"", (0, 0)),
}
AWS: dict[str, tuple[str, tuple[int, int]]] = {
    # https://github.com/aws-samples/bedrock-chat/issues/95, https://github.com/daisuke-awaji/moca/issues/254
    "Bedrock": ("Input is too long for requested model.", (0, 0)),
    "Claude on Bedrock": (f"The model returned the following errors: {CLAUDE}", (208310, 200000)),
    "Claude on Bedrock, with its answer": (
        "input length and `max_tokens` exceed context limit: 142422 + 64000 > 204658",
        (142422, 140658),
    ),
    "Nova": ("Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input.", (0, 0)),
    "Llama": ("This model's maximum context length is 131072 tokens. Please reduce the length of the prompt", (0, 0)),
}


def check(error: object, numbers: tuple[int, int]) -> None:
    assert isinstance(error, InputTooLong)
    assert (error.tokens, error.most) == numbers
    assert (error.status, error.code, error.param) == (400, "context_length_exceeded", "input")
    assert error.message.startswith("The input is too long for the model")
    if numbers[0]:
        assert f"it has {numbers[0]:,} tokens, and {numbers[1]:,} fit" in error.message
        assert "org" not in error.message, "the vendor's words may name our account"


@pytest.mark.parametrize(("message", "numbers"), CHATS.values(), ids=CHATS)
@pytest.mark.parametrize("status", [400, 413, 429, 500])
def test_a_chat_s_refusal_before_its_stream(message: str, numbers: tuple[int, int], status: int) -> None:
    check(CHAT.of_reply(status, body(message), {}), numbers)


@pytest.mark.parametrize(("message", "numbers"), CHATS.values(), ids=CHATS)
def test_a_chat_s_refusal_in_its_stream(message: str, numbers: tuple[int, int]) -> None:
    check(CHAT.of_object({"error": {"message": message, "code": 400}}), numbers)
    check(CHAT.of_object({"object": "error", "message": message, "code": 400}), numbers)


@pytest.mark.parametrize(("errors", "status", "said", "numbers"), OTHERS.values(), ids=OTHERS)
def test_another_wire_s_refusal(errors: UpstreamErrors, status: int, said: bytes, numbers: tuple[int, int]) -> None:
    check(errors.of_reply(status, said, {}), numbers)


@pytest.mark.parametrize(("message", "numbers"), AWS.values(), ids=AWS)
def test_bedrock_s_refusal_in_all_its_places(message: str, numbers: tuple[int, int]) -> None:
    named = {"x-amzn-errortype": "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    check(BEDROCK.of_reply(400, json.dumps({"message": message}).encode(), named), numbers)
    check(BEDROCK.of_object({"validationException": {"message": message}}), numbers)


@pytest.mark.parametrize("kind", ["error", "response.failed"])
def test_openai_s_refusal_in_its_stream(kind: str) -> None:
    error = {"type": "invalid_request_error", "code": "context_length_exceeded", "message": OPENAI, "param": "input"}
    told = {"type": kind, "error": error} if kind == "error" else {"type": kind, "response": {"error": error}}
    check(RESPONSES.of_object(told), (0, 0))


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29937", 429, ProviderThrottled),
        ("Too many tokens, please wait before trying again.", 429, ProviderThrottled),
        ("max_tokens is too large: 200000. This model supports at most 16384 completion tokens", 400, ProviderRejected),
        ("Invalid 'tools[0].name': string too long. Expected a string with maximum length 64", 400, ProviderRejected),
    ],
)  # fmt: skip
def test_other_limits_are_not_mistaken_for_it(message: str, status: int, kind: type[Exception]) -> None:
    for errors in (ANTHROPIC, CHAT, GEMINI, RESPONSES):
        assert type(errors.of_reply(status, body(message), {})) is kind


def test_what_a_prompt_quotes_is_not_searched_for_long() -> None:
    long = "maximum context length is 1 tokens" + "x" * 1_000_000
    check(CHAT.of_reply(400, body(long), {}), (0, 0))
    assert type(CHAT.of_reply(400, body("x" * MAX_READ + CLAUDE), {})) is ProviderRejected


@pytest.mark.parametrize("errors", [ANTHROPIC, BEDROCK, CHAT, GEMINI, RESPONSES])
def test_every_row_has_a_source(errors: UpstreamErrors) -> None:
    assert all(isinstance(row, TooLong) and row.source.address and row.source.date for row in errors.too_long)
