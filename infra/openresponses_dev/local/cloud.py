"""The local cloud: what a template declares, running on this machine. For `openresponses dev` and for tests.

async with LocalCloud("template.yaml", aliases={"fast": ["offline/demo"]}) as cloud:
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

from openresponses.client_keys import new_token
from openresponses_dev.local import sam_local, status_page
from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.background import Background
from openresponses_dev.local.gateway.gateway import IDLE_TIMEOUT_S, QUEUE_S, Gateway
from openresponses_dev.local.gateway.server import HttpServer
from openresponses_dev.local.gateway.visitors import Visitors
from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import PrivateFolder
from openresponses_dev.local.sandbox.calls import Call
from openresponses_dev.local.sandbox.environment import sandbox_environment
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.sandbox.lambda_api import LambdaApi, Target, sandboxed
from openresponses_dev.local.sandbox.sandbox import Sandbox
from openresponses_dev.local.seed import Aliases, Providers, configuration, let_in, local_key
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.template import FunctionSpec, Template, read_template
from openresponses_dev.local.template.yaml_tree import TemplateError

MAX_ENVIRONMENT_BYTES = 4096
DEFAULT_CONCURRENCY = 10  # what a new AWS account has


class LocalCloud:
    """`env` overrides the template's variables in every function. `api_key` lets clients in, as tenant "default";
    without it a random one is made. `providers` and `aliases` are what a deployment gets by command. `ssm` are further
    parameters; `retry_scale` shortens the state machine's delays, for tests. `private` is where the commands find the
    way to its services while it runs, in a file of the port's name, and `sam local` in another. `sam_host` is the
    address at which a container finds this machine.

    Raises TemplateError and ValueError on construction, PortTaken, NotPrivate and OSError on entry.
    """

    def __init__(
        self,
        template: str | Path = "template.yaml",
        *,
        port: int = 0,
        env: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        api_key: str | None = None,
        providers: Providers | None = None,
        aliases: Aliases | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
        reload: bool = False,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        queue_s: float = QUEUE_S,
        ssm: Mapping[str, str] | None = None,
        retry_scale: float = 1.0,
        log: Log | None = None,
        private: PrivateFolder | None = None,
        sam_host: str = LOOPBACK,
    ) -> None:
        self.api_key = api_key or new_token()
        self._key = local_key(self.api_key)
        self.template: Template = read_template(Path(template), parameters)
        self.log = log or Log(None)
        self.origin = ""
        self._env, self._reload, self._private = dict(env or {}), reload, private
        self._access: Path | None = None
        self._background = Background(lambda text: self.log.say(text, failed=True))
        self.functions = {name: self._function(spec, concurrency) for name, spec in self.template.functions.items()}
        self._targets: dict[str, Target] = {}
        self.aws = LocalAws(
            self.template,
            LambdaApi(self._targets),
            parameters=ssm,
            extra=configuration(self.template, providers or {}, aliases or {}),
            retry_scale=retry_scale,
            address=sam_local.checked(sam_host),
        )
        self._running = AsyncExitStack()
        gateway = Gateway(
            self.template,
            self.functions,
            background=self._background,
            log=self.log,
            idle_timeout_s=idle_timeout_s,
            queue_s=queue_s,
            pages={
                status_page.PATH: lambda: status_page.status_page(self.functions, self.aws.executions()),
                status_page.JSON_PATH: self._status_document,
            },
            visitors=Visitors(self._variables().get("OPENRESPONSES_ALLOWED_ORIGINS", "").replace(",", " ").split()),
        )
        self._server = HttpServer(gateway, port)

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return f"{self.origin}/v1"

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Those alive, of all functions."""
        return [sandbox for function in self.functions.values() for sandbox in function.sandboxes]

    def invoke(self, function: str, event: object) -> Call:
        """Invoke a function as Lambda's own API does, past the gateway. Raises KeyError, InvokeError."""
        return self.functions[function].invoke(json.dumps(event, ensure_ascii=False).encode())

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for function in self.functions.values():
            self._targets[function.spec.arn.rpartition(":")[2]] = sandboxed(function, loop)
        async with AsyncExitStack() as stack:
            if self.aws.needed:
                await stack.enter_async_context(self.aws)
                await asyncio.to_thread(let_in, self._key, self.template, self.aws)
            self.origin = await self._server.start()
            stack.push_async_callback(self._server.stop)
            self._announce(stack)
            self._running = stack.pop_all()
        if self._reload:
            self._background.spawn(self._watch(), "reload")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.aws.halt()
        await asyncio.gather(*(function.close() for function in self.functions.values()))
        await self._server.stop()
        # Once more: a request may have come in between.
        await asyncio.gather(*(function.close() for function in self.functions.values()))
        await self._running.aclose()
        await self._background.close()

    def _function(self, spec: FunctionSpec, concurrency: int) -> Function:
        where = f"Resources.{spec.name}.Properties.Environment.Variables"
        if spec.wrapper and not os.access(spec.wrapper, os.X_OK):
            raise TemplateError(f"{where}.AWS_LAMBDA_EXEC_WRAPPER", f"{spec.wrapper} is not an executable file")
        variables = {**spec.environment, **self._env}
        if (size := sum(len(f"{key}{value}".encode()) for key, value in variables.items())) > MAX_ENVIRONMENT_BYTES:
            self.log.say(f"{spec.name}: {size} bytes of environment variables; Lambda takes {MAX_ENVIRONMENT_BYTES}")

        def create() -> Sandbox:
            return Sandbox(spec, lambda address: self.environment(spec, address), self._background, self.log)

        limit = concurrency if spec.concurrency is None else spec.concurrency
        return Function(spec, limit=limit, create=create, background=self._background, log=self.log)

    def environment(self, spec: FunctionSpec, runtime_api: str) -> dict[str, str]:
        """All the variables of a sandbox whose Runtime API is at this address."""
        return sandbox_environment(spec, runtime_api, self.aws.environment(), self._env)

    def _announce(self, stack: AsyncExitStack) -> None:
        if self._private is not None and self.aws.endpoint_url:
            name = f"{self.origin.rpartition(':')[2]}.json"
            self._access = self._private.write(name, self.aws.environment())
            stack.callback(self._private.remove, name)
            specs = [function.spec for function in self.functions.values()]
            self._private.write(
                sam_local.FILE, sam_local.env_vars(specs, self.aws.environment_in_a_container(), self._env)
            )
            stack.callback(self._private.remove, sam_local.FILE)

    def _status_document(self) -> str:
        return status_page.status_document(
            self.functions, self._variables(), base_url=self.base_url, access=self._access
        )

    def _variables(self) -> dict[str, str]:
        """What the functions are told, all of them taken together."""
        told = [function.spec.environment for function in self.functions.values()]
        return {name: value for variables in (*told, self._env) for name, value in variables.items()}

    async def _watch(self) -> None:
        roots = {function.spec.task_root for function in self.functions.values()}
        async for changes in awatch(*roots, debounce=200, step=50):
            changed = sorted(Path(path) for _, path in changes)
            self.log.say(f"{changed[0].name} changed, reloading")
            await asyncio.gather(
                *(
                    function.replace()
                    for function in self.functions.values()
                    if any(path.is_relative_to(function.spec.task_root) for path in changed)
                )
            )
