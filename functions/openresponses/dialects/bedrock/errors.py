"""What Bedrock's exceptions mean, by their names.

Source: the API reference of Amazon Bedrock, `ConverseStream` and "Common Errors".
"""

from collections.abc import Callable, Mapping

from ...core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from ...schema.base import JsonObject
from .._shared.errors import TooLong, UpstreamErrors, retry_after
from .._shared.facts import UNSOURCED, Source
from .._shared.json import fields, loads, text
from .._shared.windows import TOO_LONG

_STRANDS = "https://github.com/strands-agents/sdk-python/blob/main/src/strands/models/bedrock.py"
_TOO_LONG = (
    TooLong(r"input is too long for requested model|too many total text bytes", Source(_STRANDS, "2026-11")),
    TooLong(r"number of input tokens exceeds maximum length", UNSOURCED),  # Nova
)
_CREDENTIALS = (
    *("accessdeniedexception", "expiredtokenexception", "unrecognizedclientexception", "optinrequired"),
    *("invalidclienttokenid", "invalidsignatureexception", "incompletesignatureexception", "signaturedoesnotmatch"),
    "missingauthenticationtokenexception",
)
_KINDS: dict[str, Callable[[], ProviderError]] = {
    "modelerrorexception": lambda: ProviderUnavailable("The model failed"),
    "modelnotreadyexception": lambda: ProviderUnavailable("The model is not ready yet"),
    "modelstreamerrorexception": lambda: ProviderUnavailable("The model's stream failed"),
    "modeltimeoutexception": lambda: ProviderTimeout("The model did not answer in time"),
    "internalserverexception": lambda: ProviderUnavailable("The provider failed"),
    "serviceunavailableexception": lambda: ProviderUnavailable("The provider is not available"),
    "throttlingexception": lambda: ProviderThrottled("The provider limits our rate"),
    "servicequotaexceededexception": lambda: ProviderMisconfigured("Our account with the provider is out of quota"),
}


class BedrockErrors(UpstreamErrors):
    """An exception is named in a header, in the body, or by its event."""

    def of_reply(self, status: int, body: bytes, headers: Mapping[str, str]) -> ProviderError:
        error = _named(headers.get("x-amzn-errortype", "").partition(":")[0] or _name_in(body))
        if isinstance(error, ProviderThrottled):
            error.retry_after = retry_after(headers)
        return error or super().of_reply(status, body, headers)

    def of_object(self, value: JsonObject) -> ProviderError | None:
        """An exception that is unknown, or an unmodeled error, counts as the provider's own."""
        for name, exception in value.items():
            if name == "validationException":
                return self.rejected(text(fields(exception).get("message")))
            if name == "error" or name.endswith("Exception"):
                return _named(name) or ProviderUnavailable("The provider failed (in its stream)")
        return None


def _named(name: str) -> ProviderError | None:
    name = name.lower()
    if name in _CREDENTIALS:
        return ProviderMisconfigured("The provider refused our credentials, or they may not use this model")
    make = _KINDS.get(name)
    return make() if make else None


def _name_in(body: bytes) -> str:
    try:
        value = fields(loads(body))
    except ValueError:
        return ""
    return text(value.get("__type")).rpartition("#")[2]


ERRORS = BedrockErrors(too_long=(*_TOO_LONG, *TOO_LONG))
