"""A conversation as a file: Markdown for people, JSON to go on with in a program."""

from __future__ import annotations

import json
from pathlib import Path

from openresponses_dev.local.answer.calls import Event, handed_call, shown_call
from openresponses_dev.manage.problems import Problem

SUFFIXES = (".md", ".json")


def save(path: Path, items: list[Event], settings: Event, *, again: bool) -> None:
    """`again`: it may replace what is there. Raises Problem."""
    if path.suffix not in SUFFIXES:
        raise Problem(f"{path} has no suffix that says what to write", f"{path.stem or 'chat'}.md, or .json")
    text = as_json(items, settings) if path.suffix == ".json" else as_markdown(items, settings)
    try:
        with path.open("w" if again else "x", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except FileExistsError:
        raise Problem(f"{path} is there already", "name another file") from None
    except (OSError, ValueError) as error:
        raise Problem(f"{path} cannot be written: {getattr(error, 'strerror', error)}") from None


def as_json(items: list[Event], settings: Event) -> str:
    """The body of a request that goes on with it: `input` is all that was said."""
    kept = {name: settings[name] for name in ("model", "instructions", "tools") if name in settings}
    return json.dumps({**kept, "input": items}, ensure_ascii=False, indent=2) + "\n"


def as_markdown(items: list[Event], settings: Event) -> str:
    parts = [f"# A conversation with {settings['model']}"]
    if settings.get("instructions"):
        parts.append(f"> {settings['instructions']}")
    parts += [part for item in items if (part := _part(item))]
    return "\n\n".join(parts) + "\n"


def _part(item: Event) -> str:
    if item.get("type") == "message":
        who = "You" if item.get("role") == "user" else "Answer"
        return f"## {who}\n\n{_said(item.get('content'))}"
    if call := shown_call(item):
        return f"**{call.name}**`({call.arguments})`\n\n{_fenced(call.output or call.status)}"
    if call := handed_call(item):
        return f"**{call.name}**`({call.arguments})` {call.status}."
    if item.get("type") == "mcp_approval_response":
        return "Approved." if item.get("approve") else "Refused."
    if item.get("type") == "reasoning":
        parts: list[Event] = item.get("summary") or item.get("content") or []
        thought = "\n".join(str(part.get("text", "")) for part in parts)
        return "\n".join(f"> {line}" for line in thought.splitlines())
    return ""


def _said(content: object) -> str:
    if isinstance(content, str):
        return content
    parts: list[Event] = content if isinstance(content, list) else []  # pyright: ignore[reportUnknownVariableType]
    return "\n\n".join(str(part.get("text") or part.get("refusal") or f"({part.get('type')})") for part in parts)


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
