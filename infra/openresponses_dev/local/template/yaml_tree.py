"""A template's text as a tree of plain values: YAML with CloudFormation's short tags in their long forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import yaml

if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:  # the one of libyaml is eight times as fast, and a PyYAML without libyaml has none
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"
Table: TypeAlias = "dict[str, Value]"


class TemplateError(Exception):
    """The template cannot be run; the message names the place in it."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


class _Loader(_SafeLoader):
    """YAML with `!Ref` and friends read as their long forms."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> Value:
    match node:
        case yaml.ScalarNode():
            value: Value = str(loader.construct_scalar(node))
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = {str(key): item for key, item in loader.construct_mapping(node, deep=True).items()}
        case _:
            raise yaml.constructor.ConstructorError(None, None, f"!{suffix} has no value", node.start_mark)
    if suffix == "GetAtt" and isinstance(value, str):
        value = [*value.split(".", 1)]
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)  # pyright: ignore[reportUnknownMemberType]


def parse(text: str, source: str) -> Table:
    """Read a template. Raises TemplateError with the line that is wrong."""
    try:
        document: object = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        last = max(1, len(text.splitlines()))  # libyaml finds what is missing at the end in the line after it
        where = f"{source}:{min(mark.line + 1, last)}" if mark else source
        raise TemplateError(where, error.problem or "not YAML") from error
    except yaml.YAMLError as error:
        raise TemplateError(source, str(error)) from error
    return table(document, source)


def table(value: object, where: str) -> Table:
    """The value as a mapping with string keys; an absent one is empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TemplateError(where, f"must be a mapping, not {value!r}")
    return {str(key): item for key, item in cast("dict[object, Value]", value).items()}


def text(value: Value, where: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case _:
            raise TemplateError(where, f"must be a string, not {value!r}")
