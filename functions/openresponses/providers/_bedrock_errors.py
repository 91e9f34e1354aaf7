"""What Bedrock's errors mean: those of a reply, named in a header, and those inside of a stream.

Sources: the user guide of Amazon Bedrock, "Troubleshooting API error codes"; the API reference, `ConverseStream`,
and "Common errors" for those of signatures.
"""

from collections.abc import Callable, Mapping, Sequence

from ..core.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimeout,
    ProviderUnavailable,
)
from ..schema.base import JsonObject
from ._json import fields, loads, text
from ._upstream_errors import clean, from_status, retry_after

_CREDENTIALS = {
    "accessdeniedexception",
    "expiredtokenexception",
    "incompletesignatureexception",
    "invalidclienttokenid",
    "invalidsignatureexception",
    "missingauthenticationtokenexception",
    "optinrequired",
    "signaturedoesnotmatch",
    "unrecognizedclientexception",
}
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


def from_reply(status: int, body: bytes, headers: Mapping[str, str], secrets: Sequence[str] = ()) -> ProviderError:
    """Of a reply that is no success. `headers` has lower-case names."""
    name = headers.get("x-amzn-errortype", "").partition(":")[0] or _name_in(body)
    error = _known(name)
    if isinstance(error, ProviderThrottled):
        error.retry_after = retry_after(headers)
    return error or from_status(status, body, headers, secrets)


def from_event(name: str, value: JsonObject, secrets: Sequence[str] = ()) -> ProviderError:
    """Of an exception, or an unmodeled error, in a stream. An unknown one counts as the provider's own."""
    if name.lower() == "validationexception":
        detail = clean(text(value.get("message")), secrets) or "it gave no reason"
        return ProviderRejected(f"The provider refused the request (in its stream): {detail}")
    return _known(name) or ProviderUnavailable("The provider failed (in its stream)")


def _known(name: str) -> ProviderError | None:
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
