"""`openresponses tools test`: one call of a tool, and what the model would read."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from secrets import token_hex
from threading import Thread
from typing import Annotated, Any, TypeVar, cast

from cyclopts import Parameter

from openresponses.aws.functions import output_of
from openresponses.core.ports import ToolOutput
from openresponses.core.run import Run
from openresponses.schema.base import JsonObject
from openresponses.schema.server_items import HostedToolCall
from openresponses.schema.tools import HostedTool
from openresponses.toolbox.lambda_functions import MAX_TIMEOUT, LambdaTool, LambdaTools
from openresponses.toolbox.mcp.servers import SERVERS
from openresponses.toolbox.source import AnswersLater, ToolFailed, ToolMisconfigured, ToolSource, is_backend
from openresponses.toolbox.web_search.backend import Wanted
from openresponses.toolbox.web_search.service import backend_of, search
from openresponses.toolbox.web_search.source import SEARCH
from openresponses_dev.local.command_line import LOCAL, command
from openresponses_dev.local.project import find_project
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.problems import Problem, meant, translated, warn
from openresponses_dev.manage.running import running_dev
from openresponses_dev.manage.tool_files import FOLDER, FileTool, file_tools, quiet
from openresponses_dev.manage.tool_prefix import warn_of_prefix
from openresponses_dev.manage.tools import configured

_RESULTS = 3
_CODE = f"{os.sep}{FOLDER}{os.sep}"
"""Is in the path of a tool's file."""
T = TypeVar("T")


def try_tool(
    name: Annotated[str, Parameter(help="a file's, a Lambda function's, or web_search")],
    arguments: Annotated[
        str, Parameter(metavar="JSON", allow_leading_hyphen=True, help="what the model would give; - reads it")
    ] = "{}",
    /,
    *,
    query: Annotated[str, Parameter(metavar="TEXT", help="what web_search looks for")] = "OpenAI Responses API",
    where: Where = Where(),
) -> int:
    """The exit status: 1 where the call failed. Standard output is what the model would read."""
    if name == SEARCH:
        return _search(deployment_at(where), query)
    arguments = _given(arguments)
    files = {each.name: each for each in file_tools()}
    if name in files:
        return _run_file(files[name], arguments)
    try:
        deployment = deployment_at(where)
    except Problem as unasked:
        raise _not_here(name, files, unasked) from None
    known = {each.name: each.text for each in parameters.read_all(deployment, "tools")}
    if name not in known and parameters.read(deployment, SERVERS, name):
        raise Problem(f"{name} is an MCP server, and no tool", deployment.command(f"mcp test {name} TOOL JSON"))
    if name not in known:
        near = meant(name, [*files, *known, SEARCH])
        raise Problem(f"there is no tool {name} here, or in {deployment.title}{near}", deployment.command("tools list"))
    status = _called(LambdaTools(_Known(known), _Functions(deployment)), name, arguments)
    warn_of_prefix(deployment, LambdaTool.model_validate_json(known[name]).function)
    return status


def _given(arguments: str) -> str:
    """What `-` stands for is on standard input. Raises Problem."""
    if arguments == "-":
        return sys.stdin.read()
    if arguments.startswith("-"):
        raise Problem(f"{arguments} is no option, and no JSON", command("tools test --help"))
    return arguments


def _not_here(name: str, files: Collection[str], unasked: Problem) -> Problem:
    """No file is this tool, and no deployment could be asked for it."""
    template = (find_project() or Path()) / "template.yaml"
    if template.is_file() and f"/tools/{name}\n" in template.read_text():
        mend = command(f"tools test {name} {LOCAL}")
        start = "" if running_dev() else f"{command('dev')}, and then "
        return Problem(
            f"{name} is a Lambda function of {template}, which runs in a deployment",
            f"{start}{mend}; or --stack NAME, where it is deployed",
        )
    return Problem(f"no file here is a tool {name}{meant(name, files)}; and {unasked}", unasked.mend)


def _run_file(tool: FileTool, arguments: str) -> int:
    if tool.error:
        raise Problem(tool.error, f"correct {tool.path}")
    return _called(tool.files, tool.name, arguments)


def _called(source: ToolSource, name: str, arguments: str) -> int:
    item = HostedToolCall(
        type=f"serverless:{name}",
        id=f"htc_{token_hex(24)}",
        call_id="call_test",
        name=name,
        arguments=arguments,
        status="in_progress",
    )
    begun = time.monotonic()
    try:
        with quiet():
            output = asyncio.run(_answered(source, item))
    except ToolMisconfigured as wrong:
        raise Problem(wrong.message) from None
    except ToolFailed as failure:
        if failure.__cause__ is not None and (where := _where(failure.__cause__)):
            say(where, sys.stderr)
        say(f"the call failed after {time.monotonic() - begun:.2f} s; the model reads:", sys.stderr)
        say(str(failure))
        return 1
    say(f"the call took {time.monotonic() - begun:.2f} s; the model reads:", sys.stderr)
    say(output.text if output else "")
    return 0


async def _answered(source: ToolSource, item: HostedToolCall) -> ToolOutput | None:
    """Raises ToolFailed, ToolMisconfigured, Problem."""
    asyncio.get_running_loop().set_default_executor(_Threads())
    run = cast("Run", None)  # neither source looks at it
    offer = await source.offer(HostedTool(type=item.type))
    if isinstance(source, AnswersLater) and offer and offer.tools[0].answers_later:
        warn("it answers later: the task token that it is given is a made-up one, which nobody can answer")
        await source.ask(item, run, f"test-{token_hex(16)}")
        return None
    return await source.call(item, run)


class _Threads(ThreadPoolExecutor):
    """A thread for each call. One that was given up keeps neither the event loop nor the process from its end."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future = Future[T]()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        Thread(target=run, daemon=True).start()
        return future


def _where(error: BaseException) -> str:
    """What the tool's own code did: the line of a ValueError that it raised itself, which is meant for the model, and
    the traceback of any other error. Empty where the server refused the arguments.
    """
    begin = error.__traceback__
    while begin is not None and _CODE not in begin.tb_frame.f_code.co_filename:
        begin = begin.tb_next
    if begin is None:
        return ""
    last = traceback.extract_tb(begin)[-1]
    if type(error) is ValueError and _CODE in last.filename:
        return f"{last.filename}:{last.lineno} raised ValueError, which is told to the model"
    return "".join(traceback.format_exception(type(error), error, begin)).rstrip()


class _Known:
    """The parameters that were read."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    async def get(self, name: str) -> str | None:
        return self._texts.get(name.removeprefix("tools/"))

    async def names(self, folder: str) -> list[str]:
        return [*self._texts]


class _Functions:
    """Lambda functions, invoked by the user's own rights, and never twice. What a function has logged goes to standard
    error: the last 4 KB, as Lambda tells them (`LogType`,
    https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html). The local cloud does not.
    """

    def __init__(self, deployment: Deployment) -> None:
        config: Any = import_module("botocore.config").Config(
            connect_timeout=5, read_timeout=MAX_TIMEOUT + 5, retries={"total_max_attempts": 1}
        )
        self._client: Any = deployment.session.client(
            "lambda", region_name=deployment.region, endpoint_url=deployment.endpoint_url, config=config
        )
        self._logs = deployment.command("logs --since 1m") if deployment.local else ""

    async def invoke(self, function: str, payload: JsonObject) -> ToolOutput:
        """Raises Problem where it can't be invoked."""
        output, log = await asyncio.to_thread(self._invoke, function, payload)
        if log:
            say(log, sys.stderr)
        elif output.failed and self._logs:
            say(f"what it logged:  {self._logs}", sys.stderr)
        return output

    def _invoke(self, function: str, payload: JsonObject) -> tuple[ToolOutput, str]:
        body = json.dumps(payload).encode()
        with translated("lambda"):
            answer: dict[str, Any] = self._client.invoke(FunctionName=function, Payload=body, LogType="Tail")
            output = output_of(answer["Payload"].read(), failed="FunctionError" in answer)
        return output, base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip()


def _search(deployment: Deployment, query: str) -> int:
    found = parameters.read(deployment, "tools", SEARCH)
    again = deployment.command(f"tools set {SEARCH} --backend BACKEND")
    if found is None or not is_backend(found.text):
        raise Problem(f"{deployment.title} has no {SEARCH} that can be tried: no service that searches is set", again)
    configuration = configured(found.text)
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
