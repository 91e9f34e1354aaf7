"""One turn as a provider is asked for it: a view of the run, made anew for each turn."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.server_items import WebSearchCall
from ..schema.timeline import Attempt
from ..schema.tools import AllowedTools, NamedToolChoice, ToolChoiceMode, UpstreamTool
from .citations import numbers_of
from .cut import left_after
from .run import OfferedTool, Run, tokens_left
from .shown import shown
from .tool_schemas import with_plain_schema
from .window import window


@dataclass(frozen=True, slots=True)
class Turn:
    """`model` is as the request names it; a provider is given its own name for it. `items` is the whole context,
    oldest first. `tools` are those that the model may call.

    `tool_choice` says whether the model may or must call a tool; `must_call` names the tool that it must call. The
    other settings are the request's own; None means the provider's default. `upstream_tools` are those that the
    provider may run itself. If `must_call` names one of them, `tools` is empty. `allowed` are patterns of the models
    that may be asked; none allows all. The items from index `made` on are of this response: no client wrote them.
    `dropped` counts the items that are not shown: any more, since all were too many, or at all.

    `keeps` is given where the turn is to compact its conversation: the items that the result carries as they are. The
    last item asks for the summary then. Whoever asks targets appends `attempts` for those that don't answer.
    """

    model: str
    items: tuple[Item, ...]
    instructions: str | None
    tools: tuple[OfferedTool, ...]
    tool_choice: ToolChoiceMode
    must_call: str | None
    max_output_tokens: int | None
    request: CreateResponse
    upstream_tools: tuple[UpstreamTool, ...] = ()
    allowed: tuple[str, ...] = ()
    made: int = sys.maxsize
    dropped: int = 0
    keeps: tuple[Item, ...] | None = None
    attempts: list[Attempt] = field(default_factory=list[Attempt], compare=False)


def turn_of(run: Run, model: str) -> Turn:
    mode, must_call = _choice(run)
    tools = () if mode == "none" else tuple(map(with_plain_schema, callable_tools(run).values()))
    upstream = () if mode == "none" else _upstream_tools(run)
    items, given, hidden = _windowed(run)
    left = left_after(items, run.cut) if run.cut else range(len(items))
    return Turn(
        model=model,
        items=tuple(items[index] for index in left),
        instructions=run.request.instructions,
        tools=tools,
        tool_choice=mode if tools or upstream else "none",
        must_call=must_call,
        max_output_tokens=_most_tokens(run),
        request=run.request,
        upstream_tools=upstream,
        allowed=tuple(run.allowed),
        made=sum(index < given for index in left) if run.cut else given,
        dropped=hidden + len(items) - len(left),
    )


def _most_tokens(run: Run) -> int | None:
    return min((most for most in (tokens_left(run), run.cap) if most is not None), default=None)


def conversation(run: Run) -> list[Item]:
    """All that was said since it was compacted, as a model may be shown it."""
    return _windowed(run)[0]


def _windowed(run: Run) -> tuple[list[Item], int, int]:
    """The conversation, how much of it came before this response, and how many of its items no model is shown."""
    all_items, before = window(run.context, run.settled())
    searched = any(type(item) is WebSearchCall for item in all_items)
    items, places = shown(all_items, run.tools, numbers_of(run.all_items()) if searched else {})
    return items, sum(place < before for place in places), len(all_items) - len(items)


def callable_tools(run: Run) -> dict[str, OfferedTool]:
    """The tools that the model may call in the next turn, by the names that the model knows."""
    return {name: tool for name, tool in _allowed(run).items() if tool.kind != "upstream"}


def _upstream_tools(run: Run) -> tuple[UpstreamTool, ...]:
    allowed = _allowed(run).values()
    return tuple(UpstreamTool.model_validate(tool.parameters) for tool in allowed if tool.kind == "upstream")


def _allowed(run: Run) -> dict[str, OfferedTool]:
    choice = run.request.tool_choice
    match choice:
        case "none":
            named = list[OfferedTool]()
        case AllowedTools():
            named = [] if choice.mode == "none" else [tool for each in choice.tools for tool in _named(run, each)]
        case NamedToolChoice() if run.turns == 0:
            named = _named(run, choice)
        case _:
            named = run.tools
    return {tool.name: tool for tool in named}


def chosen_tools(tools: Sequence[OfferedTool], choice: NamedToolChoice) -> list[OfferedTool]:
    """The offered tools that a tool choice names: one by its name, or by its type if it is hosted or upstream, or all
    of an MCP server.
    """
    chosen = [tool for tool in tools if _is_named(tool, choice)]
    return chosen if choice.type == "mcp" else chosen[:1]


def _is_named(tool: OfferedTool, choice: NamedToolChoice) -> bool:
    match tool.kind:
        case "mcp":
            labels, names = (None, tool.server_label), (None, tool.wire_name)
            return choice.type == "mcp" and choice.server_label in labels and choice.name in names
        case "search":
            return choice.type.startswith("web_search") and tool.wire_name == "web_search"
        case "upstream":  # `web_search` also stands for its dated and preview versions
            label = (tool.parameters or {}).get("server_label")
            search = choice.type.startswith("web_search") and tool.item_type.startswith(choice.type)
            return (tool.item_type == choice.type or search) and choice.server_label in (None, label)
        case "client":  # `computer` goes by three names
            return choice.type == tool.item_type or (choice.type.startswith("computer") and tool.name == "computer")
        case "function" | "custom" | "hosted":
            named = choice.type in ("function", "custom", tool.item_type) and choice.name is not None
            by_name = named and choice.name in (tool.name, tool.wire_name)
            return by_name or (tool.kind == "hosted" and choice.type == tool.item_type)


def _named(run: Run, choice: NamedToolChoice) -> list[OfferedTool]:
    tools = chosen_tools(run.tools, choice)
    assert tools, "the request was refused if it names another tool"
    return tools


def _choice(run: Run) -> tuple[ToolChoiceMode, str | None]:
    """A call is forced in the first turn only: a model that must call a tool in every turn could never answer."""
    choice = run.request.tool_choice or "auto"
    if isinstance(choice, NamedToolChoice):
        if run.turns:
            return "auto", None
        named = _named(run, choice)
        return "required", named[0].name if len(named) == 1 else None
    mode: ToolChoiceMode = choice.mode if isinstance(choice, AllowedTools) else choice
    return ("auto", None) if mode == "required" and run.turns else (mode, None)
