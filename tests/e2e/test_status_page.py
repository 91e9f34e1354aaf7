"""The page that `openresponses dev` prints: functions and executions."""

import time
from urllib.parse import urlsplit

import httpx2
from openai import OpenAI

from tests.e2e.conftest import Endpoint


def test_the_page_shows_functions_and_executions(cloud: Endpoint) -> None:
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0)
    queued = client.responses.create(model="offline/demo", input="planted-prompt", background=True)
    while client.responses.retrieve(queued.id).status not in ("completed", "failed"):
        time.sleep(0.1)
    origin = urlsplit(cloud.base_url)
    until = time.monotonic() + 10
    page = ""
    while "SUCCEEDED" not in page and time.monotonic() < until:
        page = httpx2.get(f"{origin.scheme}://{origin.netloc}/_local").text
    assert "WorkerFunction" in page
    assert queued.id in page
    assert "SUCCEEDED" in page
    assert "planted-prompt" not in page
