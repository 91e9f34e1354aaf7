"""The parameters of a template: what each is given, and what the template asks of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from openresponses_dev.local.template.intrinsics import Resolver
from openresponses_dev.local.template.yaml_tree import Table, TemplateError, Value, table, text


def final_values(declared: Table, given: Mapping[str, str]) -> dict[str, Value]:
    """Given, or else the default. Raises TemplateError."""
    for name in given:
        if name not in declared:
            raise undeclared(name)
    values: dict[str, Value] = {}
    for name, declaration in declared.items():
        where = f"Parameters.{name}"
        parameter = table(declaration, where)
        if name not in given and "Default" not in parameter:
            raise TemplateError(where, f"has no Default: pass --parameter {name}=VALUE")
        value = given[name] if name in given else text(parameter["Default"], f"{where}.Default")
        allowed = parameter.get("AllowedValues")
        if isinstance(allowed, list) and value not in [str(item) for item in allowed]:
            raise TemplateError(where, f"{value!r} is not one of {allowed}")
        pattern = parameter.get("AllowedPattern")
        if pattern is not None and not re.fullmatch(text(pattern, f"{where}.AllowedPattern"), value):
            raise TemplateError(where, f"{value!r} does not match {pattern}")
        is_list = str(parameter.get("Type")).endswith("List")
        values[name] = [*value.split(",")] if is_list else value
    return values


def undeclared(name: str) -> TemplateError:
    return TemplateError(f"Parameters.{name}", "is given a value but not declared")


def check_rules(rules: Table, resolver: Resolver) -> None:
    """What CloudFormation asks of the parameters before it makes anything. Raises TemplateError.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
    """
    for name, value in rules.items():
        where = f"Rules.{name}"
        rule = table(value, where)
        if resolver.resolve(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}), where) is not True:
            continue
        assertions = rule.get("Assertions")
        for each in assertions if isinstance(assertions, list) else []:
            assertion = table(each, where)
            if resolver.resolve(assertion.get("Assert"), where) is not True:
                raise TemplateError(where, text(assertion.get("AssertDescription", "does not hold"), where))
