"""No module and no function is too long to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE, FUNCTION = 400, 50
"""Lines, at most. Who needs more has two concepts, of which one wants a name of its own."""


def too_long(path: Path) -> Iterator[str]:
    text, where = path.read_text(), path.relative_to(ROOT)
    if (lines := len(text.splitlines())) > MODULE:
        yield f"{where}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION:
                yield f"{where}:{node.lineno}: {node.name} has {lines} lines"


def test_no_module_and_no_function_is_too_long_to_be_read_at_once() -> None:
    modules = [path for folder in ("functions/openresponses", "infra") for path in (ROOT / folder).rglob("*.py")]
    assert len(modules) > 300
    assert [told for path in sorted(modules) for told in too_long(path)] == []
