"""One turn as a provider is asked for it: a view of the run, made anew for each turn."""

from dataclasses import dataclass

from ..schema.items import Item
from ..schema.request import CreateResponse
from ..schema.tools import AllowedTools, NamedToolChoice, ToolChoiceMode
from .run import OfferedTool, Run
from .steps import tokens_left


@dataclass(frozen=True, slots=True)
class Turn:
    """`items` is the whole context, oldest first. `tools` are those that the model may call.

    `tool_choice` is how hard it must try; `must_call` names the one tool where the choice is `required`
    and names one. The other settings are the request's own; None there means the provider's default.
    """

    model: str
    items: tuple[Item, ...]
    instructions: str | None
    tools: tuple[OfferedTool, ...]
    tool_choice: ToolChoiceMode
    must_call: str | None
    max_output_tokens: int | None
    request: CreateResponse


def turn_of(run: Run, model: str) -> Turn:
    mode, must_call = _choice(run)
    tools = () if mode == "none" else tuple(callable_tools(run).values())
    return Turn(
        model=model,
        items=(*run.context, *run.settled()),
        instructions=run.request.instructions,
        tools=tools,
        tool_choice=mode if tools else "none",
        must_call=must_call,
        max_output_tokens=tokens_left(run),
        request=run.request,
    )


def callable_tools(run: Run) -> dict[str, OfferedTool]:
    """The tools that the model may call in the next turn, by the name it knows them by."""
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
    """The offered tool that a tool choice names: by name, or for a hosted tool by its type."""
    for tool in tools:
        by_type = tool.kind == "hosted" and choice.type == tool.item_type
        by_name = choice.name is not None and choice.name in (tool.name, tool.wire_name)
        if by_type or by_name:
            return tool
    return None


def _named(run: Run, choice: NamedToolChoice) -> tuple[str, OfferedTool]:
    tool = find_tool(run.tools, choice)
    assert tool is not None, "the service checked the tool choice"
    return tool.name, tool


def _choice(run: Run) -> tuple[ToolChoiceMode, str | None]:
    """A forced call is forced once: a model that must call a tool in every turn could never answer."""
    choice = run.request.tool_choice or "auto"
    if isinstance(choice, NamedToolChoice):
        return ("required", _named(run, choice)[0]) if run.turns == 0 else ("auto", None)
    mode: ToolChoiceMode = choice.mode if isinstance(choice, AllowedTools) else choice
    return ("auto", None) if mode == "required" and run.turns else (mode, None)
