"""Every item, tool and tool choice that OpenAI's SDK can send, through the engine to each dialect's wire.

The samples are made from the SDK's own types, so a member that is new in the SDK is tried as soon as it is there.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import pytest
from openai.types.responses.response_create_params import ToolChoice
from openai.types.responses.response_input_item_param import ResponseInputItemParam
from openai.types.responses.tool_param import ToolParam

from openresponses.api.body import parse_create
from openresponses.core import deltas as d
from openresponses.core.errors import RequestError
from openresponses.core.ports import Offer, Offerable
from openresponses.core.run import McpServer, OfferedTool
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn, turn_of
from openresponses.dialects import connect
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.schema.server_items import McpListTools
from openresponses.schema.tools import McpTool
from tests.contract.machine import House
from tests.contract.sdk_samples import Fields, Json, members, samples
from tests.openresponses_schema import check_response
from tests.unit.kit import Script, Tools

NO_FILE = r"input\[\d\]\.(content|output)\[0\]: .* '(input_image|input_file)' without"
NO_TOOL = r"[\w\[\].]+\.type: This server has no tool '(shell' in a container|programmatic_tool_calling')"
ELSEWHERE = (
    r"[\w\[\].]+\.(connector_id|tunnel_id|server_url): (Only OpenAI can reach|'server_url' must be an https URL)"
)
NOBODY = {
    "EasyInputMessageParam": NO_FILE,
    "Message": NO_FILE,
    "ComputerCallOutput": NO_FILE,
    "ResponseCustomToolCallOutputParam": NO_FILE,
    "FunctionCallOutput": rf"{NO_FILE}|input\[2\]\.call_id: ",
    "ResponseToolSearchOutputItemParamParam": rf"{NO_TOOL}|input\[2\]\.tools\[0\]\.headers: This is stored",
    "AdditionalTools": rf"{NO_TOOL}|{ELSEWHERE}",
    "Mcp": ELSEWHERE,
    "McpApprovalResponse": r"input\[1\]\.approval_request_id: No request for approval",
    "FunctionShellToolParam": NO_TOOL,
    "ProgrammaticToolCalling": NO_TOOL,
    "ToolChoiceSpecificProgrammaticToolCallingParam": r"tool_choice: .*'programmatic_tool_calling'",
}
"""What nobody can run, by the member: the refusal's `param: message`. An image or a file must say which; an output, of
which call.
"""
PROVIDERS = (
    r"provider (doesn't run the tool '\w+'|can't be sent ('?input_|a part of type 'input_|an item of type 'compaction))"
    r"|^$|'tool_choice' needs a tool that this model's provider doesn't run|can't be made to use its own tools"
)
"""What some providers can't."""
OPENAI = ("openai", "openai_responses", "https://api.openai.com/v1", "gpt-5.6")
OTHERS = [
    ("v", "openai_responses", "http://v", "m"),
    ("v", "chat_completions", "http://v", "m"),
    ("v", "anthropic", "http://v", "claude-sonnet-5"),
    ("v", "gemini", "http://v", "gemini-3-pro"),
    ("v", "bedrock", "http://v", "anthropic.claude-sonnet-5"),
]


class Asking(Tools):
    """Asks every MCP server, which has one tool."""

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        if not isinstance(tool, McpTool):
            return await super().offer(tool, known)
        label = tool.server_label
        found = OfferedTool(
            name=f"{label}__name", kind="mcp", item_type="mcp_call", wire_name="name", server_label=label, parameters={}
        )
        return Offer([found], McpServer(label=label))


@cache
def dialect(name: str, dialect: str, base_url: str) -> HttpDialect:
    """One whose clients may name what is in its account."""
    provider = connect(ProviderSettings(name=name, dialect=dialect, base_url=base_url, options={"shared_files": True}))
    assert isinstance(provider, HttpDialect)
    return provider


def refusal(provider: HttpDialect, turn: Turn) -> str:
    """Of a dialect that can't send the turn."""
    try:
        provider.encode(turn)
    except RequestError as error:
        return error.message
    return ""


async def refusals(house: House, **request: Any) -> set[str]:
    """How the server, or OpenAI's preset, refuses the request. Raises AssertionError for a refusal that another
    dialect may not give.
    """
    try:
        run, _ = await house.new.accept(parse_create(json.dumps({"model": "m", **request}).encode()))
        check_response(json.loads(run.response.model_dump_json()))
        dialect(*OPENAI[:3]).encode(turn_of(run, OPENAI[3]))
    except RequestError as error:
        return {f"{error.param}: {error.message}"}
    answers = (refusal(dialect(*settings), turn_of(run, model)) for *settings, model in OTHERS)
    assert [each for each in answers if not re.search(PROVIDERS, each)] == [], request
    return set()


def check(member: Any, refused: set[str]) -> None:
    pattern = NOBODY.get(member.__name__)
    assert bool(refused) == bool(pattern), refused
    assert all(re.match(pattern or "", each) for each in refused), refused


def named(union: Any) -> Any:
    return pytest.mark.parametrize("member", [pytest.param(each, id=each.__name__) for each in members(union)])


def all_samples(member: Any) -> list[Any]:
    return [each for fields in Fields for each in samples(member, fields)]


@named(ResponseInputItemParam)
async def test_an_item_is_understood(member: Any) -> None:
    house = House(Script([[d.Text(0, "hi"), d.Finish("stop")]]), Asking())
    stored, _ = await house.create()
    refused = set[str]()
    for item in all_samples(member):
        before: list[Json] = [{"role": "user", "content": "hi"}]
        if str(item.get("type")).endswith(("call_output", "search_output")):
            call_id = item.get("call_id") or item.get("id") or "call_id"
            before.append({"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"})
        elif member.__name__ == "ItemReference":
            item["id"] = stored["output"][0]["id"]
        refused |= await refusals(house, input=[*before, item])
    check(member, refused)


@named(ToolParam)
async def test_a_tool_is_understood(member: Any) -> None:
    house, refused = House(Script([]), Asking()), set[str]()
    for tool in all_samples(member):
        refused |= await refusals(house, input="hi", tools=[tool])
    check(member, refused)


TOOLS: list[Json] = [
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "c"},
    *({"type": kind} for kind in ("web_search", "shell", "apply_patch", "computer", "image_generation")),
    {"type": "file_search", "vector_store_ids": ["v"]},
    {"type": "code_interpreter", "container": "c"},
    {"type": "mcp", "server_label": "server_label", "server_url": "https://example.com/mcp"},
    {"type": "web_search_preview"},
    {"type": "web_search_preview_2025_03_11"},
]
CHOSEN: list[Json] = [
    {"type": "function", "name": "f"},
    {"type": "mcp", "server_label": "server_label"},
    {"type": "image_generation"},
]


@named(ToolChoice)
async def test_a_tool_choice_is_understood(member: Any) -> None:
    house, refused = House(Script([]), Asking()), set[str]()
    for choice in all_samples(member):
        match choice:
            case {"type": "allowed_tools"}:
                choice["tools"] = CHOSEN
            case {"type": "function" | "custom", "name": _}:
                choice["name"] = choice["type"][0]
            case _:
                pass
        refused |= await refusals(house, input="hi", tools=TOOLS, tool_choice=choice)
    check(member, refused)


def test_the_refused_members_are_the_sdks() -> None:
    assert {
        each.__name__ for union in (ResponseInputItemParam, ToolParam, ToolChoice) for each in members(union)
    } > set(NOBODY)
