"""The ports of a deployment, from its environment. What is on AWS is imported only where the deployment has it."""

import secrets
import time
from collections.abc import Mapping

from ..core.ports import Models, Ports, Storage, Toolbox
from ..tools import Toolbox as Files
from .settings import AwsSettings, aws_settings_from


def ports_from(environment: Mapping[str, str], models: Models) -> Ports:
    settings = aws_settings_from(environment)
    return Ports(
        models=models,
        tools=_tools(settings),
        now=time.time,
        new_id=lambda: secrets.token_hex(16),
        storage=_storage(settings),
    )


def _storage(settings: AwsSettings) -> Storage | None:
    if not settings.table:
        return None
    from ..aws.clients import Aws
    from ..aws.storage import aws_storage

    return aws_storage(
        Aws(settings.region),
        table=settings.table,
        bucket=settings.bucket,
        state_machine_arn=settings.state_machine_arn,
        tenant=settings.tenant,
        now=time.time,
        response_days=settings.response_days,
        log_days=settings.log_days,
    )


def _tools(settings: AwsSettings) -> Toolbox:
    if not settings.ssm_prefix:
        return Files()
    from ..aws.clients import Aws
    from ..aws.functions import LambdaFunctions
    from ..aws.parameters import SsmParameters
    from ..tools._lambda_functions import LambdaTools

    aws, prefix = Aws(settings.region, threads=4), f"{settings.ssm_prefix}/tools/"
    parameters = SsmParameters(aws, settings.region, prefix, time.monotonic)
    return LambdaTools(Files(), parameters, LambdaFunctions(settings.region))
