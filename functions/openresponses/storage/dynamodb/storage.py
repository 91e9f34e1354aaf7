"""The storage ports of one tenant, on AWS."""

from collections.abc import Callable

from ...aws.clients import Aws
from ...aws.launcher import StepFunctionsLauncher
from ...core.storage import Storage
from .answers import DynamoAnswers
from .claims import DynamoClaims
from .conversations import DynamoConversations
from .endpoints import DynamoEndpoints
from .event_log import DynamoEventLog
from .layout import TenantLayout
from .meters import DynamoMeters
from .prompts import DynamoPrompts
from .runs import DynamoRuns
from .spent import DynamoSpent
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
    """Cheap, so that it can be made for each request; `aws`, with its clients, lives as long as the sandbox."""
    layout = TenantLayout(
        Table(aws, table), Values(aws, bucket, safe(tenant)), safe(tenant), now, response_days, log_days
    )
    return Storage(
        store=DynamoStore(layout),
        runs=DynamoRuns(layout),
        log=DynamoEventLog(layout),
        launcher=StepFunctionsLauncher(aws, state_machine_arn, tenant),
        claims=DynamoClaims(layout),
        prompts=DynamoPrompts(layout),
        conversations=DynamoConversations(layout),
        answers=DynamoAnswers(layout),
        spent=DynamoSpent(layout),
        endpoints=DynamoEndpoints(layout),
        meters=DynamoMeters(layout),
    )
