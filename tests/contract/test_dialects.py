"""What every dialect must be able to do alike, asked of each over its fake upstream."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.contract.machine import RETRIES
from tests.contract.vendors import DIALECTS, Vendors, vendors
from tests.conversations import Conversation, Json, folded, kinds, text_of, user
from tests.fakes.wire import Rules

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE: Json = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
PAPER: Json = {"type": "input_file", "filename": "paper.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}
WHERE: Json = {
    "type": "object",
    "properties": {"where": {"type": "string"}},
    "required": ["where"],
    "additionalProperties": False,
}
PERSON: Json = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "role": {"type": "string", "enum": ["reader", "writer"]},
        "home": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["name", "age", "tags", "role"],
    "additionalProperties": False,
}
LONG = "a.name-with_everything." + "x" * 100
STRANGE_IDS = ["call_abc:1", "functions.look:0", "c" * 256, "ü/1 2", "call_abc_1", "call_abc:1 "]


def item(kind: str, **fields: Any) -> Json:
    return {"type": kind, **fields}


def said(role: str, text: str) -> Json:
    kind = "output_text" if role == "assistant" else "input_text"
    return item("message", role=role, content=[{"type": kind, "text": text}])


async def asked(at: Vendors, dialect: str, directive: str, **request: Any) -> Json:
    """The response, however it ends."""
    async with at.client() as client:
        answer = await client.post(
            "/responses", json={"model": at.model(dialect), "input": [user(directive)], **request}
        )
    assert answer.status_code == 200, (answer.text, at.refused)
    return answer.json()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_comes_with_its_usage_and_its_target(dialect: str) -> None:
    async with vendors([dialect]) as at:
        response = await asked(at, dialect, "/fake text;say=It is noon;reasoning=3", reasoning={"effort": "low"})
        assert (text_of(response).strip(), response["model"]) == ("It is noon", at.model(dialect))
    usage = response["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] >= 6


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("strict", [True, False])
async def test_structured_output_fits_its_schema(dialect: str, strict: bool) -> None:
    form = {"type": "json_schema", "name": "person", "schema": PERSON, "strict": strict}
    async with vendors([dialect]) as at:
        response = await asked(at, dialect, "/fake json", text={"format": form})
    assert json.loads(text_of(response)) == {"name": "x", "age": 1, "tags": [], "role": "reader"}


STOPS = {
    "length": ("/fake length", {"max_output_tokens": 16}, "incomplete", "max_output_tokens"),
    "filter": ("/fake filter", {}, "incomplete", "content_filter"),
    "length while thinking": ("/fake length;tokens=0;reasoning=4", {}, "incomplete", "max_output_tokens"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("text", "request_", "status", "reason"), STOPS.values(), ids=STOPS)
async def test_an_answer_that_was_stopped_is_incomplete(
    dialect: str, text: str, request_: Json, status: str, reason: str
) -> None:
    async with vendors([dialect]) as at:
        response = await asked(at, dialect, text, **request_)
    assert (response["status"], response["incomplete_details"]) == (status, {"reason": reason})
    assert [each["status"] for each in response["output"][-1:]] in (["incomplete"], [])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refusal_is_readable(dialect: str) -> None:
    async with vendors([dialect]) as at:
        response = await asked(at, dialect, "/fake refusal")
    parts = [part for each in response["output"] for part in each["content"]]
    assert "".join(part.get("text", part.get("refusal")) for part in parts).startswith("I can't help with that.")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "hear"}, "none"], ids=str)
async def test_a_tool_is_called_as_it_is_chosen(dialect: str, choice: Any) -> None:
    tools = [item("function", name=name, parameters=WHERE) for name in ("look", "hear")]
    async with vendors([dialect]) as at:
        response = await asked(
            at, dialect, "/fake willing", tools=tools, tool_choice=choice, reasoning={"effort": "low"}
        )
        sent = json.dumps(at.upstreams[dialect].requests[-1].body)
    assert kinds(response)[-1:] == (["message"] if choice == "none" else ["function_call"])
    if isinstance(choice, dict):
        assert sent.count('"hear"') > 1 or '"look"' not in sent, "nothing forces the one tool"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_pictures_and_papers_are_carried_or_refused_by_name(dialect: str) -> None:
    async with vendors([dialect]) as at, at.client() as client:
        for part in (PICTURE, PAPER):
            content = [{"type": "input_text", "text": "/fake echo"}, part]
            request = {"model": at.model(dialect), "input": [{"role": "user", "content": content}]}
            answer = await client.post("/responses", json=request)
            assert (answer.status_code, at.refused) == (200, []), answer.text
            body = json.dumps(at.upstreams[dialect].requests[-1].body)
            assert (PIXEL if part is PICTURE else PDF) in body


HISTORY: list[Json] = [
    said("developer", "Be brief."),
    said("user", "Hello."),
    said("user", "Are you there?"),
    said("assistant", ""),
    said("assistant", "Yes."),
    item("message", role="assistant", content=[{"type": "refusal", "refusal": "I'd rather not."}]),
    item("message", role="user", content=[{"type": "input_text", "text": ""}, PICTURE]),
    item("reasoning", summary=[{"type": "summary_text", "text": "They sent a picture."}]),
    item("reasoning", summary=[], content=[{"type": "reasoning_text", "text": "Another's raw thoughts."}]),
    said("assistant", "Let me look."),
    *(item("function_call", call_id=call_id, name="look", arguments='{"where": "x"}') for call_id in STRANGE_IDS),
    item("function_call", call_id="empty", name=LONG, arguments=""),
    item("function_call", call_id="broken", name="no_longer_offered", arguments='{"where": '),
    item("function_call", call_id="list", name="search", namespace="web", arguments="[1]"),
    item("custom_tool_call", call_id="custom", name="shell", input="ls -l"),
    item("custom_tool_call_output", call_id="custom", output="nothing"),
    item("function_call_output", call_id="list", output=[{"type": "input_text", "text": "found"}, PICTURE]),
    item("function_call_output", call_id="broken", output=""),
    item("function_call_output", call_id="empty", output=[]),
    *(item("function_call_output", call_id=call_id, output=f"<{call_id}>") for call_id in reversed(STRANGE_IDS)),
    said("developer", "Hurry."),
    item("serverless:calculator", call_id="h1", name="calculator", arguments='{"expression": "1"}', output="1"),
    item("serverless:gone", call_id="h2", name="gone", arguments="{}", status="failed", output="no such tool"),
    item("serverless:calculator", call_id="h3", name="calculator", arguments="{}", status="incomplete"),
    item("function_call", call_id="again", name="look", arguments='{"where": "y"}'),
    item("function_call_output", call_id="again", output="seen"),
    item("function_call", call_id="again", name="look", arguments='{"where": "z"}'),
    item("function_call_output", call_id="again", output="seen once more"),
    said("assistant", "Done."),
    item("function_call", call_id="unanswered", name="look", arguments="{}"),
    item("acme:note", text="not for a model"),
    said("user", "/fake echo"),
]
TOOLS: list[Json] = [
    item("function", name="look", description=None, parameters=WHERE, strict=True),
    item("function", name=LONG, parameters=None),
    item("function", name="a.name-with_everything." + "x" * 99 + "y", description="", parameters={}),
    item("namespace", name="web", description="The web", tools=[item("function", name="search", parameters=WHERE)]),
    item("custom", name="shell", description="Runs a command"),
    item("serverless:calculator"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("effort", ["none", "low", "high"])
async def test_whatever_history_a_client_brings_is_accepted(dialect: str, effort: str) -> None:
    async with vendors([dialect], Rules(reasoning=True)) as at:
        asked = {"tools": TOOLS, "reasoning": {"effort": effort}, "store": False, "instructions": "Be kind."}
        response = await at.ask(model=at.model(dialect), input=HISTORY, **asked)
        assert (kinds(response), at.refused) == (["message"], [])
        sent = json.dumps(at.upstreams[dialect].requests[-1].body, ensure_ascii=False)
    for text in ("Be kind.", "Be brief.", "Hurry.", "Are you there?", "I'd rather not.", "ls -l", "seen once more"):
        assert text in sent, f"{text!r} was lost"
    assert all(f"<{call_id}>" in sent for call_id in STRANGE_IDS)
    assert "not for a model" not in sent


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_tools_of_any_name_are_called_by_their_names(dialect: str) -> None:
    async with vendors([dialect], Rules(reasoning=True)) as at:
        talk = Conversation(at.ask, False, {"tools": TOOLS})
        response = await talk.say(at.model(dialect), user(f"/fake tools;reasoning=1;parallel={len(TOOLS)}"))
        calls = [(each["type"], each["name"]) for each in response["output"] if "call_id" in each]
        assert sorted(calls) == sorted(
            [
                ("function_call", "look"),
                ("function_call", LONG),
                ("function_call", TOOLS[2]["name"]),
                ("function_call", "search"),
                ("custom_tool_call", "shell"),
                ("serverless:calculator", "calculator"),
            ]
        )
        outputs = [
            item(f"{each['type']}_output", call_id=each["call_id"], output="ok")
            for each in response["output"]
            if each["type"] in ("function_call", "custom_tool_call")
        ]
        final = await talk.say(at.model(dialect), *outputs)
        assert (text_of(final).split().count("ok"), at.refused) == (5, [])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_turn_that_died_in_the_state_machine_is_asked_for_again_and_not_shown(dialect: str) -> None:
    async with vendors([dialect], Rules(reasoning=True), {"retries": 0}) as at:
        talk = Conversation(at.ask, True, {"reasoning": {"effort": "low"}})
        dying = user("/fake error;fails=1;tokens=4;reasoning=2;say=It recovered")
        response = await talk.say(at.model(dialect), dying, background=True)
        await talk.say(at.model(dialect), user("/fake echo"))
        assert (len(at.upstreams[dialect].requests), at.refused) == (3, [])
        last = json.dumps(at.upstreams[dialect].requests[-1].body)
    statuses = [(each["type"], each["status"]) for each in response["output"] if each["type"] == "message"]
    assert statuses == [("message", "completed")]
    assert text_of(response) == "It recovered "
    assert ("token3" in last, "It recovered" in last) == (False, True)


LASTING = {
    "status;code=500": "provider_unavailable",
    "html": "provider_stream_broken",
    "garbage": "provider_stream_broken",
    "cut;bytes=9000;tokens=500": "provider_unavailable",
}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_provider_that_stays_broken_fails_a_background_response_readably(dialect: str) -> None:
    async with vendors([dialect], more={"retries": 0}) as at, at.client() as client:
        for directive, code in LASTING.items():
            asked = {"model": f"{at.model(dialect)}!{directive}", "input": "Hello.", "background": True}
            queued = (await client.post("/responses", json=asked)).json()
            await at.house.idle()
            failed = (await client.get(f"/responses/{queued['id']}")).json()
            assert (failed["status"], failed["error"]["code"]) == ("failed", code)
            stream = (await client.get(f"/responses/{queued['id']}?stream=true")).text
            assert folded(stream, deaths=RETRIES + 1) == failed
            healthy = f"{at.model(dialect)}!text;say=the next"
            gone_on = await at.ask(model=healthy, previous_response_id=queued["id"], input="And now?")
            assert text_of(gone_on) == "the next "
        assert at.refused == []
