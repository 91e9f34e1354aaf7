"""`openresponses tools`: the tools that the server runs beside those of its own files, and what searches the web."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated

from cyclopts import Parameter

from openresponses.toolbox.lambda_functions import LambdaTool
from openresponses.toolbox.source import ToolFailed, is_backend
from openresponses.toolbox.web_search.backend import Wanted
from openresponses.toolbox.web_search.configuration import Configuration, Name, parsed
from openresponses.toolbox.web_search.service import backend_of, search
from openresponses.toolbox.web_search.source import SEARCH
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem, warn
from openresponses_dev.manage.provider_options import read_secret
from openresponses_dev.manage.providers import too_near, without_secrets

_RESULTS = 3


def set_tool(
    name: Annotated[str, Parameter(help="web_search: another tool is a Lambda function, or a file")],
    /,
    *,
    backend: Annotated[Name, Parameter(help="the service that searches")],
    base_url: Annotated[str, Parameter(metavar="URL", help="of a SearXNG, or of a proxy before another service")] = "",
    key: Annotated[
        bool | None, Parameter(negative="--no-key", help="whether to read an API key (default: not for searxng)")
    ] = None,
    where: Where = Where(),
) -> int:
    if name != SEARCH:
        raise Problem(f"only {SEARCH} is set by this command", "see docs/add-a-tool.md for tools of your own")
    deployment = deployment_at(where)
    wants_key = backend != "searxng" if key is None else key
    document = {"backend": backend, "base_url": base_url}
    _configuration({**document, "key": "unread" if wants_key else ""})
    if wants_key:
        document["key"] = read_secret(f"API key of {backend}")
    _configuration(document)
    given = {field: value for field, value in document.items() if value}
    parameters.write(deployment, "tools", name, json.dumps(given), secret=True)
    say(f"{name} is set {deployment.soon}")
    if warning := too_near(deployment, base_url):
        warn(warning)
    say(f"try it:  {deployment.command(f'tools test {name}')}")
    return 0


def list_tools(*, as_json: AsJson = False, where: Where = Where()) -> int:
    found = parameters.read_all(deployment_at(where), "tools")
    show([*map(_document, found)], ("NAME", "RUN BY", "KEY", "DESCRIPTION"), map(_row, found), as_json=as_json)
    return 0


def try_tool(
    name: Annotated[str, Parameter(help="web_search")],
    /,
    *,
    query: Annotated[str, Parameter(metavar="TEXT", help="what to look for")] = "OpenAI Responses API",
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    found = parameters.read(deployment, "tools", name) if name == SEARCH else None
    again = deployment.command(f"tools set {SEARCH} --backend BACKEND")
    if found is None or not is_backend(found.text):
        raise Problem(f"{deployment.title} has no {name} that can be tried: no service that searches is set", again)
    configuration = _parsed(found.text)
    begun = time.monotonic()
    try:
        results = asyncio.run(search(configuration, Wanted(query, _RESULTS, 100)))
    except ToolFailed as failure:
        raise Problem(str(failure), again) from None
    seconds, title = time.monotonic() - begun, backend_of(configuration.backend).title
    say(f"{title} found {len(results)} pages in {seconds:.2f} s")
    for each in results[:_RESULTS]:
        say(f"  {each.title}  {each.url}")
    return 0


def remove_tool(name: str, /, *, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, "tools", name):
        raise Problem(f"there is no tool {name} in {deployment.title}", deployment.command("tools list"))
    say(f"{name} is removed {deployment.soon}")
    return 0


def _configuration(document: dict[str, str]) -> Configuration:
    return _parsed(json.dumps(document))


def _parsed(text: str) -> Configuration:
    """Raises Problem, which quotes no value."""
    try:
        return parsed(text)
    except ValueError as error:
        raise Problem(f"{SEARCH}: {error}") from None


def _document(found: parameters.Parameter) -> dict[str, object]:
    name, run_by, key, description = _row(found)
    return {
        "name": name,
        "run_by": None if run_by == "-" else run_by,
        "key": key == "yes",
        "description": None if description == "-" else description,
    }


def _row(found: parameters.Parameter) -> tuple[str, ...]:
    try:
        if is_backend(found.text):
            configuration = parsed(found.text)
            at = f" at {without_secrets(configuration.base_url)}" if configuration.base_url else ""
            by = f"{backend_of(configuration.backend).title}{at}"
            return found.name, by, "yes" if configuration.key else "no", "Searches the web."
        tool = LambdaTool.model_validate_json(found.text)
    except ValueError:
        return found.name, "-", "-", "not set up correctly"
    return found.name, tool.function, "-", tool.description or "-"
