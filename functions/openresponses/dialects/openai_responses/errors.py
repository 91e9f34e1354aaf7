"""Where a Responses stream tells of an error, and what errors mean, beyond their statuses."""

from ...core.errors import ProviderError, ProviderUnavailable
from ...schema.base import JsonObject
from .._shared.errors import OUT_OF_QUOTA, UpstreamErrors
from .._shared.json import fields
from .._shared.windows import TOO_LONG

_FLAT = ("code", "message", "status", "status_code")


class ResponsesErrors(UpstreamErrors):
    def of_object(self, value: JsonObject) -> ProviderError | None:
        """`error` comes with an error object, or (OpenAI) is one itself; `response.failed` has it in the response."""
        response = fields(value.get("response"))
        failed = value.get("type") in ("error", "response.failed") or response.get("status") in ("failed", "cancelled")
        if not failed:
            return super().of_object(value)
        error = value.get("error") or response.get("error") or {name: value.get(name) for name in _FLAT}
        return super().of_object({"error": error}) or ProviderUnavailable("The provider gave up on its answer")


ERRORS = ResponsesErrors(meanings=OUT_OF_QUOTA, too_long=TOO_LONG)
