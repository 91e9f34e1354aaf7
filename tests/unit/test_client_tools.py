"""OpenAI's tools that the client runs, and what Codex sends. Shapes of Codex: what version 0.171 sent, recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.client_tools import shown_to_model
from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import turn_of
from openresponses.dialects._shared.history import NO_OUTPUT
from openresponses.responses.intake import input_items
from openresponses.responses.offering import offered_tools
from openresponses.schema.items import FunctionCall, FunctionCallOutput, Message
from openresponses.schema.request import CreateResponse
from tests.contract.turns import encode, turn_for
from tests.unit.kit import Script, new_run, play

Json = dict[str, Any]
NOTES = {
    "type": "namespace",
    "name": "mcp__notes",
    "description": "Tools in the mcp__notes namespace.",
    "tools": [{"type": "function", "name": "write_note", "strict": False, "defer_loading": True, "parameters": None}],
}


def request(*items: Json, **fields: Any) -> CreateResponse:
    return CreateResponse.model_validate({"model": "m", "input": list(items), **fields})


async def called(tool: Json, name: str, arguments: Json) -> Json:
    """The item that a model's call becomes."""
    offered = await offered_tools(request(tools=[tool]), None)  # type: ignore[arg-type]
    run = new_run(tools=offered.tools)
    call = d.ToolCall(0, json.dumps(arguments), call_id="call_1", name=name)
    await play(run, Script([[call, d.Finish("stop")], [d.Text(0, "gave up"), d.Finish("stop")]]))
    return run.response.output[0].model_dump(mode="json")


@pytest.mark.parametrize(
    ("tool", "name", "arguments", "made"),
    [
        (
            {"type": "shell", "environment": {"type": "local"}},
            "shell",
            {"commands": ["ls"]},
            {"type": "shell_call", "action": {"commands": ["ls"], "timeout_ms": None, "max_output_length": None}},
        ),
        (
            {"type": "local_shell"},
            "local_shell",
            {"command": ["ls"]},
            {"type": "local_shell_call"},
        ),
        (
            {"type": "apply_patch"},
            "apply_patch",
            {"type": "delete_file", "path": "a"},
            {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
        ),
        (
            {"type": "computer"},
            "computer",
            {"actions": [{"type": "screenshot"}]},
            {"type": "computer_call", "actions": [{"type": "screenshot"}], "pending_safety_checks": []},
        ),
        (
            {"type": "tool_search", "execution": "client", "description": "Find.", "parameters": {"type": "object"}},
            "tool_search",
            {"query": "write note", "limit": 3},
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "write note", "limit": 3}},
        ),
    ],
)
async def test_a_call_is_the_item_that_the_sdk_knows(tool: Json, name: str, arguments: Json, made: Json) -> None:
    item = await called(tool, name, arguments)
    assert item.items() >= {"call_id": "call_1", "status": "completed", **made}.items()
    (read,) = input_items(request({**item}), "resp_0", {})
    assert shown_to_model(read) == FunctionCall(
        id=item["id"], call_id="call_1", name=name, arguments=json.dumps(arguments)
    )


async def test_arguments_that_make_no_item_are_refused_to_the_model() -> None:
    item = await called({"type": "shell"}, "shell", {"command": "ls"})
    assert (item["type"], item["status"]) == ("serverless:rejected_call", "failed")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"type": "local_shell_call_output", "id": "c", "output": "ok"}, "ok"),
        ({"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": None}, "failed"),
        (
            {
                "type": "tool_search_output",
                "call_id": "c",
                "execution": "client",
                "status": "completed",
                "tools": [NOTES],
            },
            "You can call these tools now: mcp__notes__write_note",
        ),
    ],
)
def test_an_output_goes_to_any_model_as_a_functions(sent: Json, shown: str) -> None:
    (item,) = input_items(request(sent), "resp_0", {})
    answer = shown_to_model(item)
    assert isinstance(answer, FunctionCallOutput)
    assert (answer.call_id, answer.output) == ("c", shown)


async def test_the_tools_that_a_search_found_can_be_called() -> None:
    asked = request({"type": "tool_search_output", "call_id": "c", "execution": "client", "tools": [NOTES]})
    (tool,) = (await offered_tools(asked, None, input_items(asked, "resp_0", {}))).tools  # type: ignore[arg-type]
    assert (tool.name, tool.namespace, tool.wire_name) == ("mcp__notes__write_note", "mcp__notes", "write_note")


async def test_a_custom_member_of_a_namespace_is_called_by_its_bare_name() -> None:
    tool = {"type": "namespace", "name": "functions", "description": "", "tools": [{"type": "custom", "name": "exec"}]}
    item = await called(tool, "functions__exec", {"input": "text(1)"})
    assert (
        item.items()
        >= {"type": "custom_tool_call", "namespace": "functions", "name": "exec", "input": "text(1)"}.items()
    )


def test_a_message_of_an_agent_is_shown_as_the_users() -> None:
    content = [
        {"type": "input_text", "text": "Message Type: NEW_TASK"},
        {"type": "encrypted_content", "encrypted_content": "Say hi."},
    ]
    sent = {"type": "agent_message", "author": "/root", "recipient": "/root/helper", "content": content}
    (item,) = input_items(request(sent), "resp_0", {})
    shown = shown_to_model(item)
    assert isinstance(shown, Message)
    assert [shown.role, *(part.text for part in shown.content if part.type == "input_text")] == [
        "user",
        "Message Type: NEW_TASK",
        "Say hi.",
    ]
    assert item.model_dump(mode="json")["content"] == content


def test_an_item_of_the_chain_is_refused_by_its_id() -> None:
    with pytest.raises(RequestError, match="msg_1") as refused:
        input_items(request({"role": "user", "content": "x", "id": "msg_1"}), "resp_0", {}, {"msg_1"})
    assert (refused.value.param, refused.value.code) == ("input[0].id", "duplicate_item")


@pytest.mark.parametrize("name", ["__fake_id__", "msg_1"])
def test_items_that_share_an_id_get_ids_of_their_own(name: str) -> None:
    said = {"role": "user", "content": "x", "id": name}
    ids = [item.id for item in input_items(request(said, said), "resp_0", {}, {"__fake_id__"} - {name})]
    assert len(set(ids)) == 2


def test_nulls_are_as_good_as_absent() -> None:
    said = {"type": "output_text", "text": "x", "annotations": None, "logprobs": None}
    items = input_items(
        request(
            {"type": None, "role": "assistant", "content": [said], "id": None, "status": None, "phase": None},
            {"role": "assistant", "content": None},
            {"type": "reasoning", "id": None, "summary": None, "content": None, "status": None},
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": None}]},
        ),
        "resp_0",
        {},
    )
    assert [item.type for item in items] == ["message", "message", "reasoning", "message"]


async def test_a_past_call_of_the_clients_goes_to_a_model_as_a_functions() -> None:
    run = new_run(tools=[])
    call = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}
    output = {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "a"}]}
    run.context = input_items(request(call, output), "resp_0", {})
    assert [item.type for item in turn_of(run, "m").items] == ["function_call", "function_call_output"]


@pytest.mark.parametrize("tool", ["shell", "local_shell", "apply_patch", "computer", "tool_search"])
async def test_a_call_that_was_cut_off_is_not_given_to_the_client_to_run(tool: str) -> None:
    asked = request(tools=[{"type": tool, "execution": "client"}])
    run = new_run(tools=(await offered_tools(asked, None)).tools)  # type: ignore[arg-type]
    script = Script([[d.ToolCall(0, '{"commands": ["rm -rf /tmp', call_id="call_1", name=tool), d.Finish("length")]])
    events = await play(run, script)
    assert (run.response.status, run.response.output[0].type) == ("incomplete", "serverless:rejected_call")
    assert run.response.output[0].status == "incomplete"  # type: ignore[union-attr]
    assert not any(f"{tool}_call" in str(event) for event in events)


@pytest.mark.parametrize("status", ["completed", "in_progress", "incomplete"])
@pytest.mark.parametrize("dialect", ["openai_responses", "chat_completions", "anthropic", "gemini", "bedrock"])
def test_a_call_without_an_output_is_answered_for_the_model(dialect: str, status: str) -> None:
    call = {"type": "shell_call", "call_id": "call_1", "action": {"commands": ["ls"]}, "status": status}
    asked = request({"role": "user", "content": "hi"}, call, {"role": "user", "content": "go on"})
    settings = ProviderSettings(name="v", dialect=dialect, base_url="http://v")
    assert NO_OUTPUT in json.dumps(encode(turn_for(asked), settings))
