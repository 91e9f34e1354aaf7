"""A conversation is compacted: asked for, by itself, and sent back; by whom it may be read, and what fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import ProviderUnavailable, RequestError
from tests.contract.compacting import Reader, house, models, said, seal, text_in, text_of
from tests.contract.machine import House
from tests.contract.served import client_of, sdk_of
from tests.contract.vendors import vendors
from tests.fakes.wire import Rules
from tests.openresponses_schema import check_compacted, check_event, check_response
from tests.unit.kit import Json

TRIGGER: Json = {"type": "compaction_trigger"}
TALK = [
    said("developer", "Be exact."),
    said("user", "Remember fact-blue."),
    said("assistant", "I will, and old-words too."),
]
CALL: Json = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
ANSWER: Json = {"type": "function_call_output", "call_id": "c1", "output": "seen"}


def kinds(output: list[Json]) -> list[str]:
    return [item.get("role") or item["type"] for item in output]


async def made(reader: Reader, **request: Any) -> Json:
    """The answer of `/responses/compact`."""
    async with client_of(house(reader)) as client:
        answer = await client.post("/responses/compact", json={"model": "m", **request})
    assert answer.status_code == 200, answer.text
    check_compacted(answer.json())
    return answer.json()


@pytest.mark.parametrize("store", [False, True])
async def test_a_trigger_at_the_end_gives_one_compaction_and_nothing_else(store: bool) -> None:
    reader = Reader()
    here = house(reader)
    response, events = await here.create(input=[*TALK, TRIGGER], stream=True, store=store, max_output_tokens=16)
    check_response(response)
    for event in events:
        check_event(event)
    assert (response["status"], kinds(response["output"])) == ("completed", ["compaction"])
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.compaction.compacting",
        "response.output_item.done",
        "response.completed",
    ]
    assert events[3]["item_id"] == response["output"][0]["id"]
    assert "status" not in response["output"][0]
    assert response["usage"]["input_tokens"] == 10
    assert "fact-blue" not in json.dumps(events)


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_trigger_that_is_not_last_is_refused_by_its_name(at: int) -> None:
    given = [*TALK[:at], TRIGGER, *TALK[at:]]
    with pytest.raises(RequestError) as refused:
        await house(Reader()).create(input=given)
    assert refused.value.param == f"input[{at}].type"


async def test_a_trigger_alone_has_nothing_to_compact() -> None:
    with pytest.raises(RequestError, match="nothing to compact"):
        await house(Reader()).create(input=[TRIGGER])


async def test_what_a_trigger_made_goes_on_in_a_chain_without_what_was_before() -> None:
    reader = Reader()
    here = house(reader)
    first, _ = await here.create(input=TALK)
    second, _ = await here.create(input=[TRIGGER], previous_response_id=first["id"])
    third, _ = await here.create(input="What do you know?", previous_response_id=second["id"])
    assert text_of(third) == "I know fact-blue"
    seen = text_in(reader.asked[-1])
    assert "old-words" not in seen
    assert "Be exact." in seen
    fourth, _ = await here.create(input="And now?", previous_response_id=third["id"])
    assert text_of(fourth) == "I know fact-blue"
    assert "old-words" not in text_in(reader.asked[-1])


async def test_a_client_that_sends_what_a_trigger_made_is_shown_its_own_list() -> None:
    reader = Reader()
    here = house(reader)
    compacted, _ = await here.create(input=[*TALK, TRIGGER], store=False)
    await here.create(input=[said("user", "my environment"), *compacted["output"], said("user", "Go on.")], store=False)
    seen = text_in(reader.asked[-1])
    assert "my environment" in seen
    assert seen.index("my environment") < seen.index("fact-blue") < seen.index("Go on.")


async def test_the_window_is_the_users_messages_then_the_item_then_the_open_calls() -> None:
    older = [{**CALL, "call_id": "c0"}, {**ANSWER, "call_id": "c0"}]
    window = await made(Reader(), input=[*TALK, *older, said("user", "Look."), CALL])
    assert kinds(window["output"]) == ["developer", "user", "user", "compaction", "function_call"]
    assert window["usage"]["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert "created_by" not in window["output"][3]
    reader = Reader()
    async with client_of(house(reader)) as client:
        back = {"model": "q/n", "input": [*window["output"], ANSWER], "store": False}
        answer = await client.post("/responses", json=back)
    assert text_of(answer.json()) == "I know fact-blue"
    assert "old-words" not in text_in(reader.asked[-1])
    assert [item.type for item in reader.asked[-1].items][-3:] == ["message", "function_call", "function_call_output"]


async def test_compact_takes_a_string_and_a_previous_response() -> None:
    assert kinds((await made(Reader(), input="fact-red"))["output"]) == ["user", "compaction"]
    reader = Reader()
    here = house(reader)
    first, _ = await here.create(input=TALK)
    async with client_of(here) as client:
        asked = {"model": "m", "previous_response_id": first["id"], "instructions": "Stay.", "input": None}
        answer = await client.post("/responses/compact", json=asked)
        assert answer.status_code == 200, answer.text
        read = await client.get(f"/responses/{answer.json()['id']}")
    assert kinds(answer.json()["output"]) == ["developer", "user", "compaction"]
    assert reader.asked[-1].instructions == "Stay."
    assert read.status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": None, "input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": []}, "input"),
        ({"model": "m", "input": "x", "prompt_cache_key": "k" * 65}, "prompt_cache_key"),
        ({"model": "m", "input": [TRIGGER]}, "input"),
        ({"model": "m", "input": [TRIGGER, *TALK]}, "input[0].type"),
        ({"model": "m", "input": [{"type": "compaction", "encrypted_content": "gAAAA"}]}, "input[0].encrypted_content"),
        ({"model": "m", "input": [{"type": "compaction"}]}, "input[0].encrypted_content"),
    ],
)
async def test_compact_names_what_is_wrong(body: Json, param: str) -> None:
    async with client_of(house(Reader())) as client:
        answer = await client.post("/responses/compact", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_openais_sdk_compacts_and_sends_the_window_back() -> None:
    sdk = sdk_of(house(Reader()))
    window = await sdk.responses.compact(
        model="m", input="fact-green", prompt_cache_retention="24h", service_tier="auto"
    )
    assert (window.object, window.output[-1].type, window.usage.output_tokens) == (
        "response.compaction",
        "compaction",
        10,
    )
    back: Any = [item.model_dump(exclude_unset=True, warnings=False) for item in window.output]
    response = await sdk.responses.create(model="q/m", input=back)
    assert response.output_text == "I know fact-green"


@pytest.mark.parametrize("where", ["create", "compact"])
@pytest.mark.parametrize("forged", ["another tenant", "altered", "unknown", "a reasoning's", "of no summary"])
async def test_a_seal_that_is_not_ours_is_refused_and_named(where: str, forged: str) -> None:
    good = (await made(Reader(), input="fact-red"))["output"][-1]["encrypted_content"]
    bad = {
        "another tenant": await seal("other").seal("", '{"summary":"x"}'),
        "altered": good[:-3] + ("A" if good[-3] != "A" else "B") + good[-2:],
        "unknown": "gAAAAABpM0Yj",
        "a reasoning's": await seal().seal("p/m", "{}"),
        "of no summary": await seal().seal("", "state"),
    }[forged]
    body = {"model": "m", "input": [said("user", "x"), {"type": "compaction", "id": "cmp_7", "encrypted_content": bad}]}
    async with client_of(house(Reader())) as client:
        answer = await client.post("/responses" if where == "create" else "/responses/compact", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_encrypted_content")
    assert error["param"] == "input[1].encrypted_content"
    assert "cmp_7" in error["message"]


async def test_too_long_a_seal_is_refused() -> None:
    body = {"model": "m", "input": [{"type": "compaction", "encrypted_content": "x" * 10_485_761}]}
    async with client_of(house(Reader(), max_body_bytes=2**25)) as client:
        answer = await client.post("/responses", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[0].encrypted_content")


async def test_what_a_provider_made_itself_goes_to_it_alone() -> None:
    own = await seal().seal("compaction of p/m", '{"own":"E"}')
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": own}
    reader = Reader()
    await house(reader).create(model="p/m", input=[item, said("user", "x")])
    assert '"encrypted_content":"E"' in text_in(reader.asked[-1])
    with pytest.raises(RequestError, match="'cmp_1' holds what 'p/m' made") as refused:
        await house(Reader()).create(model="q/m", input=[item, said("user", "x")])
    assert refused.value.param == "input[0].encrypted_content"


async def test_in_a_chain_too_it_goes_to_no_other() -> None:
    here = house(Reader())
    own = await seal().seal("compaction of p/m", '{"own":"E"}')
    first, _ = await here.create(model="p/m", input=[{"type": "compaction", "encrypted_content": own}])
    with pytest.raises(RequestError) as refused:
        await here.create(model="q/m", input="go on", previous_response_id=first["id"])
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "invalid_encrypted_content")


async def test_thousands_of_compaction_items_are_taken() -> None:
    one = (await made(Reader(), input="fact-red"))["output"][-1]
    reader = Reader()
    response, _ = await house(reader).create(input=[{**one, "id": f"cmp_{n}"} for n in range(3000)])
    assert text_of(response) == "I know fact-red"


@pytest.mark.parametrize(
    "fails",
    [
        ProviderUnavailable("gone"),
        [d.Finish("stop")],
        [d.Text(0, "  "), d.Finish("stop")],
        [d.Text(0, "half"), d.Finish("length")],
        [d.Refusal(0, "no"), d.Finish("stop")],
        [d.ToolCall(0, "{}", "", "calculator"), d.Finish("stop")],
        [d.Text(0, "x" * 600_000), d.Finish("stop")],
    ],
)
async def test_a_summary_that_fails_fails_the_response(fails: Any) -> None:
    here = house(Reader(fails=[fails]))
    response, events = await here.create(input=[*TALK, TRIGGER], stream=True)
    assert (response["status"], response["output"]) == ("failed", [])
    assert response["error"]["code"] in ("provider_unavailable", "compaction_failed", "provider_stream_broken")
    added = [event["type"] for event in events if "output_item" in event["type"]]
    assert added == ["response.output_item.added", "response.output_item.done"]
    async with client_of(house(Reader(fails=[fails]))) as client:
        answer = await client.post("/responses/compact", json={"model": "m", "input": TALK})
    assert answer.status_code in (502, 503)


@pytest.mark.parametrize(("said", "kept"), [("fact-\ud83d", "fact-\ufffd"), ("\ud83d\ude00 fact-red", "😀 fact-red")])
async def test_half_of_a_character_in_a_summary_does_not_end_it(said: str, kept: str) -> None:
    reader = Reader(fails=[[*(d.Text(0, each) for each in said), d.Finish("stop")]])
    here = house(reader)
    first, _ = await here.create(input=[*TALK, TRIGGER])
    assert first["status"] == "completed"
    await here.create(input="Go on.", previous_response_id=first["id"])
    assert kept in text_in(reader.asked[-1])


@pytest.mark.parametrize("end", [[], [TRIGGER]])
async def test_half_of_a_character_in_what_a_client_says_of_its_call_is_no_bug(end: list[Json]) -> None:
    patch: Json = {"type": "apply_patch_call", "call_id": "c9", "operation": '{"input":"\\ud800"}'}
    reader = Reader()
    response, _ = await house(reader).create(input=[*TALK, patch, *end])
    assert response["status"] == "completed"
    assert "\ufffd" in text_in(reader.asked[-1])


async def test_a_keys_limit_holds_for_a_compaction() -> None:
    async with client_of(House(models(Reader(), allowed=["q/*"]))) as client:
        answers = [
            await client.post("/responses/compact", json={"model": name, "input": "x"}) for name in ("m", "p/n", "q/m")
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 200]


NATIVE: Json = {"options": {"native_compaction": True}}


@pytest.mark.parametrize("way", ["compact", "trigger", "by itself"])
async def test_a_provider_that_compacts_itself_is_asked_to(way: str) -> None:
    name = "openai_responses"
    async with vendors([name, f"{name}-2"], Rules(reasoning=True), NATIVE) as at, at.client() as client:
        upstream, model = at.upstreams[name], f"{at.model(name)}!remembers"
        talk = [*TALK, said("assistant", "old-words " * 400)]
        if way == "compact":
            body = {"model": model, "input": talk, "instructions": "Stay.", "prompt_cache_key": "k"}
            answer = (await client.post("/responses/compact", json=body)).json()
            check_compacted(answer)
            assert answer["usage"] == {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
                "output_tokens": 7,
                "output_tokens_details": {"reasoning_tokens": 2},
                "total_tokens": 107,
            }
            assert {**upstream.counted[0].body, "input": 0} == {**body, "model": model.partition("/")[2], "input": 0}
        elif way == "trigger":
            answer = await at.ask(model=model, input=[*talk, TRIGGER], store=False)
        else:
            managed = [{"type": "compaction", "compact_threshold": 500}]
            answer = await at.ask(model=model, input=talk, store=False, context_management=managed)
            assert text_of(answer).split() == ["I", "know", "fact-blue"]
        sent = upstream.counted[0].body["input"]
        assert [item.get("role", item["type"]) for item in sent] == ["developer", "user", "assistant", "assistant"]
        (item,) = (each for each in answer["output"] if each["type"] == "compaction")
        back = await at.ask(model=model, input=[item, said("user", "So?")])
        assert text_of(back).split() == ["I", "know", "fact-blue"]
        assert [each["type"] for each in upstream.requests[-1].body["input"]] == ["compaction", "message"]
        elsewhere = {"model": at.model(f"{name}-2"), "input": [item, said("user", "So?")]}
        refused = await client.post("/responses", json=elsewhere)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_encrypted_content")
        assert item["id"] in refused.json()["error"]["message"]
        assert at.refused == []


async def test_a_provider_that_cannot_compact_fails_the_compaction() -> None:
    async with vendors(["chat_completions"]) as at, at.client() as client:
        upstream = at.upstreams["chat_completions"]
        more = {"dialect": "openai_responses", "base_url": upstream.url, "options": {"native_compaction": True}}
        at.parameters["providers/old"] = json.dumps({**more, "models": ["m"], "retries": 0})
        answer = await client.post("/responses/compact", json={"model": "old/m", "input": "x"})
    assert answer.status_code == 502


async def test_codex_compacts_with_what_it_sends() -> None:
    """The body is `CompactionInput` (codex-rs/codex-api/src/common.rs of openai/codex), which has the tools along; the
    other way is a create whose input ends with a trigger (codex-rs/core/src/compact_remote_v2.rs).
    """
    talk: list[Json] = [
        {"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]},
        *TALK,
        {"type": "reasoning", "summary": [], "encrypted_content": await seal().seal("p/m", "state")},
        {"type": "custom_tool_call", "call_id": "c1", "name": "exec", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "old-words"},
    ]
    asked: Json = {
        "model": "m",
        "instructions": "You are Codex.",
        "tools": [{"type": "function", "name": "shell", "parameters": {"type": "object"}}],
        "parallel_tool_calls": True,
        "reasoning": {"effort": "high", "summary": "auto"},
        "service_tier": "priority",
        "prompt_cache_key": "session",
        "text": {"verbosity": "low"},
    }
    window = await made(Reader(), **{**asked, "input": talk})
    kept = [item for item in window["output"] if item.get("role") == "user" or item["type"] == "compaction"]
    assert kinds(kept) == ["user", "compaction"]
    trigger, _ = await house(Reader()).create(**asked, input=[*talk, TRIGGER], store=False, stream=True)
    reader = Reader()
    environment = said("user", "<environment_context>")
    for item in (kept[-1], trigger["output"][0]):
        stripped = {name: item[name] for name in ("type", "encrypted_content")}
        go_on = [environment, kept[0], stripped, said("user", "Go on.")]
        response, _ = await house(reader).create(**asked, input=go_on, store=False)
        assert text_of(response) == "I know fact-blue"
        assert "environment_context" in text_in(reader.asked[-1])
        assert "old-words" not in text_in(reader.asked[-1])
