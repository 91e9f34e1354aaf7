"""What a request gives for an MCP server to trust it. Whatever the server says, none of it comes back."""

import hashlib
import json
import re
from collections.abc import Mapping
from math import isfinite
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import JsonValue

from ...core.surrogates import whole
from ...schema.base import JsonObject

REDACTED = "[redacted]"
_SHORTEST = 8
"""Characters of a secret. What is shorter is no secret, and stands in other words."""
_SHORTEST_STEP = 16
"""Characters of a secret in a path."""
MAX_DEPTH = 64
"""How deeply what a server says may be nested: it is nested in values of ours."""
_NAME, _VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t -~]*")
_OURS = re.compile(
    r"accept(-encoding)?|connection|content-(encoding|length|type)|expect|host|keep-alive|last-event-id|mcp-.*|te|trailer"
    r"|transfer-encoding|upgrade"
)
"""Headers that say where a request goes or ends, and those by which the protocol says something."""


class McpCredentials:
    """The headers of every request to the server at `url`. Their names are in lower case."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.url, self.headers = url, {name.lower(): value for name, value in headers.items()}
        self._secrets = sorted(self._found(), key=len, reverse=True)

    def digest(self) -> str:
        """Stands for them where they must not be kept."""
        return hashlib.sha256(json.dumps([self.url, sorted(self.headers.items())]).encode()).hexdigest()

    def without(self, text: str) -> str:
        """`text` without a secret, and without half of a surrogate pair."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return whole(text)

    def cleaned(self, value: JsonValue, levels: int = MAX_DEPTH) -> JsonValue:
        """The same of a value of JSON. A number that JSON doesn't have becomes null. Raises ValueError for one that is
        nested too deeply.
        """
        if levels < 0:
            raise ValueError("nested too deeply")
        match value:
            case str():
                return self.without(value)
            case float() if not isfinite(value):
                return None
            case list():
                return [self.cleaned(each, levels - 1) for each in value]
            case dict():
                return {self.without(name): self.cleaned(each, levels - 1) for name, each in value.items()}
            case _:
                return value

    def cleaned_object(self, value: JsonObject) -> JsonObject:
        """Raises ValueError, as `cleaned` does."""
        return cast("JsonObject", self.cleaned(value))

    def _found(self) -> set[str]:
        """What may be secret: values, whole and without their scheme, and long steps of the URL's path."""
        url = urlsplit(self.url)
        said = [*self.headers.values(), *(value for _, value in parse_qsl(url.query))]
        said += [value.partition(" ")[2] for value in said]
        steps = [step for step in (*url.path.split("/"), *unquote(url.path).split("/")) if len(step) >= _SHORTEST_STEP]
        return {secret for secret in (*(value.strip() for value in said), *steps) if len(secret) >= _SHORTEST}


def given(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    """The headers that a request's `headers` and `authorization`, an OAuth access token, ask for.

    Raises ValueError, which names the field and no value, for a header that a client may not give.
    """
    found = {name.lower(): value.strip() for name, value in (headers or {}).items()}
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError("headers: one has a name that HTTP can't carry")
        if _OURS.fullmatch(name):
            raise ValueError(f"headers: {name} is the server's own to set")
    if authorization is not None:
        found["authorization"] = f"Bearer {authorization.removeprefix('Bearer ').strip()}"
    for name, value in found.items():
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"{'headers' if headers else 'authorization'}: {name} has a character that HTTP can't carry"
            )
    return found
