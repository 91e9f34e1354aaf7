"""The local cloud: what a template declares, running on this machine. For `openresponses dev` and for tests.

async with LocalCloud("template.yaml", aliases={"fast": ["offline/demo"]}) as cloud:
    client = OpenAI(base_url=cloud.base_url, api_key=cloud.api_key)
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from openresponses.client_keys import new_token
from openresponses_dev.local import neighbours, restart, sam_local, status_page
from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.background import Background
from openresponses_dev.local.console.at_rest import AtRest
from openresponses_dev.local.console.pages import Pages
from openresponses_dev.local.gateway.gateway import IDLE_TIMEOUT_S, QUEUE_S, Gateway
from openresponses_dev.local.gateway.listener import Listeners
from openresponses_dev.local.gateway.management import Management
from openresponses_dev.local.gateway.server import Doors, HttpServer
from openresponses_dev.local.gateway.socket_gateway import SocketGateway
from openresponses_dev.local.gateway.socket_line import AS_ON_AWS, Limits
from openresponses_dev.local.gateway.visitors import Visitors
from openresponses_dev.local.kept import Kept
from openresponses_dev.local.logs import Log
from openresponses_dev.local.private_folder import PrivateFolder
from openresponses_dev.local.reload import check_tools, follow_source
from openresponses_dev.local.sandbox.calls import Call
from openresponses_dev.local.sandbox.environment import local_addresses, sandbox_environment
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.sandbox.invoker import Invoker
from openresponses_dev.local.sandbox.sandbox import Sandbox
from openresponses_dev.local.seed import (
    PREFIX_VARIABLE,
    TABLE_VARIABLE,
    Aliases,
    Providers,
    configuration,
    kept_token,
    let_in,
    local_key,
)
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import AwsCall
from openresponses_dev.local.template.template import FunctionSpec, Template, read_template
from openresponses_dev.local.template.yaml_tree import TemplateError

MAX_ENVIRONMENT_BYTES = 4096
_EXPIRY_S = 600.0
DEFAULT_CONCURRENCY = 10  # what a new AWS account has
_WEBSOCKET_VARIABLE = "OPENRESPONSES_WEBSOCKET_URL"
_LOCALLY = {"OPENRESPONSES_LOOPBACK": "true", "OPENRESPONSES_TRACEBACKS": "true"}
"""Lets the functions connect to what a request names on this machine, and tell all of what is wrong with a tool. No
template sets these.
"""
PREFERRED = {"WebSocket": "true"}
"""Parameters that have another default in the local cloud than on AWS."""
UNLIMITED_FRAME_BYTES = 1024 * 1024
"""What functions send without limits: Python's `websockets` takes no more by default, and the OpenAI SDK uses it."""
SOCKET_PATH = "/v1/responses"
"""Of the REST address: there a proxy in front of both APIs would have the WebSocket API."""


def read(template: str | Path | Template, parameters: Mapping[str, str] | None = None) -> Template:
    """As the local cloud runs it. Raises TemplateError."""
    return template if isinstance(template, Template) else read_template(Path(template), parameters, PREFERRED)


class LocalCloud:
    """`env` overrides the template's variables in every function. `api_key` lets clients in, as tenant "default";
    without it a random one is made. `providers` and `aliases` are what a deployment gets by command. `ssm` are further
    parameters; `retry_scale` shortens the state machine's delays, for tests. WebSockets have `socket_limits`, and are
    served at the REST address too unless they have a `separate_origin`, as on AWS. `private` is where the commands
    find the way to its services while it runs, in a file of the port's name, and `sam local` in another. `sam_host` is
    the address at which a container finds this machine.
    `kept` is what it goes on with, its key included, and where it keeps what changes.

    Raises TemplateError and ValueError on construction, PortTaken, NotPrivate and OSError on entry.
    """

    def __init__(
        self,
        template: str | Path | Template = "template.yaml",
        *,
        port: int | Listeners = 0,
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
        socket_limits: Limits = AS_ON_AWS,
        separate_origin: bool = False,
        kept: Kept | None = None,
    ) -> None:
        self.api_key = api_key or (kept and kept_token(kept)) or new_token()
        local_key(self.api_key)
        self._key_given, self._kept = api_key is not None, kept
        self.template: Template = read(template, parameters)
        self.log = log or Log(None)
        self.origin = self.socket_origin = ""
        self._env, self._reload, self._private = dict(env or {}), reload, private
        self._access: Path | None = None
        self._background = Background(self._failed)
        self.functions = {name: self._function(spec, concurrency) for name, spec in self.template.functions.items()}
        variables = self._variables()
        self.found = restart.Found(variables.get(PREFIX_VARIABLE, ""), variables.get(TABLE_VARIABLE, ""))
        """Once entered, what was kept."""
        functions = self.functions.values()
        self._invoker = Invoker(functions, self._background, self.log, self._delivered, retry_scale)
        extra = configuration(self.template, providers or {}, aliases or {})
        self.aws = self._services(ssm, extra, retry_scale, sam_local.checked(sam_host))
        self._beside: list[asyncio.Task[None]] = []
        self._running = AsyncExitStack()
        history = self.log.history
        self._pages = Pages(self, AtRest(self.aws, variables, history), history, self._status_document)
        visitors = Visitors(variables.get("OPENRESPONSES_ALLOWED_ORIGINS", "").replace(",", " ").split())
        self._front = self._gateway(visitors, idle_timeout_s, queue_s)
        self._sockets = self._socket_gateway(visitors, socket_limits)
        self._separate = separate_origin
        self._server, self._socket_server = self._servers(port, socket_limits)

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes."""
        return f"{self.origin}/v1"

    @property
    def websocket_url(self) -> str:
        """Where WebSockets are opened. Empty where the template declares none, and until entered."""
        if self._sockets is None or not self.socket_origin:
            return ""
        own, same = f"{self.socket_origin}/{self._sockets.api.stage}", f"{self.origin}{SOCKET_PATH}"
        return (own if self._separate else same).replace("http://", "ws://", 1)

    @property
    def websocket_base_url(self) -> str:
        """What an OpenAI client takes for WebSockets: it adds `/responses`."""
        return self.websocket_url.removesuffix("/responses")

    @property
    def sandboxes(self) -> list[Sandbox]:
        """Those alive, of all functions."""
        return [sandbox for function in self.functions.values() for sandbox in function.sandboxes]

    def invoke(self, function: str, event: object) -> Call:
        """Invoke a function as Lambda's own API does, past the gateway. Raises KeyError, InvokeError."""
        return self.functions[function].invoke(json.dumps(event, ensure_ascii=False).encode())

    async def __aenter__(self) -> Self:
        self._invoker.begin()
        async with AsyncExitStack() as stack:
            if self.aws.needed:
                await stack.enter_async_context(self.aws)
                self.aws.expect_answers({response_id for _, response_id in self.found.unfinished})
                self.api_key = await asyncio.to_thread(
                    let_in, self.api_key, self.template, self.aws, self._kept, given=self._key_given
                )
            if self._socket_server is not None:
                self.socket_origin = await self._socket_server.start()
                stack.push_async_callback(self._socket_server.stop)
            self.origin = await self._server.start()
            stack.push_async_callback(self._server.stop)
            self._announce(stack)
            self._running = stack.pop_all()
        self._check_own_tools()
        if self._reload:
            following = follow_source(self.functions, self.log, lambda function: self.environment(function.spec, ""))
            self._background.spawn(following, "reload")
        if self._kept:
            machine = self._variables().get("OPENRESPONSES_STATE_MACHINE_ARN", "")
            going_on = restart.go_on_all(self.aws, machine, self.found, self._failed)
            self._beside = [
                self._background.spawn(going_on, "going on"),
                self._background.spawn(self._expire(), "expiry"),
            ]
        return self

    def _check_own_tools(self) -> None:
        """Those of a folder that is not the server's: nobody has to call one to be told what is wrong with it."""
        if function := next((each for each in self.functions.values() if each.spec.tools), None):
            self._background.spawn(check_tools(function, self.log, self.environment(function.spec, "")), "tools")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._front.closing = True
        self._pages.end()
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        self.aws.halt()
        if self._sockets is not None:
            await self._sockets.stop()
        await asyncio.gather(*(function.close() for function in self.functions.values()))
        await self._server.stop()
        # Once more: a request may have come in between.
        await asyncio.gather(*(function.close() for function in self.functions.values()))
        await self._running.aclose()
        await self._background.close()

    def _services(
        self, ssm: Mapping[str, str] | None, extra: Sequence[AwsCall], retry_scale: float, address: str
    ) -> LocalAws:
        return LocalAws(
            self.template,
            self._invoker.api,
            parameters=ssm,
            extra=extra,
            retry_scale=retry_scale,
            address=address,
            kept=self._kept,
            found=self.found.add,
            say=self._failed,
            follows=self._invoker.mappings,
            streamed=self._invoker.put,
        )

    def _failed(self, text: str) -> None:
        self.log.say(text, failed=True)

    def _gateway(self, visitors: Visitors, idle_timeout_s: float, queue_s: float) -> Gateway:
        return Gateway(
            self.template,
            self.functions,
            background=self._background,
            log=self.log,
            idle_timeout_s=idle_timeout_s,
            queue_s=queue_s,
            pages=self._pages,
            visitors=visitors,
        )

    def _servers(self, port: int | Listeners, limits: Limits) -> tuple[HttpServer, HttpServer | None]:
        """The one of the REST API, and the one of the WebSocket API with its management API, if there is one."""
        rest, sockets = (port, 0) if isinstance(port, int) else (port.rest, port.sockets)
        if self._sockets is None:
            return HttpServer(self._front, rest), None
        api = self._sockets.api
        management = Management(api.stage, self._sockets.connections, self.aws.credentials, limits)
        own = HttpServer(Doors(management, self._sockets), sockets, f"/{api.stage}", limits)
        path = "" if self._separate else SOCKET_PATH
        return HttpServer(Doors(self._front, self._sockets), rest, path, limits), own

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

    def _socket_gateway(self, visitors: Visitors, limits: Limits) -> SocketGateway | None:
        if self.template.websocket is None:
            return None
        return SocketGateway(
            self.template.websocket,
            self.functions,
            background=self._background,
            log=self.log,
            visitors=visitors,
            limits=limits,
        )

    def _delivered(self, mapping: str, numbers: Sequence[str]) -> None:
        self.aws.delivered(mapping, numbers)

    def environment(self, spec: FunctionSpec, runtime_api: str) -> dict[str, str]:
        """All the variables of a sandbox whose Runtime API is at this address."""
        apis = local_addresses(spec.environment, self.template.apis.values(), self.origin)
        services = {**_LOCALLY, **apis, **self.aws.environment(), **self._sockets_environment()}
        return sandbox_environment(spec, runtime_api, services, self._env)

    def _sockets_environment(self) -> dict[str, str]:
        """The variables that lead to the WebSocket API, and to its management API, as botocore names that."""
        if self._sockets is None:
            return {}
        told = {_WEBSOCKET_VARIABLE: self.websocket_url}
        if self._sockets.limits.message is None:
            told["OPENRESPONSES_SOCKET_FRAME_BYTES"] = str(UNLIMITED_FRAME_BYTES)
        endpoint = f"{self.socket_origin}/{self._sockets.api.stage}"
        return {**told, "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": endpoint}

    def _announce(self, stack: AsyncExitStack) -> None:
        if self._private is not None and self.aws.endpoint_url:
            name = f"{self.origin.rpartition(':')[2]}.json"
            own = {"OPENAI_API_KEY": self.api_key, **neighbours.about()}  # the key is for `chat`
            self._access = self._private.write(name, {**self.aws.environment(), **own})
            stack.callback(self._private.remove, name)
            specs = [function.spec for function in self.functions.values()]
            sockets = self._sockets_environment()
            services = {**_LOCALLY, **self.aws.environment_in_a_container(), **sockets}
            self._private.write(sam_local.FILE, sam_local.env_vars(specs, services, {**sockets, **self._env}))
            stack.callback(self._private.remove, sam_local.FILE)

    def _status_document(self) -> str:
        return status_page.status_document(
            self.functions,
            self._variables(),
            base_url=self.base_url,
            websocket_url=self.websocket_base_url,
            access=self._access,
        )

    def _variables(self) -> dict[str, str]:
        """What the functions are told, all of them taken together."""
        told = [function.spec.environment for function in self.functions.values()]
        return {name: value for variables in (*told, self._env) for name, value in variables.items()}

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(_EXPIRY_S)
            await asyncio.to_thread(self.aws.expire)
