"""Habits of Chat Completions that would change the answer if they were ignored: each is told what it is called here.

OpenAI's own Responses API refuses these parameters too, so a client that works there sends none of them.
"""

from collections.abc import Iterator

from pydantic import JsonValue

from ..core.errors import RequestError

MOVED = {
    "messages": "input",
    "functions": "tools",
    "function_call": "tool_choice",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
}
PARTS = {
    "image_url": '{"type": "input_image", "image_url": "https://..."}',
    "file": '{"type": "input_file", "filename": "...", "file_data": "..."}',
}
_FUNCTION = '{"type": "function", "name": "..."}'
_Object = dict[str, JsonValue]


def refuse_habits(body: _Object) -> None:
    """Raises RequestError for the first. A null, or an empty list, is as good as absent."""
    for name, here in MOVED.items():
        if body.get(name):
            raise _refused(name, f"is called {here!r} here")
    if body.get("stop"):
        raise _refused("stop", "is not supported by this server")
    if body.get("n") not in (None, 1):
        raise _refused("n", "is not supported by this server: a request makes one response")
    _refuse_nested(body)
    for path, item in _objects(body.get("input"), "input"):
        _refuse_message(path, item)


def _refuse_nested(body: _Object) -> None:
    for path, tool in [*_objects(body.get("tools"), "tools"), ("tool_choice", _fields(body.get("tool_choice")))]:
        if tool.get("type") == "function" and "name" not in tool and isinstance(tool.get("function"), dict):
            raise _refused(f"{path}.function", f"is not nested here: {_FUNCTION}, and the other fields beside them")
    form = _fields(_fields(body.get("text")).get("format"))
    if form.get("type") == "json_schema" and "schema" not in form and isinstance(form.get("json_schema"), dict):
        raise _refused(
            "text.format.json_schema", 'is not nested here: {"type": "json_schema", "name": "...", "schema": {...}}'
        )


def _refuse_message(path: str, item: _Object) -> None:
    if item.get("type") not in (None, "message"):
        return
    if (role := item.get("role")) in ("tool", "function"):
        answer = '{"type": "function_call_output", "call_id": "...", "output": "..."}'
        raise _refused(f"{path}.role", f"is {role!r}: what a tool answered is an item of its own here: {answer}")
    for name in ("tool_calls", "function_call"):
        if item.get(name):
            call = '{"type": "function_call", "call_id": "...", "name": "...", "arguments": "..."}'
            raise _refused(f"{path}.{name}", f"is not part of a message here: each call is an item: {call}")
    for place, part in _objects(item.get("content"), f"{path}.content"):
        kind = part.get("type")
        if isinstance(kind, str) and kind in PARTS:
            raise _refused(f"{place}.type", f"is {kind!r}: here the part is {PARTS[kind]}")


def _refused(path: str, why: str) -> RequestError:
    return RequestError(f"{path!r} {why}", param=path, code="unsupported_parameter")


def _fields(value: JsonValue) -> _Object:
    return value if isinstance(value, dict) else {}


def _objects(value: JsonValue, path: str) -> Iterator[tuple[str, _Object]]:
    """The objects of a list, each after its path."""
    for index, each in enumerate(value if isinstance(value, list) else ()):
        if isinstance(each, dict):
            yield f"{path}[{index}]", each
