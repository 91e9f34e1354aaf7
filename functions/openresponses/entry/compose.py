"""A deployment, made from its environment. Modules that it doesn't need are not imported."""

import secrets
import time
from collections.abc import Mapping, Sequence
from functools import partial

from .. import telemetry
from ..core.ports import Parameters, Ports, Storage
from ..dialects import connect, prepare
from ..routing.catalog import Catalog
from ..routing.cipher import AeadSeal, Keys, kept_in, of_this_process
from ..routing.router import Router, TenantModels
from ..toolbox import Toolbox
from ..toolbox.files import ToolFiles
from .settings import OFFLINE, AwsSettings, aws_settings_from, settings_from


class Deployment:
    """What a sandbox keeps for its life. `ports` binds it to a tenant, which is cheap."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Raises ValueError that names the variable."""
        self.settings = settings_from(environment)
        aws = aws_settings_from(environment)
        self._storage = _storage(aws) if aws.table else None
        parameters, self._keys, self._tools = _configured(aws) if aws.ssm_prefix else _unconfigured()
        self.router = Router(Catalog(parameters, [OFFLINE]), connect, self.settings, time.monotonic, telemetry.answered)

    def ports(self, tenant: str, allowed: Sequence[str] = ()) -> Ports:
        return Ports(
            models=TenantModels(self.router, AeadSeal(self._keys, tenant), allowed),
            tools=self._tools,
            accounts=telemetry.LoggedAccounts(tenant),
            now=time.time,
            new_id=lambda: secrets.token_hex(16),
            storage=self._storage(tenant=tenant) if self._storage else None,
        )


def _storage(settings: AwsSettings) -> "partial[Storage]":
    """A function of `tenant`."""
    from ..aws.clients import Aws
    from ..storage.dynamodb.storage import aws_storage

    return partial(
        aws_storage,
        Aws(settings.region),
        table=settings.table,
        bucket=settings.bucket,
        state_machine_arn=settings.state_machine_arn,
        now=time.time,
        response_days=settings.response_days,
        log_days=settings.log_days,
    )


def _unconfigured() -> tuple[Parameters, Keys, Toolbox]:
    from ..storage.memory import MemoryParameters

    return MemoryParameters(), of_this_process(), Toolbox([ToolFiles()])


def _configured(settings: AwsSettings) -> tuple[Parameters, Keys, Toolbox]:
    from ..aws.clients import Aws
    from ..aws.functions import LambdaFunctions
    from ..aws.parameters import SsmParameters
    from ..toolbox.lambda_functions import LambdaTools

    aws = Aws(settings.region, threads=4)
    parameters = SsmParameters(
        aws,
        f"{settings.ssm_prefix}/",
        time.monotonic,
        seconds=settings.config_seconds,
        meanwhile=prepare,
        key=settings.key_arn,
    )
    sources = [ToolFiles(), LambdaTools(parameters, LambdaFunctions(settings.region))]
    return parameters, kept_in(parameters), Toolbox(sources)
