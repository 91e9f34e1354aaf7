"""`openresponses tools add`: a file to begin with, or the parameter that makes a Lambda function a tool."""

from __future__ import annotations

import json
import keyword
from pathlib import Path
from typing import Annotated, Literal, cast

from cyclopts import Parameter

from openresponses.schema.base import JsonObject
from openresponses.toolbox.lambda_functions import LambdaTool
from openresponses.toolbox.source import hosted_name
from openresponses_dev.local.command_line import command
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import BadSetting, Problem, warn
from openresponses_dev.manage.tool_files import file_tools, project_folder
from openresponses_dev.manage.tool_prefix import warn_of_prefix
from openresponses_dev.manage.tools import function_of

_WORDS = {"timeout": ("--timeout", "--answers later, for one that takes longer")}
_SKELETON = '''\
"""A tool: the file and the function have its name, and the model is told signature and docstring."""


def {name}(text: str) -> str:
    """Say what the tool does, and when to call it.

    Args:
        text: What the model has to give.
    """
    if not text:
        raise ValueError("Give a text.")  # the model is told this
    return text
'''


def add_tool(
    name: Annotated[str, Parameter(help="requests offer it as serverless:NAME")],
    /,
    *,
    function: Annotated[
        str | None, Parameter(metavar="FUNCTION", help="a Lambda function's name or ARN (default: a file is begun)")
    ] = None,
    description: Annotated[str, Parameter(metavar="TEXT", help="what the model is told of the function")] = "",
    parameters_file: Annotated[
        Path | None, Parameter("--parameters", metavar="FILE.json", help="the JSON schema of its arguments")
    ] = None,
    timeout: Annotated[
        float | None, Parameter(metavar="SECONDS", help="default: 30, or a day for a later answer")
    ] = None,
    answers: Annotated[Literal["now", "later"], Parameter(help="whether somebody else answers, later")] = "now",
    where: Where = Where(),
) -> int:
    """Without --function a file in the project's tools/; nothing is overwritten."""
    if hosted_name(f"serverless:{name}") is None:
        raise Problem(f"{name!r} is no name of a tool: letters, digits, '_' and '-', 64 at most")
    if function is not None:
        return _register(name, _tool(name, function, description, parameters_file, timeout, answers), where)
    if description or parameters_file or timeout is not None or answers != "now":
        raise Problem("only a Lambda function is described by options", "--function FUNCTION, or edit the file")
    return _begin(name)


def _begin(name: str) -> int:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise Problem(
            f"a file's tool is a function of Python, and {name!r} can't be one's name",
            f"letters, digits and '_' ({command('tools add ' + name.strip('-_').replace('-', '_') or 'NAME')})",
        )
    path = project_folder() / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(_SKELETON.format(name=name))
    except FileExistsError:
        raise Problem(f"{path} is there already, and stays as it is", "choose another name, or edit it") from None
    say(f"{path} is a tool now: write what it does")
    arguments = """'{"text": "hello"}'"""
    say(f"try it:  {command(f'tools test {name} {arguments}')}")
    return 0


def _register(name: str, tool: LambdaTool, where: Where) -> int:
    deployment = deployment_at(where)
    if parameters.read(deployment, "tools", name):
        mend = deployment.command(f"tools remove {name}")
        raise Problem(f"there is a tool {name} in {deployment.title} already, and it stays as it is", mend)
    document = tool.model_dump_json(exclude_unset=True, exclude_none=True)
    parameters.write(deployment, "tools", name, document)
    say(f"{name} is set {deployment.soon}")
    warn_of_prefix(deployment, tool.function)
    if any(each.name == name for each in file_tools()):
        warn(f"a file has the name {name} too, and wins over a function")
    say(f"try it:  {deployment.command(f'tools test {name}')}")
    return 0


def _tool(
    name: str, function: str, description: str, file: Path | None, timeout: float | None, answers: str
) -> LambdaTool:
    """Checked as the server checks it. Raises Problem."""
    given = {"description": description or None, "timeout": timeout, "answers": answers if answers == "later" else None}
    fields: dict[str, object] = {
        "function": function,
        **{key: value for key, value in given.items() if value is not None},
    }
    if file:
        fields["parameters"] = _schema(file)
    try:
        return function_of(name, json.dumps(fields))
    except BadSetting as bad:
        raise bad.typed(_WORDS, command("tools add --help")) from None


def _schema(file: Path) -> JsonObject:
    try:
        found: object = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Problem(f"{file}: {error}", 'a JSON schema such as {"type": "object", "properties": {}}') from None
    if not isinstance(found, dict):
        raise Problem(f'{file}: the schema of arguments is an object, with "type": "object"')
    return cast("JsonObject", found)
