"""Keys and storage of the local cloud that a test runs against, from outside of it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import httpx2

from openresponses.client_keys import make, new_token, parse
from openresponses.storage.dynamodb.client_keys import revoke_key, store_key
from openresponses_dev.local.status_page import JSON_PATH
from openresponses_dev.manage.deployment import Where, deployment_at
from tests.e2e.conftest import Endpoint


class Cloud:
    """`told` is where its things are."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        parts = urlsplit(endpoint.base_url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.told: dict[str, Any] = httpx2.get(self.origin + JSON_PATH).raise_for_status().json()
        self._deployment = deployment_at(Where(local=self.origin))
        self.dynamodb = self.client("dynamodb")

    def client(self, service: str) -> Any:
        return self._deployment.client(service)

    def key(self, tenant: str, *, ends_in: float | None = None, **more: Any) -> str:
        """A new one. It may have ended already."""
        now, token = time.time(), new_token()
        made = now if ends_in is None or ends_in > 0 else now + ends_in - 1
        ends_at = None if ends_in is None else now + ends_in
        store_key(self.dynamodb, self.told["table"], make(token, tenant, now=made, expires_at=ends_at, **more))
        return token

    def revoke(self, token: str) -> None:
        parsed = parse(token)
        assert parsed
        revoke_key(self.dynamodb, self.told["table"], parsed.id, time.time())

    def http(self, token: str | None) -> httpx2.Client:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return httpx2.Client(base_url=self.endpoint.base_url, headers=headers, timeout=60)
