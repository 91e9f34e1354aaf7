"""All of one tenant's storage on AWS."""

from collections.abc import Callable

from ...aws.clients import Aws
from ...aws.launcher import StepFunctionsLauncher
from ...core.ports import Storage
from .claims import DynamoClaims
from .event_log import DynamoEventLog
from .layout import Shelf
from .runs import DynamoRuns
from .store import DynamoStore
from .table import Table, safe
from .values import Values


def aws_storage(
    aws: Aws,
    *,
    table: str,
    bucket: str,
    state_machine_arn: str,
    tenant: str,
    now: Callable[[], float],
    response_days: float = 30,
    log_days: float = 7,
) -> Storage:
    """Cheap: `aws`, with its clients, is what a sandbox keeps. Days are how long things are kept."""
    shelf = Shelf(Table(aws, table), Values(aws, bucket, safe(tenant)), safe(tenant), now, response_days, log_days)
    return Storage(
        store=DynamoStore(shelf),
        runs=DynamoRuns(shelf),
        log=DynamoEventLog(shelf),
        launcher=StepFunctionsLauncher(aws, state_machine_arn, tenant),
        claims=DynamoClaims(shelf),
    )
