"""Named runs that the always-true properties hold for: what a provider says, turn by turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from openresponses.core import deltas as d
from openresponses.core.run import Approved, Run
from openresponses.schema.content import LogProb, UrlCitation
from openresponses.schema.events import ToolProgress
from openresponses.schema.items import ExtensionItem
from tests.unit.kit import SERVERS, Said, new_run, usage

SEARCH = ExtensionItem.model_validate({"type": "web_search_call", "status": "in_progress"})
SEARCHING = ToolProgress(type="response.web_search_call.searching", item_id="theirs", output_index=7)


@dataclass(frozen=True)
class Case:
    turns: list[list[Said]]
    types: list[str]
    status: str = "completed"
    request: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    def new_run(self) -> Run:
        run = new_run(**self.request)
        return run.model_copy(update=self.run)


def text(said: str) -> list[Said]:
    return [d.Text("t", word) for word in said.split()]


def call(name: str, arguments: str = "{}", key: int = 0, call_id: str = "") -> list[Said]:
    half = len(arguments) // 2
    return [
        d.ToolCall(key, arguments[:half], call_id, name),
        d.ToolCall(key, arguments[half:]),
    ]


STOP = [usage(3), d.Finish("stop")]
ANSWER = [*text("It is sunny"), *STOP]
CITATION = UrlCitation(url="https://example.com/", start_index=0, end_index=2, title="Example")
APPROVED = Approved(request_id="mcpr_1", server_label="bank", name="pay", arguments='{"sum": 3}')
APPROVED_TOO = APPROVED.model_copy(update={"request_id": "mcpr_2"})
HOSTED, FUNCTION = "serverless:calculator", "function_call"

CASES = {
    "text": Case([ANSWER], ["message"]),
    "empty": Case([STOP], []),
    "text with logprobs and a citation": Case(
        [
            [
                d.Text("t", "It ", (LogProb(token="It", logprob=-0.1, bytes=[73, 116]),)),
                d.Annotation("t", CITATION),
                *ANSWER,
            ]
        ],
        ["message"],
    ),
    "refusal": Case([[d.Refusal("f", "I "), d.Refusal("f", "won't"), *STOP]], ["message"]),
    "text, then a refusal": Case([[*text("Well"), d.Refusal("f", "no"), *STOP]], ["message", "message"]),
    "reasoning, raw and summarised, with state to echo": Case(
        [
            [
                d.Reasoning("r", "hm "),
                d.Reasoning("r", "plan", 0),
                d.Reasoning("r", "so"),
                d.Reasoning("r", "act", 1),
                d.Opaque("r", "SIG"),
                d.End("r"),
                *ANSWER,
            ]
        ],
        ["reasoning", "message"],
    ),
    "a function call": Case(
        [[*text("I'll look"), *call("get_weather", '{"city": "Oslo"}', call_id="c1"), *STOP]],
        ["message", FUNCTION],
    ),
    "parallel function calls, interleaved": Case(
        [
            [
                d.ToolCall(0, "", "c1", "get_weather"),
                d.ToolCall(1, '{"a"', "c2", "get_weather"),
                d.ToolCall(0, "{}"),
                d.ToolCall(1, ":1}"),
                *STOP,
            ]
        ],
        [FUNCTION, FUNCTION],
    ),
    "a function of a namespace": Case([[*call("mcp__search"), *STOP]], [FUNCTION]),
    "a custom call": Case([[*call("shell", '{"input": "ls -l"}'), *STOP]], ["custom_tool_call"]),
    "a hosted call": Case(
        [[*text("Let me see"), *call("calculator", '{"expression": "1+1"}'), *STOP], ANSWER],
        ["message", HOSTED, "message"],
    ),
    "a hosted call that fails": Case([[*call("calculator", '"fail"'), *STOP], ANSWER], [HOSTED, "message"]),
    "hosted calls in parallel, over two turns": Case(
        [
            [*call("calculator"), *call("clock", key=1), *STOP],
            [d.Reasoning("r", "hm"), d.Opaque("r", "S2"), *call("calculator"), *STOP],
            ANSWER,
        ],
        [HOSTED, "serverless:clock", "reasoning", HOSTED, "message"],
    ),
    "a hosted call beside a function call": Case(
        [[*call("calculator"), *call("get_weather", key=1), *STOP]], [FUNCTION, HOSTED]
    ),
    "a call of an MCP server's tool": Case(
        [[*text("Let me see"), *call("docs__look", '{"what": "it"}'), *STOP], ANSWER],
        ["message", "mcp_call", "message"],
    ),
    "a call of an MCP server's tool that fails": Case(
        [[*call("docs__look", '"fail"'), *STOP], ANSWER], ["mcp_call", "message"]
    ),
    "calls of this server's in parallel": Case(
        [[*call("docs__note"), *call("web_search", '{"query": "it"}', 1), *call("clock", key=2), *STOP], ANSWER],
        ["mcp_call", "web_search_call", "serverless:clock", "message"],
    ),
    "a search, and the opening of a page": Case(
        [
            [*call("web_search", '{"query": "\\ud800 it"}'), *STOP],
            [*call("open_page", '{"url": "https://a.test/"}'), *STOP],
            ANSWER,
        ],
        ["web_search_call", "web_search_call", "message"],
    ),
    "a search that fails": Case(
        [[*call("web_search", '{"query": "fail"}'), *STOP], ANSWER], ["web_search_call", "message"]
    ),
    "a call that needs an approval": Case(
        [[*text("May I?"), *call("bank__pay", '{"sum": 3}'), *STOP]], ["message", "mcp_approval_request"]
    ),
    "a call that needs an approval beside some that don't": Case(
        [[*call("bank__pay"), *call("docs__look", key=1), *call("get_weather", key=2), *STOP]],
        ["function_call", "mcp_approval_request", "mcp_call"],
    ),
    "a call that needs an approval and was cut off": Case(
        [[d.ToolCall(0, '{"a', "c", "bank__pay"), *STOP]], ["mcp_call"], "incomplete"
    ),
    "cut amid a call of an MCP server's tool": Case(
        [[d.ToolCall(0, '{"a', "c", "docs__look"), d.Finish("length")]], ["mcp_call"], "incomplete"
    ),
    "too many calls of MCP servers' tools": Case(
        [[*call("docs__look"), *call("web_search", key=1), *STOP]],
        ["mcp_call", "web_search_call"],
        "incomplete",
        {"max_tool_calls": 1},
    ),
    "servers whose tools were listed, and an approved call": Case(
        [[*call("docs__look"), *STOP], ANSWER],
        ["mcp_list_tools", "mcp_list_tools", "mcp_call", "mcp_call", "message"],
        run={"servers": SERVERS, "approved": [APPROVED]},
    ),
    "more approved calls than the request allows": Case(
        [], ["mcp_call", "mcp_call"], "incomplete", {"max_tool_calls": 1}, {"approved": [APPROVED, APPROVED_TOO]}
    ),
    "a call of an unknown tool": Case([[*call("nope"), *STOP], ANSWER], ["serverless:rejected_call", "message"]),
    "a model that insists on an unknown tool": Case(
        [[*call("nope"), *STOP], [*call("nope"), *STOP], ANSWER], ["serverless:rejected_call"] * 2, "incomplete"
    ),
    "a call that the provider cut off without a word": Case(
        [[d.ToolCall(0, '{"a', "c", "get_weather"), *STOP]], [FUNCTION], "incomplete"
    ),
    "a hosted call that was cut off beside a whole one": Case(
        [[*call("calculator"), d.ToolCall(1, '{"a', "c", "clock"), *STOP]],
        [HOSTED, "serverless:clock"],
        "incomplete",
    ),
    "a second call where one is allowed": Case(
        [[*call("get_weather"), *call("get_weather", key=1), *STOP]],
        [FUNCTION, "serverless:rejected_call"],
        request={"parallel_tool_calls": False},
    ),
    "an item that the provider ran": Case(
        [[d.Whole(ExtensionItem.model_validate({"type": "acme:search", "query": "x"})), *ANSWER]],
        ["acme:search", "message"],
    ),
    "a tool that the provider runs": Case(
        [[d.Progress("s", SEARCH), d.Progress("s", event=SEARCHING), d.End("s"), *ANSWER]],
        ["web_search_call", "message"],
    ),
    "cut amid a tool that the provider runs": Case(
        [[d.Progress("s", SEARCH), d.Progress("s", event=SEARCHING), d.Finish("length")]],
        ["web_search_call"],
        "incomplete",
    ),
    "cut for length": Case([[*text("It is"), usage(2), d.Finish("length")]], ["message"], "incomplete"),
    "cut amid the arguments": Case(
        [[d.ToolCall(0, '{"a', "c", "get_weather"), d.Finish("length")]], [FUNCTION], "incomplete"
    ),
    "cut amid a hosted call": Case(
        [[d.ToolCall(0, '{"a', "c", "clock"), d.Finish("length")]], ["serverless:clock"], "incomplete"
    ),
    "cut after a hosted call": Case(
        [[*call("clock"), d.End(0), *text("so"), d.Finish("length")]], ["serverless:clock", "message"], "incomplete"
    ),
    "filtered": Case([[*text("It"), d.Finish("content_filter")]], ["message"], "incomplete"),
    "too many calls": Case(
        [[*call("clock"), *call("clock", key=1), *STOP]],
        ["serverless:clock", "serverless:clock"],
        "incomplete",
        {"max_tool_calls": 1},
    ),
    "too many turns": Case([[*call("clock"), *STOP]] * 8, ["serverless:clock"] * 8, "incomplete"),
    "out of tokens between turns": Case(
        [[*call("clock"), usage(16), d.Finish("stop")]], ["serverless:clock"], "incomplete", {"max_output_tokens": 16}
    ),
}
