"""A local cloud that lets in whoever has a token of an issuer on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from openresponses.core.storage import Limits
from openresponses.storage.dynamodb.limits import change_limits
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from openresponses_dev.local.template.template import read_template
from openresponses_dev.local.template.yaml_tree import TemplateError
from tests.contract.issuers import CLAIMS, KEYS, answering, public, sent, signed
from tests.local.local_project import PATIENCE, ROOT

TEMPLATE = ROOT / "template.yaml"


@contextmanager
def issuing() -> Iterator[str]:
    """The URL of an issuer."""
    where: list[str] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        told: object = {"issuer": where[0], "jwks_uri": f"{where[0]}/keys"}
        if handler.path == "/keys":
            told = {"keys": [public(name) for name in KEYS]}
        sent(200, json.dumps(told).encode())(handler)

    with answering(answer) as origin:
        where.append(origin)
        yield origin


def parameters(issuer: str, auth: str = "jwt") -> dict[str, str]:
    return {"Auth": auth, "JwtIssuer": issuer, "JwtAudience": str(CLAIMS["aud"]), "JwtTenantClaim": "custom:tenant"}


def token(issuer: str, seconds: float = 60, **more: object) -> dict[str, str]:
    """The header of a token that lives for so long."""
    now = int(time.time())
    claims = {**CLAIMS, "iss": issuer, "iat": now, "exp": now + seconds, **more}
    return {"Authorization": f"Bearer {signed(claims, 'ES256')}"}


def limit(cloud: LocalCloud, issuer: str, subject: str, limits: Limits) -> None:
    caller = f"jwt-{sha256(json.dumps([issuer, subject]).encode()).hexdigest()[:20]}"
    client = cloud.aws.client("dynamodb")
    (table,) = client.list_tables()["TableNames"]
    change_limits(client, table, str(CLAIMS["custom:tenant"]), caller, limits)


async def test_who_has_a_token_comes_in_as_the_tenant_that_it_names(tmp_path: Path) -> None:
    log = Log(None, file=tmp_path / "log")
    with issuing() as issuer:
        async with (
            LocalCloud(TEMPLATE, parameters=parameters(issuer, "keys+jwt"), log=log) as cloud,
            httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
        ):
            asked = {"model": "offline/demo", "input": "Hello"}
            made = await client.post("/v1/responses", json=asked, headers=token(issuer))
            assert made.json()["status"] == "completed"
            path = f"/v1/responses/{made.json()['id']}"
            bearer = {"Authorization": f"Bearer {cloud.api_key}"}
            statuses = {
                "the same tenant": (await client.get(path, headers=token(issuer, sub="another"))).status_code,
                "another tenant": (await client.get(path, headers=token(issuer, **{"custom:tenant": "b"}))).status_code,
                "a key of another tenant": (await client.get(path, headers=bearer)).status_code,
                "a key": (await client.get("/v1/models", headers=bearer)).status_code,
                "expired": (await client.get(path, headers=token(issuer, -60))).status_code,
                "nobody": (await client.get(path)).status_code,
            }
            limit(cloud, issuer, "limited", Limits(requests_per_minute=0))
            of_limited = await client.post("/v1/responses", json=asked, headers=token(issuer, sub="limited"))
            of_another = await client.post("/v1/responses", json=asked, headers=token(issuer, sub="another"))
            statuses |= {"limited": of_limited.status_code, "not limited": of_another.status_code}
    log.close()
    assert statuses == {
        "the same tenant": 200,
        "another tenant": 404,
        "a key of another tenant": 404,
        "a key": 200,
        "expired": 401,
        "nobody": 401,
        "limited": 429,
        "not limited": 200,
    }
    lines = (tmp_path / "log").read_text()
    assert '"key_id":"jwt-' in lines.replace(" ", "")
    assert str(CLAIMS["sub"]) not in lines


async def test_a_token_opens_a_socket_until_it_expires_and_a_key_opens_none_where_only_tokens_do() -> None:
    message = json.dumps({"type": "response.create", "model": "offline/demo", "input": "Hello", "store": False})
    with issuing() as issuer:
        async with LocalCloud(TEMPLATE, parameters={**parameters(issuer), "WebSocket": "true"}) as cloud:
            url = f"{cloud.websocket_base_url}/responses"
            with pytest.raises(InvalidStatus, match="401"):
                await connect(url, additional_headers={"Authorization": f"Bearer {cloud.api_key}"}, proxy=None)
            async with connect(url, additional_headers=token(issuer), proxy=None) as socket:
                await socket.send(message)
                frame = json.loads(await socket.recv())
                assert frame["type"] == "response.created"
            # A clock may be late, so that it still opens a socket. But no message is taken after its end.
            async with connect(url, additional_headers=token(issuer, -1), proxy=None) as socket:
                await socket.send(message)
                frame = json.loads(await socket.recv())
                assert (frame["status"], frame["error"]["param"]) == (401, "authorization")


async def test_an_issuer_that_is_down_is_a_503() -> None:
    with issuing() as issuer:
        pass
    async with (
        LocalCloud(TEMPLATE, parameters=parameters(issuer)) as cloud,
        httpx2.AsyncClient(base_url=cloud.origin, timeout=PATIENCE, trust_env=False) as client,
    ):
        answer = await client.get("/v1/models", headers=token(issuer))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "authorizer_unavailable")
        assert answer.headers["retry-after"] == "1"


def test_a_rule_of_the_template_is_told_before_anything_starts() -> None:
    with pytest.raises(TemplateError, match="Auth=jwt and Auth=keys\\+jwt need JwtIssuer"):
        read_template(TEMPLATE, {"Auth": "jwt"})
    with pytest.raises(TemplateError, match="need JwtAudience"):
        read_template(TEMPLATE, {"Auth": "keys+jwt", "JwtIssuer": "https://a.example"})
