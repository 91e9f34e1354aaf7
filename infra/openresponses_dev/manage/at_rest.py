"""What a deployment has at rest, read and written from here by the code that its functions use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from openresponses.aws.clients import Aws, Refused
from openresponses.aws.session import Service
from openresponses.client_keys import check_tenant
from openresponses.core.errors import KitError
from openresponses.core.storage import Storage
from openresponses.storage.dynamodb.storage import aws_storage
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.problems import Problem, as_problem, translated

_EXPECTED = ("ConditionalCheckFailedException", "NoSuchKey", "ParameterNotFound", "ParameterAlreadyExists")
"""Refusals of AWS that the functions' code understands."""
T = TypeVar("T")


class DeploymentAws(Aws):
    """AWS as the deployment is reached from here, by the user's own rights."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment.region, threads=4)
        self._deployment = deployment

    def client(self, service: Service) -> Any:
        return self._deployment.client(service)

    async def call(self, service: Service, operation: str, /, **parameters: object) -> dict[str, Any]:
        """Raises Problem where `Aws` would raise what the functions' code does not understand."""
        with translated(service):
            try:
                return await super().call(service, operation, **parameters)
            except Refused as refused:
                if refused.code in _EXPECTED or refused.__cause__ is None:
                    raise
                raise refused.__cause__ from None


def storage_of(deployment: Deployment, tenant: str, aws: Aws | None = None) -> Storage:
    """Raises Problem for what is no name of a tenant."""
    with as_problem(ValueError):
        check_tenant(tenant)
    return aws_storage(
        aws or DeploymentAws(deployment),
        table=deployment.table,
        bucket=deployment.bucket,
        state_machine_arn=deployment.state_machine,
        tenant=tenant,
        now=time.time,
    )


def done(doing: Coroutine[Any, Any, T]) -> T:
    """Raises Problem for what the functions' code refuses."""
    try:
        return asyncio.run(doing)
    except KitError as error:
        raise Problem(error.message) from None
