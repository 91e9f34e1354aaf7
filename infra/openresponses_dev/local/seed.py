"""What the local cloud is set up with when it starts: a key, and what a deployment is configured with by command."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from openresponses.client_keys import ClientKey, make
from openresponses.storage.dynamodb.client_keys import store_key
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import AwsCall, put_parameter
from openresponses_dev.local.template.template import Template

Providers: TypeAlias = Mapping[str, Mapping[str, object]]
Aliases: TypeAlias = Mapping[str, Sequence[str]]

TENANT = "default"
_PREFIX_VARIABLE, _TABLE_VARIABLE = "OPENRESPONSES_SSM_PREFIX", "OPENRESPONSES_TABLE"


def local_key(token: str) -> ClientKey:
    """Raises ValueError if `token` is not a key."""
    return make(token, TENANT, now=time.time(), name="local cloud")


def configuration(template: Template, providers: Providers, aliases: Aliases) -> list[AwsCall]:
    """Providers and aliases, by name, as the functions look them up."""
    told = [function.environment.get(_PREFIX_VARIABLE) for function in template.functions.values()]
    prefix = next(filter(None, told), "")
    kept = [
        put_parameter(f"{prefix}/providers/{name}", json.dumps(settings), "SecureString")
        for name, settings in providers.items()
    ]
    return kept + [
        put_parameter(f"{prefix}/models/{name}", json.dumps({"targets": [*targets]}))
        for name, targets in aliases.items()
    ]


def let_in(key: ClientKey, template: Template, aws: LocalAws) -> None:
    """Store the key where the template's authorizer looks it up. Does nothing if the template has no authorizer."""
    asked = {route.authorizer.function_arn for route in template.routes if route.authorizer}
    tables = {
        function.environment[_TABLE_VARIABLE]
        for function in template.functions.values()
        if function.arn in asked and _TABLE_VARIABLE in function.environment
    }
    for table in tables:
        store_key(aws.client("dynamodb"), table, key)
