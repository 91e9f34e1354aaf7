"""Custom tools for wires that have none: each is a function of one string."""

from ..core.run import OfferedTool
from ..schema.base import JsonObject


def free_text_schema(tool: OfferedTool) -> JsonObject:
    """A custom tool's `parameters` are its format: free text, or a grammar that only words can convey here."""
    hint = "The whole input, as free text."
    form = tool.parameters or {}
    if form.get("type") == "grammar":
        hint = f"The whole input, as text that follows this {form.get('syntax')} grammar:\n{form.get('definition')}"
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": hint}},
        "required": ["input"],
        "additionalProperties": False,
    }
