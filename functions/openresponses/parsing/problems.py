"""What is wrong with a request, in its client's words: which field, what is allowed there, and what was found.

pydantic's words and places name what no client sees: members of unions, patterns, classes.
"""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import BaseModel, JsonValue, ValidationError

from ..core.errors import RequestError
from ..schema.base import HOSTED_TYPE, TOOL_NAME
from ..schema.tools import SERVER_LABEL

ALLOWED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "finite_number": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
    "literal_error": "{expected}",
    "union_tag_invalid": "one of {expected_tags}",
}
"""What may stand in a field, by the kind of pydantic's error."""
FORMS = {
    TOOL_NAME: "made of letters, digits, _, . and -",
    SERVER_LABEL: "a letter, and then letters, digits, _ and -",
    HOSTED_TYPE: "serverless: and a name of letters, digits, _ and -",
}
"""What a string must be, by its pattern."""
_LENGTHS = {
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
}
_UNKNOWN_TYPES = ("unknown_item_type", "unknown_tool_type", "union_tag_invalid", "union_tag_not_found")
_TYPES = ("string_type", "list_type", "dict_type", "model_type", "model_attributes_type")
_QUOTED = 40
"""Characters of a string that a message shows. A longer one may be a prompt or a secret."""
_Detail = dict[str, Any]


def problem(error: ValidationError, kind: type[BaseModel]) -> RequestError:
    """The error that a client gets where `kind` could not be read.

    A union reports an error for each of its members: the one that got furthest says what is wrong. Where several got
    equally far, it is the one whose type is right; if none is, any of what they want is allowed.
    """
    found = cast("list[_Detail]", error.errors(include_url=False))
    details = [(_steps(each["loc"], kind), each) for each in found]
    steps, detail = max(details, key=lambda each: (len(each[0]), each[1]["type"] not in _TYPES))
    same = [each for others, each in details if others == steps and each["type"] in _TYPES]
    path = written(steps)
    if detail["type"] in _UNKNOWN_TYPES and isinstance(detail["input"], dict):
        path += ".type"
        if "type" not in detail["input"]:
            return _missing(path)
    if detail["type"] == "missing":
        return _missing(path)
    return RequestError(_sentence(path, detail, same), param=path or None)


def _missing(path: str) -> RequestError:
    return RequestError(f"{path!r} is missing", param=path, code="missing_required_parameter")


def _sentence(path: str, detail: _Detail, same: Sequence[_Detail]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    subject = f"A name in {path!r}" if detail["loc"][-1:] == ("[key]",) else repr(path)
    if kind in _LENGTHS:
        if context.get("min_length") == 1:
            return f"{subject} must not be empty"
        return f"{subject} must have {_LENGTHS[kind].format(**context)}; it has {len(value)}"
    if kind in _UNKNOWN_TYPES and path.endswith(".type"):
        value = value["type"]
        allowed = ALLOWED[kind].format(**context) if kind in ALLOWED else detail["msg"]
    elif kind in _UNKNOWN_TYPES:
        allowed = "an object"
    elif kind in _TYPES:
        allowed = " or ".join(dict.fromkeys(ALLOWED[each["type"]] for each in same))
    elif kind == "string_pattern_mismatch":
        allowed = FORMS.get(context["pattern"], "of another form")
    else:
        allowed = ALLOWED[kind].format(**context) if kind in ALLOWED else "another value"
    return f"{subject} must be {allowed}; it is {_shown(value, quoted=kind not in _TYPES)}"


def _shown(value: JsonValue, *, quoted: bool) -> str:
    """A value, or what it is. A string is quoted only where it should have been one of a few words, or a number."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if abs(value) >= 1e15:  # Python writes no number of 5000 digits
            return "a number"
        case int() | float():
            return str(value)
        case str() if quoted and len(value) <= _QUOTED:
            return repr(value)
        case str():
            return f"a string of {len(value)} characters" if quoted else "a string"
        case list():
            return "a list"
        case dict():
            return "an object"


def _steps(loc: Sequence[int | str], kind: type[BaseModel]) -> list[int | str]:
    """pydantic's place in `kind` as keys and indices of the body alone: it names members of unions among them."""
    steps: list[int | str] = []
    known: dict[str, Any] = {}
    here: Any = kind.__pydantic_core_schema__
    for step in loc:
        here = _inner(here, known)
        match here["type"]:
            case "tagged-union":
                here = here["choices"].get(step, _ANYTHING)
                continue
            case "union":  # a member is named by its type, and by what is in it
                name = str(step).partition("[")[0]
                here = next((each for each in here["choices"] if each["type"] == name), _ANYTHING)
                continue
            case "model-fields":
                fields = here["fields"]
                aliased = (each for each in fields.values() if each.get("validation_alias") == step)
                here = fields.get(step) or next(aliased, _ANYTHING)
            case "list":
                here = here["items_schema"]
            case "str" if step == "[key]":  # the name is wrong, not what it names
                steps.pop()
                continue
            case "dict":
                here = here["values_schema"]
            case _:
                pass
        steps.append(step)
    return steps


_ANYTHING = {"type": "any"}


def _inner(schema: Any, known: dict[str, Any]) -> Any:
    """The schema within what only adds a default, a null or a function."""
    while True:
        match schema["type"]:
            case "definitions":
                known |= {each["ref"]: each for each in schema["definitions"]}
                schema = schema["schema"]
            case "definition-ref":
                schema = known[schema["schema_ref"]]
            case "nullable" | "default" | "model" | "model-field" | "function-before":
                schema = schema["schema"]
            case _:
                return schema


def written(steps: Sequence[int | str]) -> str:
    """Such as `input[0].content[1].image_url`."""
    path = ""
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f"{'.' if path else ''}{step[:64]}"
    return path
