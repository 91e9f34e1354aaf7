"""Tools that the upstream runs itself, through the whole API: their items and events, stored, resumed and sent back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.vendors import vendors
from tests.conversations import Conversation, kinds, user
from tests.unit.kit import Json

SOURCES = "web_search_call.action.sources"
SEARCH: Json = {"tools": [{"type": "web_search"}], "include": [SOURCES]}
MODES: dict[str, tuple[bool, Json]] = {
    "stored": (True, {}),
    "stored, streamed": (True, {"stream": True}),
    "stored, in the state machine": (True, {"background": True}),
    "stateless, streamed": (False, {"stream": True}),
}


@pytest.mark.parametrize(("stored", "options"), MODES.values(), ids=MODES)
async def test_a_search_is_part_of_the_conversation(stored: bool, options: Json) -> None:
    async with vendors(["openai_responses"]) as at:
        model = at.model("openai_responses")
        talk = Conversation(at.ask, stored, {"tools": SEARCH["tools"], **options})
        for _ in range(2):
            await talk.say(model, user("/fake text;search=1;reasoning=1"))
        (upstream,) = at.upstreams.values()
        assert at.refused == []
    assert [kinds(response) for response in talk.responses] == [["web_search_call", "reasoning", "message"]] * 2
    sent = upstream.requests[-1].body["input"]
    searches = [item for item in sent if item["type"] == "web_search_call"]
    ours = talk.responses[0]["output"][kinds(talk.responses[0]).index("web_search_call")]
    assert searches == [{**ours, "id": ours["id"].replace("ext_", "ws_")}]


async def test_a_response_s_stream_can_be_read_again_with_the_search_s_events() -> None:
    async with vendors(["openai_responses"]) as at, at.client() as client:
        asked: dict[str, Any] = {
            **SEARCH,
            "input": [user("/fake text;search=1")],
            "model": at.model("openai_responses"),
        }
        response = await at.ask(**asked)
        answer = await client.get(f"/responses/{response['id']}", params={"stream": "true"})
        (search, _) = response["output"]
    said = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    words = ["in_progress", "searching", "completed"]
    assert [kind for kind in said if "web_search" in kind] == [f"response.web_search_call.{word}" for word in words]
    assert search["action"]["sources"] == [{"type": "url", "url": "https://a.test/"}]


async def test_a_client_s_secrets_reach_the_upstream_and_nobody_else() -> None:
    tool = {
        "type": "mcp",
        "server_label": "l",
        "server_url": "https://x.test/s3cret?k=s3cret",
        "headers": {"k": "s3cret"},
    }
    async with vendors(["openai_responses"]) as at, at.client() as client:
        asked: dict[str, Any] = {"tools": [{**tool, "authorization": "s3cret"}], "input": [user("/fake text")]}
        response = await at.ask(**asked, model=at.model("openai_responses"))
        again = await client.get(f"/responses/{response['id']}")
        (upstream,) = at.upstreams.values()
        log = await client.get(f"/responses/{response['id']}", params={"stream": "true"})
        (kept,) = at.house.shelf.responses.values()
    assert upstream.requests[0].body["tools"] == asked["tools"]
    shown = {"type": "mcp", "server_label": "l", "server_url": "https://x.test/<redacted>"}
    assert (response["tools"], again.json()["tools"]) == ([shown], [shown])
    assert "s3cret" not in kept.record + log.text + kept.run
    assert '"sealed":"or1.' in kept.run  # which goes on with it
