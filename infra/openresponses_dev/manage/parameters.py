"""The deployment's parameters in the Parameter Store, written and read as the functions read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.problems import AwsRefused, Problem, translated

Kind: TypeAlias = Literal["providers", "models", "tools", "mcp", "otlp"]
_SECRET: tuple[Kind, ...] = ("providers", "mcp", "otlp")
MAX_BYTES = 4096
"""Of a standard parameter, which costs nothing."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """`name` is what comes after the kind. The text of a provider, an MCP server or a search holds secrets."""

    name: str
    text: str = field(repr=False)
    secure: bool


def read_all(deployment: Deployment, kind: Kind) -> list[Parameter]:
    """By name. Raises Problem."""
    path = f"{deployment.prefix}/{kind}"
    pages: Any = deployment.client("ssm").get_paginator("get_parameters_by_path")
    with translated("ssm"):
        found = [each for page in pages.paginate(Path=path, WithDecryption=True) for each in page["Parameters"]]
    parameters = [
        Parameter(each["Name"].removeprefix(f"{path}/"), each["Value"], each["Type"] == "SecureString")
        for each in found
    ]
    return sorted(parameters, key=lambda each: each.name)


def read(deployment: Deployment, kind: Kind, name: str) -> Parameter | None:
    """None if there is none. Raises Problem."""
    path = f"{deployment.prefix}/{kind}/{name}"
    try:
        with translated("ssm"):
            found = deployment.client("ssm").get_parameter(Name=path, WithDecryption=True)["Parameter"]
    except AwsRefused as refused:
        if refused.code == "ParameterNotFound":
            return None
        raise
    return Parameter(name, found["Value"], found["Type"] == "SecureString")


def write(deployment: Deployment, kind: Kind, name: str, text: str, *, secret: bool = False, new: bool = False) -> None:
    """A secret is encrypted, with the stack's key, or else the account's own for parameters. Raises Problem: also for a
    `new` one that is there, by the code ParameterAlreadyExists.
    """
    path = f"{deployment.prefix}/{kind}/{name}"
    if (size := len(text.encode())) > MAX_BYTES:
        raise Problem(
            f"{name} would take {size} bytes, and a parameter holds {MAX_BYTES}", "name fewer models, tools or headers"
        )
    secret = secret or kind in _SECRET
    key = {"KeyId": deployment.key_arn} if deployment.key_arn and secret else {}
    stored_as = "SecureString" if secret else "String"
    with translated("ssm"):
        deployment.client("ssm").put_parameter(Name=path, Value=text, Type=stored_as, Overwrite=not new, **key)


def delete(deployment: Deployment, kind: Kind, name: str) -> bool:
    """Whether there was one. Raises Problem."""
    try:
        with translated("ssm"):
            deployment.client("ssm").delete_parameter(Name=f"{deployment.prefix}/{kind}/{name}")
    except AwsRefused as refused:
        if refused.code == "ParameterNotFound":
            return False
        raise
    return True
