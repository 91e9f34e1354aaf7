"""Who may call an API: the authorizers that a template declares, and which of them each method has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from openresponses_dev.local.template.properties import Properties
from openresponses_dev.local.template.yaml_tree import TemplateError

NONE = "NONE"
"""What a method names that needs no authorizer."""
MAX_TTL_S = 3600


@dataclass(frozen=True, slots=True)
class Authorizer:
    """A Lambda authorizer of type TOKEN. `expression` is what a token must match before the function is asked;
    `ttl_s` how long its answer is remembered.
    """

    name: str
    function_arn: str
    header: str
    expression: str | None
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Authorization:
    """The authorizers of one API, by name, and the one that its methods have unless they name another."""

    authorizers: Mapping[str, Authorizer] = field(default_factory=dict[str, Authorizer])
    default: str = NONE

    def of(self, auth: Properties) -> Authorizer | None:
        """The one of a method that says this of it. Raises TemplateError."""
        refuse_unknown(auth, "Authorizer")
        name = auth.text("Authorizer", self.default)
        if name != NONE and name not in self.authorizers:
            raise TemplateError(auth.at("Authorizer"), f"there is no authorizer {name!r}")
        return None if name == NONE else self.authorizers[name]


NO_AUTHORIZATION = Authorization()


def read_authorization(auth: Properties) -> Authorization:
    """An API's `Auth`. Raises TemplateError for anything that the local gateway does not do."""
    refuse_unknown(auth, "DefaultAuthorizer", "Authorizers")
    declared = auth.table("Authorizers")
    authorizers = {name: _authorizer(name, declared.table(name)) for name in declared.values}
    default = auth.text("DefaultAuthorizer", NONE)
    if default != NONE and default not in authorizers:
        raise TemplateError(auth.at("DefaultAuthorizer"), f"there is no authorizer {default!r}")
    return Authorization(authorizers, default)


def _authorizer(name: str, properties: Properties) -> Authorizer:
    refuse_unknown(properties, "FunctionArn", "FunctionPayloadType", "Identity")
    if (kind := properties.text("FunctionPayloadType", "TOKEN")) != "TOKEN":
        raise TemplateError(properties.at("FunctionPayloadType"), f"the local cloud runs TOKEN, not {kind!r}")
    identity = properties.table("Identity")
    refuse_unknown(identity, "Header", "ValidationExpression", "ReauthorizeEvery")
    return Authorizer(
        name=name,
        function_arn=properties.text("FunctionArn"),
        header=identity.text("Header", "Authorization").lower(),
        expression=identity.text("ValidationExpression") if "ValidationExpression" in identity.values else None,
        ttl_s=identity.number("ReauthorizeEvery", 300, 0, MAX_TTL_S),
    )


def refuse_unknown(properties: Properties, *known: str) -> None:
    """What is not run must not be ignored here: a template would be less open deployed than it seems, or more."""
    for key in properties.values:
        if key not in known:
            raise TemplateError(properties.at(key), "the local cloud does not run this")
