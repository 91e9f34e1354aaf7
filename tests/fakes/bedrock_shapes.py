"""Requests of ConverseStream, held to the model that botocore publishes of it: members, types, enums, patterns, ...

botocore's own validator passes over enums, patterns, most lengths and unions of more than one member.
"""

import base64
import binascii
import re
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel
from botocore.validate import ParamValidator

_KINDS: dict[str, type | tuple[type, ...]] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "blob": str,
}


@cache
def operation(name: str = "ConverseStream") -> OperationModel:
    model: Any = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model(name)


def problems(body: dict[str, Any], model: str, name: str = "ConverseStream") -> list[str]:
    """Of the JSON body as it goes over the wire, where bytes are base64."""
    shape: Any = operation(name).input_shape
    found = list(_problems(shape, {"modelId": model, **body}, ""))
    if not found:
        report: Any = ParamValidator().validate(as_parameters(shape, {"modelId": model, **body}), shape)
        found += [report.generate_report()] if report.has_errors() else []
    return found


def as_parameters(shape: Any, value: Any) -> Any:
    """As an SDK is given it: bytes are bytes."""
    match shape.type_name:
        case "structure" if not getattr(shape, "is_document_type", False):
            return {name: as_parameters(shape.members[name], each) for name, each in value.items()}
        case "list":
            return [as_parameters(shape.member, each) for each in value]
        case "blob":
            return base64.b64decode(value)
        case _:
            return value


def _problems(shape: Any, value: Any, where: str) -> Any:
    """Messages as the service words them. `where` is a path of it: `messages.1.member.role`."""
    if getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, _KINDS[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        yield f"{where}: expected {shape.type_name}"
        return
    match shape.type_name:
        case "structure":
            yield from _structure(shape, value, where)
        case "list":
            yield from _size(shape, len(value), where)
            for index, each in enumerate(value, 1):
                yield from _problems(shape.member, each, f"{where}.{index}.member")
        case "map":
            yield from _size(shape, len(value), where)
            for name, each in value.items():
                yield from _problems(shape.key, name, f"{where}.key")
                yield from _problems(shape.value, each, f"{where}.{name}.member")
        case "string":
            yield from _string(shape, value, where)
        case "blob":
            yield from _blob(shape, value, where)
        case _:
            yield from _size(shape, value, where)


def _structure(shape: Any, value: dict[str, Any], where: str) -> Any:
    for name in shape.required_members:
        if name not in value:
            yield f"Value at '{where}.{name}' failed to satisfy constraint: Member must not be null".replace("'.", "'")
    if shape.is_tagged_union and len(value) != 1:
        yield f"{where}: exactly one member of {sorted(shape.members)}, not {sorted(value)}"
    for name, each in value.items():
        place = f"{where}.{name}".lstrip(".")
        if name not in shape.members:
            yield f"{place}: unknown"
        else:
            yield from _problems(shape.members[name], each, place)


def _string(shape: Any, value: str, where: str) -> Any:
    yield from _size(shape, len(value), where)
    if shape.enum and value not in shape.enum:
        yield f"Value at '{where}' failed to satisfy constraint: Member must satisfy enum value set: {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        yield (
            f"Value at '{where}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern}"
        )


def _blob(shape: Any, value: str, where: str) -> Any:
    try:
        yield from _size(shape, len(base64.b64decode(value, validate=True)), where)
    except binascii.Error:
        yield f"{where}: not base64"


def _size(shape: Any, size: float, where: str) -> Any:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    word = "have length " if shape.type_name in ("string", "list", "map", "blob") else "have value "
    if least is not None and size < least:
        yield f"Value at '{where}' failed to satisfy constraint: Member must {word}greater than or equal to {least}"
    if most is not None and size > most:
        yield f"Value at '{where}' failed to satisfy constraint: Member must {word}less than or equal to {most}"
