"""One turn as a provider is asked for it: a view of the run, made anew for each turn."""

import sys
from dataclasses import dataclass

from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.tools import AllowedTools, NamedToolChoice, ToolChoiceMode, UpstreamTool
from .client_tools import shown_to_model
from .cut import left_after
from .run import OfferedTool, Run, tokens_left
from .window import window


@dataclass(frozen=True, slots=True)
class Turn:
    """`model` is as the request names it; a provider is given its own name for it. `items` is the whole context,
    oldest first. `tools` are those that the model may call.

    `tool_choice` says whether the model may or must call a tool; `must_call` names the tool that it must call. The
    other settings are the request's own; None means the provider's default. `upstream_tools` are those that the
    provider may run itself. If `must_call` names one of them, `tools` is empty. `allowed` are patterns of the models
    that may be asked; none allows all. The items from index `made` on are of this response: no client wrote them.
    `dropped` counts the items that are not shown any more, since all were too many.

    `keeps` is given where the turn is to compact its conversation: the items that the result carries as they are. The
    last item asks for the summary then.
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


def turn_of(run: Run, model: str) -> Turn:
    mode, must_call = _choice(run)
    tools = () if mode == "none" else tuple(callable_tools(run).values())
    upstream = () if mode == "none" else _upstream_tools(run)
    items, given = _windowed(run)
    shown = left_after(items, run.cut) if run.cut else range(len(items))
    return Turn(
        model=model,
        items=tuple(items[index] for index in shown),
        instructions=run.request.instructions,
        tools=tools,
        tool_choice=mode if tools or upstream else "none",
        must_call=must_call,
        max_output_tokens=tokens_left(run),
        request=run.request,
        upstream_tools=upstream,
        allowed=tuple(run.allowed),
        made=sum(index < given for index in shown) if run.cut else given,
        dropped=len(items) - len(shown),
    )


def conversation(run: Run) -> list[Item]:
    """All that was said since it was compacted, as a model may be shown it."""
    return _windowed(run)[0]


def _windowed(run: Run) -> tuple[list[Item], int]:
    """The conversation, and how much of it came before this response."""
    items, given = window(run.context, run.settled())
    return [*map(shown_to_model, items)], given


def callable_tools(run: Run) -> dict[str, OfferedTool]:
    """The tools that the model may call in the next turn, by the names that the model knows."""
    return {name: tool for name, tool in _allowed(run).items() if tool.kind != "upstream"}


def _upstream_tools(run: Run) -> tuple[UpstreamTool, ...]:
    allowed = _allowed(run).values()
    return tuple(UpstreamTool.model_validate(tool.parameters) for tool in allowed if tool.kind == "upstream")


def _allowed(run: Run) -> dict[str, OfferedTool]:
    choice = run.request.tool_choice
    tools = {tool.name: tool for tool in run.tools}
    match choice:
        case "none":
            return {}
        case AllowedTools():
            return {} if choice.mode == "none" else dict(_named(run, each) for each in choice.tools)
        case NamedToolChoice() if run.turns == 0:
            return dict([_named(run, choice)])
        case _:
            return tools


def find_tool(tools: list[OfferedTool], choice: NamedToolChoice) -> OfferedTool | None:
    """The offered tool that a tool choice names: by its name, or by its type if it is hosted or upstream."""
    return next((tool for tool in tools if _is_named(tool, choice)), None)


def _is_named(tool: OfferedTool, choice: NamedToolChoice) -> bool:
    if tool.kind == "upstream":  # `web_search` also stands for its dated and preview versions
        label = (tool.parameters or {}).get("server_label")
        search = choice.type.startswith("web_search") and tool.item_type.startswith(choice.type)
        same_type = tool.item_type == choice.type or search
        return same_type and choice.server_label in (None, label)
    by_type = tool.kind == "hosted" and choice.type == tool.item_type
    if tool.kind == "client":  # `computer` goes by three names
        return choice.type == tool.item_type or (choice.type.startswith("computer") and tool.name == "computer")
    named = choice.type in ("function", "custom", tool.item_type) and choice.name is not None
    by_name = named and choice.name in (tool.name, tool.wire_name)
    return by_type or by_name


def _named(run: Run, choice: NamedToolChoice) -> tuple[str, OfferedTool]:
    tool = find_tool(run.tools, choice)
    assert tool is not None, "the request was refused if it names another tool"
    return tool.name, tool


def _choice(run: Run) -> tuple[ToolChoiceMode, str | None]:
    """A call is forced in the first turn only: a model that must call a tool in every turn could never answer."""
    choice = run.request.tool_choice or "auto"
    if isinstance(choice, NamedToolChoice):
        return ("required", _named(run, choice)[0]) if run.turns == 0 else ("auto", None)
    mode: ToolChoiceMode = choice.mode if isinstance(choice, AllowedTools) else choice
    return ("auto", None) if mode == "required" and run.turns else (mode, None)
