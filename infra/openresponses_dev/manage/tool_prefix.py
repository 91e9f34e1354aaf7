"""Which Lambda functions the server may invoke."""

from __future__ import annotations

from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.problems import warn


def warn_of_prefix(deployment: Deployment, function: str) -> None:
    """`function` is a name or an ARN: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html. The user's own
    rights may allow more than the server's.
    """
    name = function.rpartition("function:")[2].partition(":")[0]
    if not name.startswith(deployment.tool_prefix):
        warn(f"the server may not invoke {name}, only functions whose names begin with {deployment.tool_prefix}")
