"""The toolbox: what a tool is offered as, and that nothing a tool does can fail a response."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openresponses.core.answers import MAX_OUTPUT
from openresponses.core.errors import RequestError
from openresponses.core.ports import Offer, Offerable, ToolOutput, Tools
from openresponses.core.run import OfferedTool, Run
from openresponses.responses.offering import offered_tools
from openresponses.schema.request import CreateResponse
from openresponses.schema.server_items import HostedToolCall, McpListTools, ServerCall
from openresponses.schema.tools import HostedTool
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles
from openresponses.toolbox.source import ToolFailed, ToolMisconfigured
from openresponses.tools.clock import time_in
from tests.unit.kit import new_run

ON_TRIAL = "tests.contract.tools_on_trial"
CLOCK = {"type": "serverless:clock"}


def calling(kind: str, arguments: object, name: str = "") -> HostedToolCall:
    said = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return HostedToolCall(
        type=f"serverless:{kind}", id="h", call_id="c", name=name or kind, arguments=said, status="in_progress"
    )


async def call(name: str, arguments: object = "{}", package: str = ON_TRIAL) -> ToolOutput:
    return await Toolbox([ToolFiles(package)]).call(calling(name, arguments), new_run())


async def calculate(expression: str) -> ToolOutput:
    return await Toolbox([ToolFiles()]).call(calling("calculator", {"expression": expression}), new_run())


async def offered(name: str, package: str = ON_TRIAL) -> OfferedTool:
    offer = await ToolFiles(package).offer(HostedTool(type=f"serverless:{name}"))
    assert offer is not None
    (tool,) = offer.tools
    return tool


async def test_it_is_the_port_that_the_core_asks_for() -> None:
    tools: Tools = Toolbox([ToolFiles()])
    assert await tools.offer(HostedTool(type="serverless:clock")) == Offer(
        [await offered("clock", "openresponses.tools")]
    )


def test_tools_are_found_by_file_name() -> None:
    assert ToolFiles(ON_TRIAL).names == ("blocks", "broken", "describes", "overruns", "raises", "speaks")


@pytest.mark.parametrize("name", ["nope", "_private", "rejected_call", "c" * 65])
async def test_what_is_not_here_is_not_offered(name: str) -> None:
    assert await Toolbox([ToolFiles(ON_TRIAL)]).offer(HostedTool(type=f"serverless:{name}")) is None


class Shop:
    """A source that offers several tools for one definition, as an MCP server does."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        kind = "serverless:shop"
        if tool.type not in ("mcp", kind):
            return None
        return Offer([OfferedTool(name=name, kind="hosted", item_type=kind, wire_name=name) for name in self.names])

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        if call.name == "steal":
            raise ToolFailed("That is forbidden.")
        return ToolOutput(f"{call.name}ed") if call.name in self.names else None


@pytest.mark.parametrize("declared", [{"type": "serverless:shop"}, {"type": "mcp", "server_label": "shop"}])
async def test_one_definition_may_stand_for_many_tools(declared: Any) -> None:
    request = CreateResponse.model_validate({"model": "m", "input": "hi", "tools": [CLOCK, declared]})
    toolbox = Toolbox([ToolFiles(), Shop("look", "want")])
    tools = await offered_tools(request, toolbox)
    assert [(tool.name, tool.item_type) for tool in tools.tools] == [
        ("clock", "serverless:clock"),
        ("look", "serverless:shop"),
        ("want", "serverless:shop"),
    ]
    twice = CreateResponse.model_validate({"model": "m", "input": "hi", "tools": [declared, declared]})
    with pytest.raises(RequestError, match="is declared twice"):
        await offered_tools(twice, toolbox)


async def test_a_call_is_run_by_the_first_source_that_has_its_tool() -> None:
    toolbox = Toolbox([Shop("want"), Shop("look", "want", "steal")])
    assert await toolbox.call(calling("shop", "", "look"), new_run()) == ToolOutput("looked")
    assert await toolbox.call(calling("shop", "", "steal"), new_run()) == ToolOutput("That is forbidden.", failed=True)
    missing = await toolbox.call(calling("shop", "", "eat"), new_run())
    assert missing == ToolOutput("There is no tool named 'eat' here. Go on without it.", failed=True)


async def test_a_signature_and_a_docstring_make_the_offer() -> None:
    assert await offered("describes") == OfferedTool(
        name="describes",
        kind="hosted",
        item_type="serverless:describes",
        wire_name="describes",
        description="Report the weather of a place.",
        parameters={
            "type": "object",
            "properties": {
                "place": {"$ref": "#/$defs/Place", "description": "Where. It may take two lines."},
                "unit": {
                    "type": "string",
                    "enum": ["c", "f"],
                    "default": "c",
                    "description": "Of the temperature: c or f.",
                },
                "days": {"type": "integer", "minimum": 1, "maximum": 7, "default": 1, "description": "How many days."},
                "size": {"type": "integer", "default": 0},
            },
            "required": ["place"],
            "additionalProperties": False,
            "$defs": {
                "Place": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}, "title": {"type": "string", "default": ""}},
                    "required": ["city"],
                }
            },
        },
    )


def test_the_project_ships_these_tools() -> None:
    assert {"calculator", "clock"} <= set(ToolFiles().names)


@pytest.mark.parametrize("name", ["calculator", "clock"])
async def test_our_own_tools_describe_themselves_and_every_parameter(name: str) -> None:
    tool = await offered(name, "openresponses.tools")
    assert tool.description
    properties: Any = (tool.parameters or {})["properties"]
    assert all(each["description"] for each in properties.values())


async def test_a_file_that_is_no_tool_is_its_authors_mistake_and_harms_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client learns the class. Where tracebacks are asked for, it learns the place, and the log the traceback."""
    package = f"own_tools_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / package
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    wrong = {
        "unparsed": ("x = 1\ndef unparsed(:\n", "SyntaxError", 2),
        "unimported": ("import json\n\nimport no_such_package\n", "ModuleNotFoundError", 3),
        "stops": ("import sys\n\n\ndef leave() -> None:\n    sys.exit(3)\n\n\nleave()\n", "SystemExit", 5),
        "untyped": ('"""A tool."""\n\ndef untyped(word) -> str:\n    return word\n', "TypeError", 3),
        "un-named": ("def unnamed() -> str:\n    return 'x'\n", "TypeError", 1),
        "misnamed": ("def other() -> str:\n    return 'x'\n", "TypeError", 1),
        "unschemed": ("class Odd: ...\n\ndef unschemed(x: Odd) -> str:\n    return ''\n", "PydanticSchemaGen", 3),
        "good": ("def good() -> str:\n    return {}['no']\n", "", 2),
    }
    for name, (text, _, _) in wrong.items():
        (folder / f"{name}.py").write_text(text)
    for traced in (False, True):
        caplog.clear()
        tools = Toolbox([ToolFiles(package, traced=traced)])
        for name, (_, kind, line) in wrong.items():
            caplog.clear()
            if not kind:
                assert await tools.offer(HostedTool(type=f"serverless:{name}"))
                output = await tools.call(calling(name, "{}"), new_run())
                assert output == ToolOutput("good failed: KeyError: 'no'", failed=True)
                kind = "KeyError"
            else:
                with pytest.raises(ToolMisconfigured) as refused:
                    await tools.offer(HostedTool(type=f"serverless:{name}"))
                error = refused.value
                assert (error.status, error.code) == (500, "tool_misconfigured")
                assert f"'{name}'" in error.message
                assert kind in error.message
                assert (f"{package}/{name}.py:{line}: " in error.message) is traced
                assert (await tools.call(calling(name, "{}"), new_run())).failed
            (told, *_) = caplog.messages
            if not traced:
                assert told.startswith(f"tool {name} ")
                assert kind in told
                assert str(folder) not in told
                continue
            record = json.loads(told)
            assert (record["file"], record["line"]) == (str(folder / f"{name}.py"), line)
            assert record["error"].startswith(kind)
            frames = [each for each in record["exception"].splitlines() if each.startswith('  File "')]
            assert all(str(folder) in frame for frame in frames[:1])
            assert "toolbox" not in record["exception"]
    assert (await ToolFiles().offer(HostedTool(type="serverless:clock"))) is not None


def test_finding_the_tools_imports_none_of_them() -> None:
    code = f"""
import asyncio, sys
from openresponses.schema.tools import HostedTool
from openresponses.toolbox.files import ToolFiles
assert "broken" in ToolFiles({ON_TRIAL!r}).names and asyncio.run(ToolFiles().offer(HostedTool(type="serverless:clock")))
print([name for name in sys.modules if name.startswith(({ON_TRIAL + "."!r}, "openresponses.tools."))])
"""
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == "['openresponses.tools.clock']"


async def test_an_output_that_is_no_text_is_json() -> None:
    output = await call("describes", {"place": {"city": "Oslo"}, "days": "2"})
    assert output == ToolOutput('{"on":"2026-01-02","lines":["Oslo c 2",""]}')


async def test_an_output_that_is_too_long_is_cut_and_says_so() -> None:
    output = await call("describes", {"place": {"city": "Oslo"}, "size": MAX_OUTPUT})
    assert output.text.endswith(f"[cut: this is 20000 of {MAX_OUTPUT + 43} characters]")
    assert not output.failed


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nope", "{}", "There is no tool named 'nope' here"),
        ("raises", '{"reason": "value"}', "Say something else."),
        ("raises", '{"reason": "key"}', "raises failed: KeyError: 'key'"),
        ("raises", '{"reason": "exit"}', "raises failed: SystemExit: 3"),
        ("raises", '{"reason": "odd"}', "raises failed: TypeError: it returned what can't be JSON"),
        ("raises", "{}", "Wrong arguments for raises. reason: Field required. It takes reason."),
        ("raises", '{"reason": 3}', "reason: Input should be a valid string"),
        ("raises", '{"reason": "x", "more": 1}', "more: Extra inputs are not permitted"),
        ("raises", "{", "The arguments of raises are not JSON"),
        ("raises", "[" * 100_000, "The arguments of raises are not JSON"),
        ("raises", '["value"]', "The arguments of raises must be a JSON object with reason."),
        ("raises", "null", "must be a JSON object"),
        ("raises", '{"reason": 1e999}', "1e999 is no number that JSON has"),
        ("raises", "", "reason: Field required"),
        ("describes", '{"place": {"city": 1}}', "place.city: Input should be a valid string"),
        ("overruns", "{}", "overruns took longer than 0.05 seconds and was given up."),
        ("blocks", "{}", "blocks took longer than 0.05 seconds and was given up."),
    ],
)
async def test_whatever_goes_wrong_is_an_output_that_the_model_can_read(
    name: str, arguments: str, message: str
) -> None:
    output = await call(name, arguments)
    assert output.failed
    assert message in output.text
    assert "Traceback" not in output.text
    assert len(output.text) < 1_200


async def test_a_call_that_is_cancelled_is_not_an_output() -> None:
    task = asyncio.ensure_future(Toolbox([ToolFiles(ON_TRIAL)]).call(calling("blocks", {"seconds": 0.1}), new_run()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("15 * 37", "555"),
        ("2 + 3 * 4", "14"),
        ("(2+3)*4^2", "80"),
        ("2**10", "1024"),
        ("-2 ** 2", "-4"),
        ("7 / 2", "3.5"),
        ("6 / 3", "2"),
        ("10**30 / 10", "1" + "0" * 29),
        ("2**200", str(2**200)),
        ("7 // 2", "3"),
        ("-7 % 3", "2"),
        ("0.1 + 0.2", "0.3"),
        ("1e3", "1000"),
        ("1/3", "0.333333333333333"),
        ("-0.0", "0"),
        ("3 \u00d7 4 \u00f7 2 \u2212 1", "5"),
        ("2 \u00b7 \u03c0", "6.28318530717959"),
        ("sqrt(16) + cbrt(27)", "7"),
        ("log(e)", "1"),
        ("log(8, 2)", "3"),
        ("round(3.14159, 2)", "3.14"),
        ("round(2.5)", "2"),
        ("max(1, 2, 3) - min(4, 5)", "-1"),
        ("factorial(20)", "2432902008176640000"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("sin(pi / 2)", "1"),
        ("1 < 2 <= 2", "true"),
        ("1 + 1 == 3", "false"),
        ("1_000 + 0x1f", "1031"),
        ("  1 +\n\t1 ", "2"),
        ("1" + "+1" * 249, "250"),
        ("-" * 499 + "1", "-1"),
        ("(" * 99 + "1" + ")" * 99, "1"),
    ],
)
async def test_the_calculator_calculates(expression: str, result: str) -> None:
    assert await calculate(expression) == ToolOutput(result)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "The expression is empty."),
        ("1 / 0", "at character 1: division by zero"),
        ("0 ** -1", "division by zero"),
        ("2 + foo", "at character 5: 'foo' is unknown or misused here; known are pi, e, tau, abs,"),
        ("  2 ^ bar", "at character 7: 'bar' is unknown"),
        ("sqrt", "'sqrt' is unknown or misused"),
        ("1,000 + 1", "write 1000000, not 1,000,000"),
        ("sqrt(-1)", "at character 1: "),
        ("(-8) ** 0.5", "not a real number"),
        ("max()", "at character 1: "),
        ("gcd(2.5, 1)", "integer"),
        ("(1", "at character 1: "),
        ("5 5", "at character "),
        ("1 + '2'", "Character 5 of the expression"),
        ("[1] * 3", "Character 1 of the expression"),
        ("lambda: 1", "Character 7 of the expression"),
        ("(1).real", "'1 .real' is not arithmetic"),
        ("1 if 1 else 2", "is not arithmetic"),
        ("not 1", "is not arithmetic"),
        ("True + 1", "is not arithmetic"),
        ("1j", "is not arithmetic"),
        ("print(1)", "'print' is unknown"),
        ("1 in 2", "only == != < <= > >="),
        ("(1 < 2) + 1", "is not arithmetic"),
        ("9**9**9**9", "more than 1000 digits"),
        ("2**10000000000000", "more than 1000 digits"),
        ("3**3321", "more than 1000 digits"),
        ("(10**900) * (10**900)", "more than 1000 digits"),
        ("factorial(401)", "from 0 to 400"),
        ("factorial(2.5)", "from 0 to 400"),
        ("round(5, -10**9)", "whole number of digits"),
        ("1e999", "too large for floating point"),
        ("1.5**10000", "too large for floating point"),
        ("exp(1000)", "too large for floating point"),
        ("10**400 / 3", "too large for floating point"),
        ("(" * 210 + "1" + ")" * 210, "at character "),
        ("1" * 501, "501 characters; 500 is the limit"),
        ("\x00", "Character 1 of the expression"),
    ],
)
async def test_the_calculator_says_what_it_cannot_do(expression: str, message: str) -> None:
    output = await calculate(expression)
    assert output.failed
    assert message in output.text


NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("UTC", {"time": "2026-07-01T12:00:00+00:00", "weekday": "Wednesday", "zone": "UTC", "utc_offset": "+00:00"}),
        (
            "Asia/Tokyo",
            {"time": "2026-07-01T21:00:00+09:00", "weekday": "Wednesday", "zone": "Asia/Tokyo", "utc_offset": "+09:00"},
        ),
        (
            "america/st johns",
            {
                "time": "2026-07-01T09:30:00-02:30",
                "weekday": "Wednesday",
                "zone": "America/St_Johns",
                "utc_offset": "-02:30",
            },
        ),
        (
            "Auckland",
            {
                "time": "2026-07-02T00:00:00+12:00",
                "weekday": "Thursday",
                "zone": "Pacific/Auckland",
                "utc_offset": "+12:00",
            },
        ),
    ],
)
def test_the_clock_tells_the_time_in_a_zone(zone: str, told: dict[str, str]) -> None:
    assert time_in(zone, NOON) == told


@pytest.mark.parametrize("zone", ["", "Z", "utc", "GMT", " UTC "])
def test_utc_needs_no_data(zone: str) -> None:
    assert time_in(zone, NOON)["zone"] == "UTC"


@pytest.mark.parametrize(
    ("zone", "message"),
    [
        ("Europe/Pariss", "Did you mean Europe/Paris"),
        ("Europe", "Unknown time zone 'Europe'"),
        ("../../../etc/passwd", "Unknown time zone"),
        ("/etc/passwd", "Unknown time zone"),
        ("qqqqqqq", 'Use an IANA name such as "Europe/Paris".'),
        ("a\x00b", "Unknown time zone"),
        ("\ud800", "Unknown time zone"),
    ],
)
def test_an_unknown_zone_is_answered_with_near_names(zone: str, message: str) -> None:
    with pytest.raises(ValueError, match="Unknown time zone") as caught:
        time_in(zone, NOON)
    assert message in str(caught.value)


async def test_the_clock_runs_as_a_tool() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    output = await Toolbox([ToolFiles()]).call(calling("clock", {}), new_run())
    assert datetime.fromisoformat(json.loads(output.text)["time"]) >= before
