"""What the local cloud is set up with when it starts: a key, and what a deployment is configured with by command."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from openresponses.client_keys import ClientKey, Token, make, new_token, parse, refusal
from openresponses.storage.dynamodb.client_keys import find_key, store_key
from openresponses_dev.local.kept import Kept, Key, Row
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import AwsCall, put_parameter
from openresponses_dev.local.template.template import Template

Providers: TypeAlias = Mapping[str, Mapping[str, object]]
Aliases: TypeAlias = Mapping[str, Sequence[str]]

TENANT = "default"
LOCAL_KEY = "local cloud"
"""What its key is called in a list."""
_OWN_KEY = Key("key", "", "")
PREFIX_VARIABLE, TABLE_VARIABLE = "OPENRESPONSES_SSM_PREFIX", "OPENRESPONSES_TABLE"


def kept_token(kept: Kept) -> str | None:
    """The key that was made for this folder before."""
    token = kept.find(_OWN_KEY)
    return token if token and parse(token) else None


def configuration(template: Template, providers: Providers, aliases: Aliases) -> list[AwsCall]:
    """Providers and aliases, by name, as the functions look them up."""
    told = [function.environment.get(PREFIX_VARIABLE) for function in template.functions.values()]
    prefix = next(filter(None, told), "")
    kept = [
        put_parameter(f"{prefix}/providers/{name}", json.dumps(settings), "SecureString")
        for name, settings in providers.items()
    ]
    return kept + [
        put_parameter(f"{prefix}/models/{name}", json.dumps({"targets": [*targets]}))
        for name, targets in aliases.items()
    ]


def let_in(token: str, template: Template, aws: LocalAws, kept: Kept | None, *, given: bool) -> str:
    """Store a key where the template's authorizer looks it up, and return it. In place of one that was kept, and
    revoked meanwhile, that is a new one. One that was not given is kept. Without an authorizer none is stored.

    Raises ValueError if `token` is not a key, or is given and not valid any more.
    """
    asked = {route.authorizer.function_arn for route in template.routes if route.authorizer}
    tables = {
        function.environment[TABLE_VARIABLE]
        for function in template.functions.values()
        if function.arn in asked and TABLE_VARIABLE in function.environment
    }
    client, now = aws.client("dynamodb"), time.time()
    for table in tables:
        key = local_key(token)
        found = find_key(client, table, key.id)
        why = found and refusal(Token(key.id, key.hash), found, now)
        if why and given:
            raise ValueError(
                f"the key {key.id} that is given is refused ({why}): give another one, or forget it with --fresh"
            )
        if why:
            token, found = new_token(), None
        if not found:
            store_key(client, table, local_key(token))
    if kept and not given:
        kept.write([Row(_OWN_KEY, token)])
    return token


def local_key(token: str) -> ClientKey:
    """Raises ValueError if `token` is not a key."""
    return make(token, TENANT, now=time.time(), name=LOCAL_KEY)
