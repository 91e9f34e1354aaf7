"""What the errors of the Messages API mean, beyond their statuses.

Source: "Errors" at platform.claude.com/docs.
"""

from .._shared.errors import TooLong, UpstreamErrors
from .._shared.facts import Source
from .._shared.windows import TOO_LONG

_TOO_LONG = (TooLong(r"request_too_large", Source("https://platform.claude.com/docs/en/api/errors", "2026-11")),)
ERRORS = UpstreamErrors(
    meanings={"Your credit balance is too low": 402, "You have reached your specified": 402},
    too_long=(*_TOO_LONG, *TOO_LONG),
)
"""Both meanings come with a 400, as if the request were wrong; the latter goes on: "API usage limits"."""
