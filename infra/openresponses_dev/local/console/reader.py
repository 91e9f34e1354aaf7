"""What is configured in the local cloud and what was used, read from its services by the code of the functions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

from openresponses.aws.clients import Aws
from openresponses.aws.session import Service
from openresponses.client_keys import ClientKey, ended
from openresponses.core.settings import ProviderSettings
from openresponses.entry.settings import OFFLINE, built_in
from openresponses.responses.usage import Sum, days_between, sums_by
from openresponses.routing.catalog import PROVIDERS, parse_provider
from openresponses.storage.dynamodb.client_keys import list_keys
from openresponses.storage.dynamodb.limits import find_limits
from openresponses.storage.dynamodb.storage import aws_storage
from openresponses_dev.local.address import without_secrets
from openresponses_dev.local.limit_words import words
from openresponses_dev.local.seed import PREFIX_VARIABLE, TABLE_VARIABLE
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.intrinsics import REGION

Rows: TypeAlias = list[dict[str, object]]


class Reader:
    """For a thread of its own. `variables` are those of the functions. The methods raise what boto3 does."""

    def __init__(self, aws: LocalAws, variables: Mapping[str, str]) -> None:
        self._clients = _Clients(aws)
        self._table, self._prefix = variables.get(TABLE_VARIABLE, ""), variables.get(PREFIX_VARIABLE, "")
        self._default_provider = variables.get("OPENRESPONSES_DEFAULT_PROVIDER") or OFFLINE.name

    def keys(self) -> Rows:
        """With their use in this month."""
        table, now = self._table, time.time()
        if not table:
            return []
        keys = list_keys(self._clients.client("dynamodb"), table)
        limits = find_limits(self._clients.client("dynamodb"), table, [(key.tenant, key.id) for key in keys])
        used = asyncio.run(self._used(sorted({key.tenant for key in keys})))
        return [
            {**_key(key, now), "limits": words(each), **_use(used.get(key.id, Sum()))}
            for key, each in zip(keys, limits, strict=True)
        ]

    async def _used(self, tenants: list[str]) -> dict[str, Sum]:
        """By the id of a key."""
        first, last = days_between(None, None, time.time())
        stores = [
            aws_storage(self._clients, table=self._table, bucket="", state_machine_arn="", tenant=each, now=time.time)
            for each in tenants
        ]
        rows = await asyncio.gather(*(each.meters.usage(first, last) for each in stores))
        return sums_by(lambda row: row.key_id or "", [row for some in rows for row in some])

    def providers(self) -> Rows:
        found = [_provider(each) for each in built_in(self._default_provider)]
        if not self._prefix:
            return found
        path = f"{self._prefix}/{PROVIDERS}"
        pages = self._clients.client("ssm").get_paginator("get_parameters_by_path")
        stored = [each for page in pages.paginate(Path=path, WithDecryption=True) for each in page["Parameters"]]
        texts = {str(each["Name"]).removeprefix(f"{path}/"): str(each["Value"]) for each in stored}
        return [*found, *(_read_provider(name, text) for name, text in sorted(texts.items()))]


class _Clients(Aws):
    """Those of the local services."""

    def __init__(self, aws: LocalAws) -> None:
        super().__init__(REGION, threads=2)
        self._local, self._made = aws, dict[str, Any]()

    def client(self, service: Service) -> Any:
        if service not in self._made:
            self._made[service] = self._local.client(service)
        return self._made[service]


def _key(key: ClientKey, now: float) -> dict[str, object]:
    about = {"id": key.id, "tenant": key.tenant, "name": key.name}
    return {**about, "state": ended(key, now) or "valid", "models": [*key.models]}


def _use(used: Sum) -> dict[str, object]:
    shown = used.shown()
    return {name: shown[name] for name in ("requests", "input_tokens", "output_tokens", "usd")}


def _provider(settings: ProviderSettings) -> dict[str, object]:
    url = without_secrets(settings.base_url)
    return {"name": settings.name, "dialect": settings.dialect, "base_url": url, "key": bool(settings.api_key)}


def _read_provider(name: str, text: str) -> dict[str, object]:
    try:
        return _provider(parse_provider(name, text))
    except ValueError as error:
        return {"name": name, "dialect": "", "base_url": "", "key": False, "invalid": str(error)}
