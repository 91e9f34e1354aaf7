"""The state of one response while it is being made: the only thing that survives between turns."""

from typing import Literal, TypeAlias

from pydantic import ConfigDict, Field

from ..schema.base import JsonObject, Wire
from ..schema.items import ClientCall, CustomToolCall, FunctionCall, Item
from ..schema.request import CreateResponse
from ..schema.response import Response, Usage
from ..schema.server_items import HostedToolCall, McpApprovalRequest, McpCall, ServerCall, WebSearchCall
from .bill import Bill, Hold, Taken, Used, taken_of
from .conversations import Lock
from .deltas import FinishReason
from .timeline import Timeline
from .usage import add_usage

ReasoningShown: TypeAlias = Literal["all", "summary", "encrypted"]
"""What a client may see: raw reasoning and summaries, summaries alone, or neither. It always gets the sealed state."""
REASONING_SHOWN: tuple[ReasoningShown, ...] = ("all", "summary", "encrypted")
"""From the most to the least."""
Call: TypeAlias = (
    FunctionCall | CustomToolCall | HostedToolCall | ClientCall | McpCall | McpApprovalRequest | WebSearchCall
)


def model_name(namespace: str | None, name: str) -> str:
    """What the model knows a tool by."""
    return f"{namespace.removesuffix('__')}__{name}" if namespace else name


SERVER_KINDS = ("hosted", "mcp", "search")
"""Of tools that this server runs."""


class OfferedTool(Wire):
    """A tool as the model sees it. `name` is unique within a run.

    `item_type` is the type of the item that a call of it makes. `wire_name` and `namespace` are what a
    client's call item carries: the client's name for the tool may differ from the model's. `parameters` is a JSON
    schema; for a custom tool it is the tool's format, for an upstream tool its whole definition, secrets included.

    A tool of an MCP server has the server's label, and the server's `annotations`; whoever calls one that
    `needs_approval` asks the client first. `settings` is what this server needs to run a call; nobody is shown it.
    A tool that `answers_later` has `timeout` seconds for its answer.
    """

    model_config = ConfigDict(defer_build=True)  # a run alone contains it

    name: str
    kind: Literal["function", "custom", "client", "hosted", "upstream", "mcp", "search"]
    item_type: str
    wire_name: str
    namespace: str | None = None
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None
    server_label: str | None = None
    annotations: JsonObject | None = None
    needs_approval: bool = False
    settings: JsonObject | None = None
    answers_later: bool = False
    timeout: float | None = None


class McpServer(Wire):
    """An MCP server of a run. One of the deployment is `configured`: its label is all that a run has of it.

    `sealed` are the credentials that the request brought, sealed for the tenant; empty if there are none.
    `listed`: its tools were listed for this response, which tells of it.
    """

    model_config = ConfigDict(defer_build=True)

    label: str
    url: str = ""
    sealed: str = ""
    configured: bool = False
    listed: bool = False
    narrowed: bool = False


class Approved(Wire):
    """A call that the request approved, and that no response has made yet. `index` is where in the input it did."""

    model_config = ConfigDict(defer_build=True)

    request_id: str
    server_label: str
    name: str
    arguments: str
    index: int = 0


class Run(Wire):
    """One response in the making. JSON round-trips exactly.

    `request` is what was asked, without its input; `context` is what the model is shown before this
    response's own output. `discarded` names items of dead turns: visible in the log, never shown again.
    `refused_turns` counts the turns up to the last in which the model called nothing that it may call.
    `usage` is of the turns that ended, `dead_usage` of those that died. `tried` counts, by item id, how often each
    call that has no answer yet was begun. `served` is the target that made the last turn. `next_batch` is where the log
    goes on, `version` counts the saves, `generation` the state machine's executions, `history` the events of the
    current one. `key_id` is the client key that asked, `allowed` patterns of the models that it may use (none: all),
    `created` the Unix time at which it asked.

    `turn_start` is the index of the first item of the last turn that ended, `began` of the last one that began. `kept`
    is how many items there were when the run was last saved. `streams`: a client is sent events that the log may lack.
    `said` counts the characters of what all turns made. `cut` is where the conversation begins that the model is shown:
    0 as long as all of it fits. `generate` is false for a response that only prepares the next one: no model is asked.
    `lock` is of the conversation that the response goes on from, `inherited` counts the items of `context` that are
    before the request's own.

    `compacts` says that this response is one compaction and nothing else, and what asked for it: a trigger in the
    input, or `/responses/compact`. `summary_usage` is of the summaries that compactions took. `rendered` are the tokens
    that the last turn read and said, 0 where a compaction came since.

    `parked` is the Unix time since which calls wait that answer later; 0 if none does.

    `servers` are the MCP servers whose tools are offered, `approved` the calls that the request approved.

    `by_target` is what each target did, dead turns included. `hold` is what the turn in the making, or the next one,
    holds of limits, and `cap` how many output tokens it may use; None if nothing limits them. `lowered`: it might use
    more, but for a limit. `held` tells of that turn: nobody was asked for it yet (`next`), or nobody knows what it took
    (`lost`). `counted` is what the limits know of what was taken. `trace` is the client's own span, as it told it
    (`core.spans`). `bill` is what was stored with its end. `timeline` is what was done so
    far.
    """

    model_config = ConfigDict(defer_build=True)  # no model contains a run
    __setattr__ = object.__setattr__  # as an event's

    response: Response
    request: CreateResponse
    context: list[Item] = []
    inherited: int = 0
    lock: Lock | None = None
    tools: list[OfferedTool] = []
    max_turns: int
    turns: int = 0
    turn_start: int = 0
    finish: FinishReason | None = None
    refused_turns: int = 0
    next_sequence: int = 0
    next_batch: int = 0
    version: int = 0
    generation: int = 0
    history: int = 0
    usage: Usage = Usage()
    dead_usage: Usage = Usage()
    summary_usage: Usage = Usage()
    discarded: list[str] = []
    tried: dict[str, int] = {}
    began: int = 0
    kept: int = 0
    said: int = 0
    cut: int = 0
    streams: bool = False
    reasoning: ReasoningShown = "all"
    served: str | None = None
    key_id: str = ""
    allowed: list[str] = []
    created: float = 0.0
    compacts: Literal["trigger", "request"] | None = None
    rendered: int = 0
    generate: bool = True
    parked: float = 0.0
    servers: list[McpServer] = []
    approved: list[Approved] = []
    by_target: list[Used] = []
    hold: Hold | None = None
    cap: int | None = None
    lowered: bool = False
    held: Literal["", "next", "lost"] = ""
    counted: Taken = Field(default_factory=Taken)
    trace: str = ""
    bill: Bill | None = None
    timeline: Timeline = Field(default_factory=Timeline)

    def at_rest(self) -> str:
        """The run as it is stored: without its context, which the records of its chain have, and without the items that
        it has made, which its log has.
        """
        return self.model_dump_json(exclude={"context": True, "response": {"output"}})

    def settled(self, start: int = 0) -> list[Item]:
        """This response's items from index `start` on, without those of dead turns."""
        return [item for item in self.response.output[start:] if item.id not in self.discarded]

    def all_items(self) -> list[Item]:
        """All of the conversation that is known here, whatever of it the model is still shown."""
        return [*self.context, *self.settled()]

    def added(self) -> list[Item]:
        """What this response adds to its conversation: what its request brought, and what it said; nothing if it failed
        or was cancelled.
        """
        ended_well = self.response.status in ("completed", "incomplete")
        return [*self.context[self.inherited :], *self.settled()] if ended_well else []

    def pending(self) -> tuple[ServerCall, ...]:
        """Calls that wait for this server to run them."""
        return tuple(item for item in self.settled() if isinstance(item, ServerCall) and item.status == "in_progress")

    def patience(self, call: ServerCall) -> float | None:
        """Seconds that the answer of a call may take whose tool answers later; None for any other call."""
        return next((tool.timeout for tool in self.tools if tool.answers_later and tool.item_type == call.type), None)

    def calls(self, start: int = 0) -> list[Call]:
        return [i for i in self.settled(start) if isinstance(i, Call)]

    def used(self) -> Usage:
        """The tokens of every turn, dead or not, and of every summary."""
        return add_usage(add_usage(self.usage, self.summary_usage), self.dead_usage)

    def spent(self) -> Taken:
        """What was taken that the limits don't know of: of what is held, all, where nobody knows how much it was."""
        taken = taken_of(self.by_target)
        held = Taken(tokens=self.hold.tokens, pico=self.hold.pico) if self.hold else Taken()
        unknown = taken.unpriced > self.counted.unpriced
        tokens, pico = max(0, taken.tokens - self.counted.tokens), max(0, taken.pico - self.counted.pico)
        return Taken(
            tokens=max(tokens, held.tokens) if self.held == "lost" else tokens,
            pico=max(pico, held.pico) if unknown or self.held == "lost" else pico,
        )


def tokens_left(run: Run) -> int | None:
    """Output tokens that the next turn may use, None if the request set no limit. Dead turns use up none of them."""
    limit = run.request.max_output_tokens
    return None if limit is None else max(0, limit - run.usage.output_tokens)
