"""`openresponses webhooks`: set for a tenant, tried from here, and told by the secret that was printed once."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import openai
import pytest
from openai.types.webhooks import ResponseFailedWebhookEvent

from openresponses.core.webhooks import DeadLetter
from openresponses_dev.manage.at_rest import storage_of
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.webhooks import create_endpoint
from tests.manage.conftest import Aws, Cloud

pytestmark = [pytest.mark.xdist_group("manage"), pytest.mark.timeout(300)]
JUDGE = openai.OpenAI(api_key="any")


class Receiver(ThreadingHTTPServer):
    """Answers with the status that its path says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.messages: list[tuple[dict[str, str], bytes]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Answers(BaseHTTPRequestHandler):
    server: Receiver  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.messages.append((dict(self.headers.items()), body))
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_endpoint_is_made_tried_rotated_and_removed(cloud: Cloud, receiver: Receiver) -> None:
    """The API and the commands write the same items, and seal with the same key."""
    tenant, failed = ("--tenant", "default"), ("--event", "response.failed")
    made = cloud.run(
        "webhooks", "create", receiver.url("/200"), *tenant, "--events", "response.failed", "--name", "mine"
    )
    assert made.status == 0, made.err
    secret = made.out.strip()
    (row,) = cloud.run("webhooks", "list", *tenant).rows()
    endpoint = row[0]
    assert row[1:5] == ["mine", receiver.url("/200"), "response.failed", f"whsec_****{secret[-4:]}"]
    assert row[6] == "0"
    assert f"webhook {endpoint} of tenant default in the local cloud" in made.err
    tried = cloud.run("webhooks", "test", endpoint, *tenant, *failed)
    assert (tried.status, tried.err) == (0, "")
    assert tried.out.endswith("with HTTP 200\n")
    new = cloud.run("webhooks", "rotate", endpoint, *tenant).out.strip()
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    with httpx2.Client(base_url=f"{cloud.base_url}/webhook_endpoints", headers=headers, timeout=30) as http:
        (shown,) = http.get("").raise_for_status().json()["data"]
        assert shown["id"] == endpoint
        told = http.post(f"/{endpoint}/test", json={"event_type": "response.failed"}).raise_for_status().json()
        assert told["status_code"] == 200
        alone = http.post(f"/{endpoint}/rotate_secret", json={}).raise_for_status().json()["signing_secret"]
        http.post(f"/{endpoint}", json={"url": receiver.url("/500")}).raise_for_status()
    tried = cloud.run("webhooks", "test", endpoint, *tenant, *failed)
    assert (tried.status, "with HTTP 500" in tried.out) == (1, True)
    assert "a delivery counts only with an answer of 2xx" in tried.err
    found = [[accepted(message, each) for each in (secret, new, alone)] for message in receiver.messages]
    assert found == [[True, False, False], [True, True, False], [False, False, True]]
    assert cloud.run("webhooks", "remove", endpoint, *tenant).status == 0
    gone = cloud.run("webhooks", "remove", endpoint, *tenant)
    assert (gone.status, gone.out) == (1, "")
    assert gone.err.splitlines()[1] == f"  try: openresponses webhooks list --tenant default {cloud.flags}"


def accepted(message: tuple[dict[str, str], bytes], secret: str) -> bool:
    headers, body = message
    try:
        assert isinstance(JUDGE.webhooks.unwrap(body, headers, secret=secret), ResponseFailedWebhookEvent)
    except openai.InvalidWebhookSignatureError:
        return False
    return True


def test_a_url_with_a_password_is_refused_and_not_repeated(cloud: Cloud) -> None:
    found = cloud.run("webhooks", "create", "https://me:planted-pw@hooks.test/", "--tenant", "acme")
    assert (found.status, found.out) == (1, "")
    assert "the URL must hold no user name and no password" in found.err
    assert "planted" not in found.err


def test_a_type_that_is_none_is_named() -> None:
    with pytest.raises(Problem, match=r"^batch\.failed is no type of an event$"):
        create_endpoint("https://hooks.test/", tenant="acme", events=("response.failed,batch.failed",))


def test_a_stack_on_aws_takes_public_https_only(aws: Aws) -> None:
    made = aws.run("webhooks", "create", "https://hooks.test/here", "--tenant", "acme")
    assert made.status == 0, made.err
    near = aws.run("webhooks", "create", "http://127.0.0.1:8000/", "--tenant", "acme")
    assert (near.status, near.out) == (1, "")
    assert "the URL must be an https URL" in near.err


def test_events_that_were_given_up_are_counted_and_shown(cloud: Cloud) -> None:
    assert cloud.run("webhooks", "create", "https://hooks.test/", "--tenant", "unlucky").status == 0
    stored = storage_of(deployment_at(Where(local=cloud.origin)), "unlucky").endpoints

    async def given_up() -> str:
        (endpoint,) = (await stored.load()).endpoints
        await stored.keep_dead(
            DeadLetter(
                "evt_1",
                "response.failed",
                "resp_1",
                endpoint.id,
                "it answered with HTTP 500",
                1_764_200_000,
                1_764_459_200,
            )
        )
        return endpoint.id

    endpoint = asyncio.run(given_up())
    (row,) = cloud.run("webhooks", "list", "--tenant", "unlucky").rows()
    assert (row[0], row[6]) == (endpoint, "1")
    times = ["2025-11-26 23:33", "2025-11-29 23:33"]
    shown = cloud.run("webhooks", "dead", "--tenant", "unlucky").rows()
    assert shown == [[endpoint, "response.failed", "resp_1", *times, "it answered with HTTP 500"]]
