"""What a dialect does about tools that its vendor would have to run itself, where the vendor runs none."""

from ..core.errors import RequestError
from ..core.turn import Turn


def refuse_upstream_tools(turn: Turn) -> None:
    """Raises RequestError for such a tool. Web search is a permission, so it is ignored, unless it must be used."""
    for tool in turn.upstream_tools:
        if not tool.type.startswith("web_search"):
            raise RequestError(
                f"This model's provider doesn't run the tool {tool.type!r}", param="tools", code="unsupported_tool"
            )
    if turn.tool_choice == "required" and not turn.tools:
        raise RequestError("'tool_choice' needs a tool that this model's provider doesn't run", param="tool_choice")
