"""A deployment, made from its environment. Modules that it doesn't need are not imported."""

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from .. import telemetry
from ..core.ports import Parameters, Ports
from ..core.run import REASONING_SHOWN
from ..core.storage import Storage
from ..dialects import connect, prepare, runs
from ..limits.budget import Known, TenantBudget
from ..prices import Prices
from ..routing.catalog import Catalog
from ..routing.cipher import AeadSeal, Box, Keys, TenantMarks, kept_in, of_this_process
from ..routing.router import Router, TenantModels
from ..toolbox import Toolbox
from ..toolbox.files import ToolFiles
from ..toolbox.mcp import McpTools
from ..toolbox.source import ToolSource
from .settings import AwsSettings, aws_settings_from, built_in, settings_from

if TYPE_CHECKING:
    from ..aws.clients import Aws
    from ..core.storage import Meters, Spent
    from ..responses.create import NewResponses
    from ..responses.stored import StoredResponses
    from ..socket.ports import Sockets
    from ..toolbox.mcp.listing import McpClients
    from ..toolbox.mcp.servers import ConfiguredServers
    from ..toolbox.mcp.source import McpSource
    from ..tracing.exporter import Exporter
    from ..tracing.traces import TenantTraces
    from ..webhooks.notify import WebhookPorts


class Deployment:
    """What a sandbox keeps for its life. `ports` binds it to a tenant, which is cheap."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Raises ValueError that names the variable."""
        self.settings = settings_from(environment)
        self._where = aws = aws_settings_from(environment)
        self.clients = _clients(aws.region) if aws.table else None
        self._storage = _storage(aws, self.clients) if self.clients else None
        self._parameters, self._keys, self._sources = (
            _configured(aws, self.settings.loopback) if aws.ssm_prefix else _unconfigured(aws)
        )
        self._known = dict[tuple[str, str], Known]()
        self._spent = dict[str, dict[str, tuple[str, float]]]()
        catalog = Catalog(self._parameters, built_in(self.settings.default_provider))
        self.router = Router(
            catalog,
            connect,
            self.settings,
            time.monotonic,
            telemetry.answered,
            runs,
            Prices(),
            telemetry.Skips(time.monotonic),
            telemetry.circuit,
        )

        self._exporter = self._exporting(environment) if self.settings.otlp_endpoint else None

    async def aclose(self) -> None:
        await self.router.aclose()
        if self._exporter:
            await self._exporter.aclose()

    def ports(self, tenant: str, allowed: Sequence[str] = ()) -> Ports:
        models = TenantModels(self.router, AeadSeal(self._keys, tenant), allowed)
        storage = self._storage(tenant=tenant) if self._storage else None
        return Ports(
            models=models,
            tools=Toolbox([*self._sources, McpTools(partial(self._mcp, tenant))]),
            accounts=telemetry.LoggedAccounts(tenant),
            now=time.time,
            new_id=_new_id,
            storage=storage,
            budget=TenantBudget(storage.meters, models, time.time, _new_id, self._known, tenant) if storage else None,
            marks=TenantMarks(self._keys, tenant),
            remembered=None if self._storage else self._remembered(tenant),
            traces=self._traces(tenant, self._exporter) if self._exporter else None,
        )

    def _traces(self, tenant: str, exporter: "Exporter") -> "TenantTraces":
        from ..tracing.traces import TenantTraces

        return TenantTraces(tenant, exporter, time.time, _new_id)

    def _exporting(self, environment: Mapping[str, str]) -> "Exporter":
        """Raises ValueError."""
        from ..tracing.exporter import Exporter
        from ..tracing.headers import headers_in

        resource = {
            "service.name": environment.get("POWERTOOLS_SERVICE_NAME") or "openresponses",
            "cloud.region": environment.get("AWS_REGION"),
            "faas.name": environment.get("AWS_LAMBDA_FUNCTION_NAME"),
        }
        headers = partial(headers_in, self._parameters)
        try:
            return Exporter(self.settings.otlp_endpoint, headers, resource, telemetry.unexported)
        except ValueError as error:
            raise ValueError(f"OPENRESPONSES_OTLP_ENDPOINT: {error}") from None

    def _remembered(self, tenant: str) -> "Spent":
        from ..storage.memory.spent import MemorySpent

        return MemorySpent(self._spent.setdefault(tenant, {}))

    def _mcp(self, tenant: str) -> "McpSource":
        from ..toolbox.mcp.source import McpSource
        from ..transport.guard import Guard

        clients, servers = self._mcp_shared
        seal, guard = AeadSeal(self._keys, tenant), Guard(self.settings.loopback)
        return McpSource(clients, tenant, seal, guard, servers.find)

    @cached_property
    def _mcp_shared(self) -> "tuple[McpClients, ConfiguredServers]":
        """What all tenants share."""
        from ..toolbox.mcp.listing import McpClients
        from ..toolbox.mcp.servers import ConfiguredServers

        return McpClients(time.monotonic), ConfiguredServers(self._parameters)

    def use_cases(
        self, tenant: str, key_id: str, allowed: Sequence[str], mcp: Sequence[str], reasoning: str | None
    ) -> "tuple[NewResponses, StoredResponses]":
        """What a client key may use. `allowed` are patterns of models, `mcp` of MCP servers' labels. `reasoning` is the
        most that it may see, if not as much as everybody.
        """
        from ..responses.create import NewResponses
        from ..responses.stored import StoredResponses

        ports, settings = self.ports(tenant, allowed), self.settings
        least = next(each for each in reversed(REASONING_SHOWN) if each in (reasoning, settings.reasoning))
        return NewResponses(ports, replace(settings, reasoning=least), key_id, allowed, mcp), StoredResponses(ports)

    def meters(self, tenant: str) -> "Meters":
        """Raises ValueError if the environment names no storage."""
        if self._storage is None:
            raise ValueError("OPENRESPONSES_TABLE: meters need storage")
        return self._storage(tenant=tenant).meters

    def webhooks(self, tenant: str) -> "WebhookPorts":
        """Raises ValueError if the environment names no storage."""
        from ..transport.guard import Guard
        from ..webhooks.notify import WebhookPorts

        if self._storage is None:
            raise ValueError("OPENRESPONSES_TABLE: webhooks need storage")
        return WebhookPorts(
            endpoints=self._storage(tenant=tenant).endpoints,
            seal=AeadSeal(self._keys, tenant),
            guard=Guard(self.settings.loopback),
            now=time.time,
            new_id=lambda: secrets.token_hex(16),
        )

    def sockets(self, tenant: str, connection_id: str) -> "Sockets":
        """Raises ValueError if the environment names no storage."""
        from ..storage.dynamodb.sockets import dynamo_sockets

        if self.clients is None:
            raise ValueError("OPENRESPONSES_TABLE: a WebSocket needs storage")
        return dynamo_sockets(
            self.clients,
            table=self._where.table,
            bucket=self._where.bucket,
            tenant=tenant,
            connection_id=connection_id,
            box_of=partial(Box, self._keys),
            now=time.time,
        )


def _new_id() -> str:
    return secrets.token_hex(16)


def _clients(region: str) -> "Aws":
    from ..aws.clients import Aws

    return Aws(region)


def _storage(settings: AwsSettings, clients: "Aws") -> "partial[Storage]":
    """A function of `tenant`."""
    from ..storage.dynamodb.storage import aws_storage

    return partial(
        aws_storage,
        clients,
        table=settings.table,
        bucket=settings.bucket,
        state_machine_arn=settings.state_machine_arn,
        now=time.time,
        response_days=settings.response_days,
        log_days=settings.log_days,
    )


def _unconfigured(settings: AwsSettings) -> tuple[Parameters, Keys, list[ToolSource]]:
    from ..storage.memory.parameters import MemoryParameters

    return MemoryParameters(), of_this_process(), [*tool_files(settings)]


def tool_files(settings: AwsSettings) -> list[ToolFiles]:
    """Tools of one's own win over the server's."""
    ours = ToolFiles(traced=settings.tracebacks)
    if not settings.tools:
        return [ours]
    from ..toolbox.own_files import own_files

    return [own_files(settings.tools, traced=settings.tracebacks), ours]


def _configured(settings: AwsSettings, loopback: bool) -> tuple[Parameters, Keys, list[ToolSource]]:
    from ..aws.clients import Aws
    from ..aws.functions import LambdaFunctions
    from ..aws.parameters import SsmParameters
    from ..toolbox.lambda_functions import DAY, LambdaTools
    from ..toolbox.web_search.source import WebSearch

    aws = Aws(settings.region, threads=4)
    parameters = SsmParameters(
        aws,
        f"{settings.ssm_prefix}/",
        time.monotonic,
        seconds=settings.config_seconds,
        meanwhile=prepare,
        key=settings.key_arn,
    )
    lambdas = LambdaTools(parameters, LambdaFunctions(settings.region), settings.response_days * DAY)
    sources: list[ToolSource] = [*tool_files(settings), lambdas, WebSearch(parameters, loopback)]
    return parameters, kept_in(parameters), sources
