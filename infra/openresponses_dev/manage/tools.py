"""`openresponses tools set` and `remove`: what searches the web, and what a parameter makes a tool."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from openresponses.core.settings import parse_document
from openresponses.toolbox.lambda_functions import MAX_TIMEOUT, LambdaTool
from openresponses.toolbox.source import hosted_name
from openresponses.toolbox.web_search.configuration import Configuration, Name, parsed
from openresponses.toolbox.web_search.source import SEARCH
from openresponses_dev.local.command_line import command
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import BadSetting, Problem, meant, warn
from openresponses_dev.manage.provider_options import API_KEY, read_secret
from openresponses_dev.manage.providers import too_near

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
        raise Problem(
            f"only {SEARCH} is set by this command", f"{command(f'tools add {name}')}, for a tool of your own"
        )
    deployment = deployment_at(where)
    wants_key = backend != "searxng" if key is None else key
    document = {"backend": backend, "base_url": base_url}
    try:
        configured(json.dumps({**document, "key": "unread" if wants_key else ""}))
        if wants_key:
            document["key"] = read_secret(f"API key of {backend}")
        configured(json.dumps(document))
    except BadSetting as bad:
        raise bad.typed({"key": API_KEY}, command("tools set --help")) from None
    given = {field: value for field, value in document.items() if value}
    parameters.write(deployment, "tools", name, json.dumps(given), secret=True)
    say(f"{name} is set {deployment.soon}")
    if warning := too_near(deployment, base_url):
        warn(warning)
    say(f"try it:  {deployment.command(f'tools test {name}')}")
    return 0


def remove_tool(name: str, /, *, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, "tools", name):
        known = [each.name for each in parameters.read_all(deployment, "tools")]
        raise Problem(
            f"there is no tool {name} in {deployment.title}{meant(name, known)}", deployment.command("tools list")
        )
    say(f"{name} is removed {deployment.soon}")
    return 0


def configured(text: str) -> Configuration:
    """What searches the web. Raises BadSetting."""
    try:
        return parsed(text)
    except ValueError as error:
        raise BadSetting.read(SEARCH, error) from None


def function_of(name: str, text: str) -> LambdaTool:
    """The Lambda function that a document makes a tool. Raises BadSetting."""
    of = f"tool {name!r}"
    if hosted_name(f"serverless:{name}") is None:
        raise BadSetting("", (), f"{name!r} is no name of a tool: letters, digits, '_' and '-', 64 at most")
    try:
        tool = parse_document(LambdaTool, text)
    except ValueError as error:
        raise BadSetting.read(of, error) from None
    if tool.answers == "now" and tool.seconds > MAX_TIMEOUT:
        raise BadSetting(
            of, ("timeout",), f"it is {MAX_TIMEOUT:g} seconds at most, where the tool does not answer later"
        )
    if tool.parameters.get("type") != "object":
        raise BadSetting(of, ("parameters",), 'the schema of arguments is an object, with "type": "object"')
    return tool
