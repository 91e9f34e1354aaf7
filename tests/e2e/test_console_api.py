"""What `openresponses dev` tells its console: what runs, and the lines of its log."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import InternalServerError, OpenAI

from tests.e2e.conftest import Endpoint


@pytest.fixture
def origin(cloud: Endpoint) -> str:
    return "http://" + urlsplit(cloud.base_url).netloc


def get(server: str, path: str, **headers: str) -> httpx2.Response:
    return httpx2.get(server + path, headers=headers, timeout=60, trust_env=False)


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while not (what := found()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return what


def test_it_tells_what_runs(cloud: Endpoint, origin: str) -> None:
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0)
    queued = client.responses.create(model="offline/demo", input="planted-prompt", background=True)
    with pytest.raises(InternalServerError):
        client.responses.create(model="gone/x", input="planted-prompt")

    def console() -> dict[str, Any]:
        return get(origin, "/_local/console.json", authorization=f"Bearer {cloud.api_key}").json()

    def ended() -> dict[str, Any] | None:
        found = [each for each in console()["executions"] if each["response_id"] == queued.id]
        return found[0] if found and found[0]["status"] == "SUCCEEDED" else None

    def counted() -> dict[str, Any] | None:  # use is counted after the end
        own = next(each for each in console()["keys"] if each["name"] == "local cloud")
        return own if own["requests"] else None

    execution = until(ended)
    assert execution["stopped_at"] >= execution["started_at"] > time.time() - 120
    assert execution["events"] > 3
    own = until(counted)
    told = console()
    assert told["base_url"] == cloud.base_url
    assert told["template"].endswith("template.yaml")
    api = next(each for each in told["functions"] if each["name"] == "ApiFunction")
    assert (api["timeout_s"], api["limit"], api["errors"]) == (900, 10, 0)
    assert api["invocations"] >= api["cold_starts"] >= 1
    assert api["last_cold_start_ms"] > 50
    assert 0 <= api["busy"] <= api["sandboxes"]
    assert (own["tenant"], own["state"], own["limits"], own["models"]) == ("default", "valid", "none", [])
    assert own["requests"] >= 1
    assert own["output_tokens"] > 0
    gone = next(each for each in told["providers"] if each["name"] == "gone")
    assert (gone["dialect"], gone["base_url"], gone["key"]) == ("chat_completions", "http://127.0.0.1:9", True)
    assert gone["failures"] >= 1
    assert gone["last_error"].startswith("gone/x: ProviderUnavailable")
    assert "planted-" not in json.dumps(told)


def test_it_tells_the_log_as_it_grows(cloud: Endpoint, origin: str) -> None:
    key = {"authorization": f"Bearer {cloud.api_key}"}
    get(origin, "/v1/models")  # is refused, with a line
    first = get(origin, "/_local/log.json", **key).json()
    assert [line["n"] for line in first["lines"]][-1] == first["next"] - 1
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key)
    response = client.responses.create(model="offline/demo", input="planted-prompt")
    seen: list[dict[str, Any]] = []

    def told() -> bool:
        after = seen[-1]["n"] + 1 if seen else first["next"]
        seen.extend(get(origin, f"/_local/log.json?after={after}", **key).json()["lines"])
        return any(response.id in line["text"] for line in seen)

    assert until(told)
    assert [line["n"] for line in seen] == [*range(first["next"], first["next"] + len(seen))]
    assert "planted-prompt" not in json.dumps(seen)


@pytest.mark.parametrize("path", ["/_local/console.json", "/_local/log.json?after=0"])
def test_it_tells_nobody_else(cloud: Endpoint, origin: str, path: str) -> None:
    key = f"Bearer {cloud.api_key}"
    assert get(origin, path).status_code == 401
    assert get(origin, path, authorization=key[:-1]).status_code == 401
    assert get(origin, path, authorization=key, host="rebound.example").status_code == 403
    assert get(origin, path, authorization=key, origin="https://page.example").status_code == 403
    allowed = get(origin, path, authorization=key, origin=origin)
    assert allowed.status_code == 200
    assert [name for name in allowed.headers if name.startswith("access-control")] == []
    assert allowed.headers["cache-control"] == "no-store"
