"""Where MiniMax tells of an error: beside the choices, with status 200, in numbers of its own."""

from collections.abc import Mapping

from ...core.errors import ProviderError
from ...schema.base import JsonObject
from .._shared.errors import UpstreamErrors
from .._shared.json import count, fields

_STATUSES: Mapping[int, int] = {1002: 429, 1004: 401, 1008: 402, 1026: 400, 1027: 400}
"""https://platform.minimax.io/docs/api-reference/errorcode, 2026-11. After all others, one may try again."""


class ChatErrors(UpstreamErrors):
    def of_object(self, value: JsonObject) -> ProviderError | None:
        if "base_resp" in value:
            told = fields(value["base_resp"])
            if code := count(told.get("status_code")):
                value = {"error": {"message": told.get("status_msg"), "code": _STATUSES.get(code, 503)}}
        return super().of_object(value)
