"""What the errors of the Gemini API and of Vertex AI mean, beyond their statuses."""

from .._shared.errors import TooLong, UpstreamErrors
from .._shared.facts import UNSOURCED, Source

_READ = "2026-11"
_TOO_LONG = (
    TooLong(
        r"input token count (?:\((?P<tokens>\d+)\) )?exceeds the maximum number of tokens allowed \(?(?P<most>\d+)",
        Source("https://github.com/google-gemini/gemini-cli/issues/6678", _READ),
    ),
    TooLong(r"input token count is (?P<tokens>\d+) but model only supports up to (?P<most>\d+)", UNSOURCED),
    TooLong(r"request payload size exceeds the limit", UNSOURCED),
)
ERRORS = UpstreamErrors(meanings={"API_KEY_INVALID": 401}, too_long=_TOO_LONG)
"""A wrong key comes with a 400 that has this reason."""
