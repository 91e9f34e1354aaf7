"""`openresponses responses`: what a tenant has stored, as its operator sees it."""

import json
from typing import Any

import httpx2
import pytest

from openresponses_dev.manage.responses.shown import lines_of
from tests.manage.conftest import UPSTREAM_KEY, Cloud

pytestmark = pytest.mark.xdist_group("manage")


def asked(cloud: Cloud, text: str, **body: Any) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    sent = {"model": "offline/demo", "input": text, **body}
    answer = httpx2.post(f"{cloud.base_url}/responses", json=sent, headers=headers, timeout=60)
    return answer.raise_for_status().json()


def test_they_are_listed_newest_first_and_by_what_is_wanted(cloud: Cloud) -> None:
    first = asked(cloud, "one", metadata={"kind": "listed", "n": "1"})
    second = asked(cloud, "[[length 3]]", metadata={"kind": "listed", "n": "2"})
    found = cloud.run("responses", "list", "--metadata", "kind=listed")
    assert (found.status, found.err) == (0, "")
    assert [row[0] for row in found.rows()] == [second["id"], first["id"]]
    assert [row[1] for row in found.rows()] == ["incomplete", "completed"]
    assert found.rows()[1][3:7] == ["offline/demo", "1", "1", str(first["usage"]["output_tokens"])]
    by_status = cloud.run("responses", "list", "--metadata", "kind=listed", "--status", "completed", "--json")
    (only,) = json.loads(by_status.out)["data"]
    assert (only["id"], only["serverless:target"], only["serverless:turns"]) == (first["id"], "offline/demo", 1)
    both = cloud.run("responses", "list", "--metadata", "kind=listed", "--metadata", "n=2")
    assert [row[0] for row in both.rows()] == [second["id"]]
    assert len(cloud.run("responses", "list", "--metadata", "kind=listed", "--limit", "1").rows()) == 1
    assert cloud.run("responses", "list", "--model", "other/model").rows() == []
    assert cloud.run("responses", "list", "--tenant", "nobody").rows() == []


def test_one_is_shown_with_its_turns_its_calls_and_its_items(cloud: Cloud) -> None:
    made = asked(cloud, "What is 15 * 37?", tools=[{"type": "serverless:calculator"}])
    shown = cloud.run("responses", "show", made["id"])
    assert (shown.status, shown.err) == (0, "")
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0] == f"{made['id']} completed"
    turns = [line for line in lines if " turn " in line]
    assert ["offline/demo in" in line for line in turns] == [True, True]
    assert [line for line in lines if "call calculator completed in" in line]
    items = lines[lines.index("Items") + 1 :]
    assert items[:2] == ["user: What is 15 * 37?", 'calculator({"expression": "15 * 37"}) = 555']
    assert items[2].startswith("assistant: This is the offline demo model")
    whole = json.loads(cloud.run("responses", "show", made["id"], "--json").out)
    assert [each["type"] for each in whole["serverless:timeline"]] == ["turn", "call", "turn"]


def test_what_failed_before_the_answer_is_shown_with_its_cause(cloud: Cloud) -> None:
    words = ("providers", "set", "nowhere", "--dialect", "chat_completions", "--base-url", "http://127.0.0.1:9/v1")
    cloud.run(*words, stdin=f"{UPSTREAM_KEY}\n")
    assert cloud.run("models", "alias", "shaky", "nowhere/x", "offline/demo").status == 0
    made = asked(cloud, "Hello", model="shaky")
    shown = cloud.run("responses", "show", made["id"])
    tried = [line for line in shown.out.splitlines() if "nowhere/x" in line or "offline/demo in" in line]
    assert "turn 1" in tried[0]
    assert ["nowhere/x failed after" in line for line in tried[:-1]] == [True] * (len(tried) - 1)
    assert len(tried) > 1
    assert "offline/demo in" in tried[-1]


def test_the_events_of_one_are_followed_until_it_is_over(cloud: Cloud) -> None:
    made = asked(cloud, "[[slow 10ms]] [[words 60]]", background=True)
    assert made["status"] in ("queued", "in_progress")
    text = cloud.run("responses", "tail", made["id"])
    assert (text.status, text.err, len(text.out.split())) == (0, "", 60)
    events = [json.loads(line) for line in cloud.run("responses", "tail", made["id"], "--json").out.splitlines()]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    later = cloud.run("responses", "tail", made["id"], "--json", "--after", str(numbers[-2]))
    assert [json.loads(line)["type"] for line in later.out.splitlines()] == ["response.completed"]


def test_one_is_cancelled_wherever_it_runs(cloud: Cloud) -> None:
    made = asked(cloud, "[[slow 500ms]] [[words 500]]", background=True)
    cancelled = cloud.run("responses", "cancel", made["id"])
    assert (cancelled.status, cancelled.err) == (0, "")
    assert f"{made['id']} of tenant default is cancelled" in cancelled.out
    again = cloud.run("responses", "cancel", made["id"])
    assert "was cancelled already" in again.out
    assert cloud.run("responses", "tail", made["id"]).err.endswith("(cancelled)\n")
    row = next(row for row in cloud.run("responses", "list").rows() if row[0] == made["id"])
    assert row[1] == "cancelled"


@pytest.mark.parametrize("verb", ["show", "tail", "cancel"])
def test_one_that_is_not_there_is_named_with_what_lists_them(cloud: Cloud, verb: str) -> None:
    done = cloud.run("responses", verb, "resp_none", "--tenant", "acme")
    assert (done.status, done.out) == (1, "")
    assert "tenant acme has no response resp_none in the local cloud" in done.err
    assert "responses list --tenant acme --local" in done.err


def test_words_that_cannot_be_used_are_named(cloud: Cloud) -> None:
    assert "--metadata a: not KEY=VALUE" in cloud.run("responses", "list", "--metadata", "a").err
    assert cloud.run("responses", "list", "--limit", "0").status == 2
    assert "a tenant is" in cloud.run("responses", "list", "--tenant", "No Tenant").err


def test_every_kind_of_entry_and_item_is_a_line() -> None:
    turn = {"type": "turn", "target": None, "began_at": 5.0, "where": "handed_off", "error": "worker_died"}
    timeline = [
        {**turn, "discarded": True},
        {"type": "left_out", "count": 7},
        {"type": "call", "item_id": "x", "server": "docs", "tool": "find", "began_at": 6.5, "outcome": "unknown"},
    ]
    output = [
        {
            "type": "mcp_call",
            "server_label": "docs",
            "name": "find",
            "error": {"message": "gone\x1b"},
            "arguments": "{}",
        },
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"type": "mcp_approval_request", "server_label": "docs", "name": "drop", "arguments": "{}"},
        {"type": "mcp_approval_response", "approve": False},
        {"type": "something_new"},
    ]
    base = {"id": "resp_1", "status": "failed", "created_at": 0, "model": "m", "error": {"message": "it broke"}}
    lines = list(lines_of({**base, "serverless:timeline": timeline, "output": output}, []))
    assert lines[0] == "resp_1  failed"
    assert "  error         it broke" in lines
    assert "    0.00 s  turn 1  no target failed, handed off, discarded, worker_died" in lines
    assert "            ... 7 entries are left out" in lines
    assert "    1.50 s  call    docs/find unknown" in lines
    assert lines[-7:] == [
        "  docs/find({}) [failed] = gone\\x1b",
        "  reasoning: hm",
        "  f({})",
        "  assistant: No.",
        "  docs/drop({}) needs an approval",
        "  refused",
        "  something_new",
    ]
