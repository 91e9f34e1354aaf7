"""`openresponses tools list`: files, Lambda functions, and what searches the web."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openresponses.toolbox.lambda_functions import LambdaTool
from openresponses.toolbox.source import is_backend
from openresponses.toolbox.web_search.configuration import parsed
from openresponses.toolbox.web_search.service import backend_of
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.providers import without_secrets
from openresponses_dev.manage.tool_files import FileTool, file_tools

_SHOWN = 80
"""Characters of a description in a table."""


def list_tools(*, as_json: AsJson = False, where: Where = Where()) -> int:
    """The files are this machine's, the others the deployment's. Where that can't be asked, the files are listed, and
    the exit status says that the list is not whole.
    """
    data, unasked = [_file(each) for each in file_tools()], None
    try:
        found = parameters.read_all(deployment_at(where), "tools")
    except Problem as problem:
        unasked, found = problem, []
    names = {each["name"] for each in data}
    data += [_parameter(each) for each in found if each.name not in names]
    show(data, ("NAME", "KIND", "RUN BY", "KEY", "DESCRIPTION"), map(_row, data), as_json=as_json)
    if unasked:
        raise Problem(f"only files are listed: {unasked}", unasked.mend)
    return 0


def _file(tool: FileTool) -> dict[str, Any]:
    return {
        **_named(tool.name, "file"),
        "run_by": str(tool.path),
        "own": tool.own,
        "description": tool.description or None,
        "parameters": tool.parameters if not tool.error else None,
        "error": tool.error or None,
    }


def _parameter(found: parameters.Parameter) -> dict[str, Any]:
    try:
        if is_backend(found.text):
            configuration = parsed(found.text)
            at = f" at {without_secrets(configuration.base_url)}" if configuration.base_url else ""
            return {
                **_named(found.name, "web_search"),
                "run_by": f"{backend_of(configuration.backend).title}{at}",
                "key": bool(configuration.key),
                "description": "Searches the web.",
            }
        tool = LambdaTool.model_validate_json(found.text)
    except ValueError:
        return {**_named(found.name, "lambda"), "error": "not set up correctly"}
    return {
        **_named(found.name, "lambda"),
        "run_by": tool.function,
        "own": True,
        "description": tool.description or None,
        "parameters": tool.parameters,
        "timeout": tool.seconds,
        "answers": tool.answers,
    }


def _named(name: str, kind: str) -> dict[str, Any]:
    """With each field that a tool has: null is unknown, or is nothing that its kind has."""
    rest = dict.fromkeys(("run_by", "description", "parameters", "timeout", "answers", "error"))
    kind_of_item = "web_search" if kind == "web_search" else f"serverless:{name}"
    return {"name": name, "type": kind_of_item, "kind": kind, "own": False, "key": False, **rest}


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    key = {"web_search": "yes" if each["key"] else "no"}.get(each["kind"], "-")
    text = each["error"] or each["description"] or "-"
    short = text if each["error"] or len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    runs = (
        f"{each['name']}.py" + ("" if each["own"] else " of the server") if each["kind"] == "file" else each["run_by"]
    )
    return each["name"], each["kind"], runs or "-", key, short
