"""A SAM template, read as far as the local cloud runs it: functions, their routes and the APIs in front.

It knows nothing of processes or HTTP. Everything it refuses, it refuses with the place in the template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openresponses_dev.local.template.authorization import (
    NO_AUTHORIZATION,
    Authorization,
    Authorizer,
    read_authorization,
    refuse_unknown,
)
from openresponses_dev.local.template.event_sources import StreamMapping, stream_mappings
from openresponses_dev.local.template.intrinsics import Resolver
from openresponses_dev.local.template.nested import APPLICATION, Applications
from openresponses_dev.local.template.parameters import check_rules, final_values, undeclared
from openresponses_dev.local.template.properties import Properties
from openresponses_dev.local.template.websocket import Declarations, SocketApi, read_websocket
from openresponses_dev.local.template.yaml_tree import Table, TemplateError, Value, parse, table, text

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "ANY")
TASK_ROOT = "/var/task"
MAX_TIMEOUT_S = 900
MAX_RETRIES = 2
TOOLS_VARIABLE = "OPENRESPONSES_TOOLS"
LAYER = "AWS::Serverless::LayerVersion"
_TOOLS_IN_LAYER = "python/tools"
_TRANSFER_MODES = {"BUFFERED": False, "RESPONSE_STREAM": True}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of a REST API whose integration is a function. Without an authorizer anyone may call it."""

    function: str
    api: str
    method: str
    path: str
    streaming: bool
    timeout_s: float
    authorizer: Authorizer | None = None


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What the template changes of an answer that the gateway itself gives."""

    status: int | None
    headers: Mapping[str, str]
    body: str | None


@dataclass(frozen=True, slots=True)
class Api:
    """A REST API: its stage, what it answers when no function does, and who authorizes its methods."""

    name: str
    stage: str
    responses: Mapping[str, GatewayResponse]
    authorization: Authorization = NO_AUTHORIZATION


@dataclass(frozen=True, slots=True)
class EventInvokeConfig:
    """What becomes of an asynchronous invocation: it is run so many times more when it fails. Then the function of an
    ARN, if there is one, is told. The default is AWS's:
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """

    retries: int = MAX_RETRIES
    on_failure: str = ""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as Lambda would hold its configuration. The `name` of one in a nested template is SAM's full path,
    `<application>/<function>` (`full_path` in samcli/lib/providers/provider.py of aws-sam-cli).

    `tools` is the folder, on this machine, of a layer with tools of one's own.
    """

    name: str
    arn: str
    handler: str
    runtime: str
    task_root: Path
    timeout_s: int
    memory_mb: int
    environment: Mapping[str, str]
    concurrency: int | None
    routes: tuple[Route, ...]
    event_invoke: EventInvokeConfig = EventInvokeConfig()
    streams: tuple[StreamMapping, ...] = ()
    tools: Path | None = None

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its source is."""
        return (self.task_root, self.tools) if self.tools else (self.task_root,)

    @property
    def wrapper(self) -> Path | None:
        """The script that starts the runtime in place of the stock one, in the local task root."""
        path = self.environment.get("AWS_LAMBDA_EXEC_WRAPPER")
        return Path(path.replace(TASK_ROOT, str(self.task_root), 1)) if path else None


@dataclass(frozen=True, slots=True)
class Template:
    """What the template declares, with every value final. `functions` and `apis` are of the `nested` templates, too;
    `outputs` are not resolved yet.
    """

    path: Path
    functions: Mapping[str, FunctionSpec]
    apis: Mapping[str, Api]
    parameters: Mapping[str, Value]
    resolver: Resolver = field(repr=False)
    websocket: SocketApi | None = None
    outputs: Table = field(default_factory=dict[str, Value], repr=False)
    nested: Mapping[str, Template] = field(default_factory=dict[str, "Template"])

    def all(self) -> Iterator[Template]:
        """This one, and those below."""
        yield self
        for each in self.nested.values():
            yield from each.all()

    def output(self, name: str) -> Value:
        """None where there is no such output, or its condition does not hold."""
        where = f"Outputs.{name}"
        output = table(self.outputs.get(name), where)
        condition = output.get("Condition")
        if condition is not None and not self.resolver.holds(text(condition, where), where):
            return None
        return self.resolver.resolve(output.get("Value"), where)

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(route for function in self.functions.values() for route in function.routes)


def read_template(
    path: Path, parameters: Mapping[str, str] | None = None, preferred: Mapping[str, str] | None = None
) -> Template:
    """Read the template at `path`, and those that are nested in it. `parameters` override what it and they declare: one
    that it does not declare is of those. `preferred` override the defaults of those that declare them.

    Raises TemplateError.
    """
    given = dict(parameters or {})
    reading = _Reading(preferred or {})
    template = reading.read(path, given)
    for name in given:
        if name not in reading.declared:
            raise undeclared(name)
    if not template.functions:
        raise TemplateError(str(path), "declares no AWS::Serverless::Function")
    return template


class _Reading:
    """Reads one template, and those that are nested in it. `layers` are the folders of layers, by their ARN."""

    def __init__(self, preferred: Mapping[str, str]) -> None:
        self.declared: set[str] = set()
        self._preferred = preferred
        self._layers: dict[str, Path] = {}

    def read(
        self, path: Path, given: Mapping[str, str], told: Mapping[str, str] | None = None, place: tuple[str, ...] = ()
    ) -> Template:
        """`told` are the parameters that the template above says, at `place`. Raises TemplateError."""
        document = _document(path)
        declared = table(document.get("Parameters"), "Parameters")
        self.declared |= declared.keys()
        preferred = {name: value for name, value in self._preferred.items() if name in declared}
        ours = {name: value for name, value in given.items() if name in declared}
        rest = {name: value for name, value in given.items() if name not in declared}
        resolver = Resolver(
            final_values(declared, {**preferred, **(told or {}), **ours}),
            table(document.get("Resources"), "Resources"),
            table(document.get("Conditions"), "Conditions"),
            table(document.get("Mappings"), "Mappings"),
            place,
        )
        check_rules(table(document.get("Rules"), "Rules"), resolver)
        defaults = table(document.get("Globals"), "Globals")
        reader = _Reader(path.parent.resolve(), resolver, defaults, self._layers)
        self._layers |= {resolver.arn(name): reader.layer(name) for name in reader.named(LAYER)}
        nested = Applications(reader, lambda path, told, below: self.read(path, rest, told, (*place, below)))
        resolver.outputs = nested.output
        below = {name: nested.template(name) for name in reader.named(APPLICATION)}
        return _template(path, reader, table(document.get("Outputs"), "Outputs"), below)


def _document(path: Path) -> Table:
    try:
        return parse(path.read_text(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(str(path), str(error)) from error


def _template(path: Path, reader: _Reader, outputs: Table, nested: Mapping[str, Template]) -> Template:
    """Functions and APIs are those of the nested templates, too."""
    resolver = reader.resolver
    apis = {resolver.name(name): reader.api(name) for name in reader.named("AWS::Serverless::Api")}
    read = (reader.function(name, apis) for name in reader.named("AWS::Serverless::Function"))
    functions = {function.name: function for function in read}
    declarations = Declarations(reader.named, reader.read, {spec.arn: name for name, spec in functions.items()})
    sockets = [read_websocket(declarations), *(each.websocket for each in nested.values())]
    if len(found := [each for each in sockets if each]) > 1:
        raise TemplateError(str(path), "has more than one WebSocket API, and the local cloud runs one")
    for each in nested.values():
        functions, apis = {**functions, **each.functions}, {**apis, **each.apis}
    websocket = found[0] if found else None
    return Template(path, functions, apis, resolver.parameters, resolver, websocket, outputs, nested)


@dataclass(frozen=True, slots=True)
class _Reader:
    root: Path
    resolver: Resolver
    defaults: Table
    layers: Mapping[str, Path]

    def named(self, kind: str) -> list[str]:
        """Logical ids of the resources of this type whose condition holds."""
        found: list[str] = []
        for name, value in self.resolver.resources.items():
            where = f"Resources.{name}"
            resource = table(value, where)
            condition = resource.get("Condition")
            if text(resource.get("Type"), f"{where}.Type") == kind and (
                condition is None or self.resolver.holds(text(condition, where), f"{where}.Condition")
            ):
                found.append(name)
        return found

    def read(self, name: str, keys: tuple[str, ...], section: str = "") -> Properties:
        """These properties of a resource, to which the globals of the section belong."""
        where = f"Resources.{name}.Properties"
        own = table(table(self.resolver.resources[name], f"Resources.{name}").get("Properties"), where)
        merged = merge(table(self.defaults.get(section), f"Globals.{section}"), own)
        # Only what we read: the rest may use names and functions that mean nothing here.
        wanted: Table = {key: merged[key] for key in keys if key in merged}
        return Properties(table(self.resolver.resolve(wanted, where), where), where)

    def function(self, name: str, apis: Mapping[str, Api]) -> FunctionSpec:
        keys = ("Handler", "Runtime", "CodeUri", "Timeout", "MemorySize", "ReservedConcurrentExecutions", "Layers")
        properties = self.read(name, (*keys, "Environment", "EventInvokeConfig", "Events"), "Function")
        task_root = (self.root / properties.text("CodeUri")).resolve()
        if not task_root.is_dir():
            raise TemplateError(properties.at("CodeUri"), f"{task_root} is not a directory")
        events = properties.table("Events")
        environment = properties.table("Environment").table("Variables").texts()
        path = "/".join((*self.resolver.place, name))
        layers = [self.layers[arn] for arn in properties.list("Layers") if arn in self.layers]
        return FunctionSpec(
            name=path,
            arn=self.resolver.arn(name),
            handler=properties.text("Handler"),
            runtime=properties.text("Runtime"),
            task_root=task_root,
            timeout_s=properties.number("Timeout", 3, 1, MAX_TIMEOUT_S),
            memory_mb=properties.number("MemorySize", 128, 128, 10_240),
            environment=environment,
            concurrency=properties.number("ReservedConcurrentExecutions", 0, 0, 10_000)
            if "ReservedConcurrentExecutions" in properties.values
            else None,
            routes=tuple(
                _route(path, event.table("Properties"), apis)
                for event in map(events.table, events.values)
                if event.text("Type") == "Api"
            ),
            event_invoke=_event_invoke(properties.table("EventInvokeConfig")),
            streams=tuple(stream_mappings(path, events)),
            tools=layers[0] if layers and environment.get(TOOLS_VARIABLE) else None,
        )

    def layer(self, name: str) -> Path:
        """The folder that a layer is made of: the tools themselves, if SAM builds it by their makefile."""
        properties = self.read(name, ("ContentUri",), "LayerVersion")
        folder = (self.root / properties.text("ContentUri")).resolve()
        if not folder.is_dir():
            raise TemplateError(properties.at("ContentUri"), f"{folder} is not a directory")
        return built if (built := folder / _TOOLS_IN_LAYER).is_dir() else folder

    def api(self, name: str) -> Api:
        properties = self.read(name, ("StageName", "GatewayResponses", "Auth", "Cors", "DefinitionBody"), "Api")
        for key in ("Cors", "DefinitionBody"):
            if key in properties.values:
                raise TemplateError(properties.at(key), "the local cloud does not run this")
        responses = properties.table("GatewayResponses")
        return Api(
            self.resolver.name(name),
            properties.text("StageName"),
            {key: _gateway_response(responses.table(key)) for key in responses.values},
            read_authorization(properties.table("Auth")),
        )


def merge(common: Table, own: Table) -> Table:
    """SAM's rule for Globals: mappings merge, lists add up, else the resource's own value wins."""
    merged = {**common, **own}
    for key in common.keys() & own.keys():
        left, right = common[key], own[key]
        if isinstance(left, dict) and isinstance(right, dict):
            merged[key] = merge(left, right)
        elif isinstance(left, list) and isinstance(right, list):
            merged[key] = [*left, *right]
    return merged


def _route(function: str, event: Properties, apis: Mapping[str, Api]) -> Route:
    method, path = event.text("Method").upper(), event.text("Path")
    mode = event.text("ResponseTransferMode", "BUFFERED")
    if method not in METHODS:
        raise TemplateError(event.at("Method"), f"{method!r} is not one of {', '.join(METHODS)}")
    if not path.startswith("/"):
        raise TemplateError(event.at("Path"), f"{path!r} does not start with /")
    if mode not in _TRANSFER_MODES:
        raise TemplateError(event.at("ResponseTransferMode"), f"{mode!r} is not one of {', '.join(_TRANSFER_MODES)}")
    streaming = _TRANSFER_MODES[mode]
    limit_ms = MAX_TIMEOUT_S * 1000 if streaming else 300_000
    timeout_ms = event.number("TimeoutInMillis", 29_000, 50, limit_ms)
    api = event.text("RestApiId", "ServerlessRestApi")
    authorization = apis[api].authorization if api in apis else NO_AUTHORIZATION
    authorizer = authorization.of(event.table("Auth"))
    return Route(function, api, method, path, streaming, timeout_ms / 1000, authorizer)


def _event_invoke(config: Properties) -> EventInvokeConfig:
    destinations = config.table("DestinationConfig")
    refuse_unknown(destinations, "OnFailure")
    failed = destinations.table("OnFailure")
    if (kind := failed.text("Type", "Lambda")) != "Lambda":
        raise TemplateError(failed.at("Type"), f"the local cloud runs Lambda, not {kind!r}")
    return EventInvokeConfig(
        config.number("MaximumRetryAttempts", MAX_RETRIES, 0, MAX_RETRIES),
        failed.text("Destination", ""),
    )


def _gateway_response(response: Properties) -> GatewayResponse:
    templates = response.table("ResponseTemplates")
    return GatewayResponse(
        status=response.number("StatusCode", 0, 100, 599) if "StatusCode" in response.values else None,
        headers=response.table("ResponseParameters").table("Headers").texts(),
        body=templates.text("application/json") if "application/json" in templates.values else None,
    )
