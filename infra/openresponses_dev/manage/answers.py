"""`openresponses tools answer`: the answer of a call that waits, given to Step Functions by its token."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from openresponses.core.answers import REFUSED
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import AwsRefused, Problem, translated

MAX_ANSWER = 261_120
"""Bytes of an answer as JSON. Step Functions takes 262,144, the ids of the call among them:
https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
MAX_CAUSE = 32_768
"""Characters of why a call failed: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html"""
_WORDS = {
    "TaskTimedOut": "this call waits no more: it was answered, its time is over, or its response has ended",
    "InvalidToken": "this is no token of a call in {title}",
}
_WORDS["TaskDoesNotExist"] = _WORDS["TaskTimedOut"]


def answer(
    token: Annotated[str, Parameter(help="the task_token that the tool's function was given")],
    /,
    *,
    output: Annotated[str | None, Parameter(metavar="TEXT", help="what the model reads")] = None,
    error: Annotated[str | None, Parameter(metavar="TEXT", help="why the call failed; the model reads that")] = None,
    where: Where = Where(),
) -> int:
    """Once for each call, within its time."""
    if (output is None) == (error is None):
        raise Problem("an answer has either an output or an error", "--output TEXT, or --error TEXT")
    said = json.dumps(output, ensure_ascii=False)
    if len(said.encode(errors="replace")) > MAX_ANSWER:
        raise Problem(f"the answer is too long: it may have {MAX_ANSWER} bytes as JSON")
    if error is not None and len(error) > MAX_CAUSE:
        raise Problem(f"the error is too long: it may have {MAX_CAUSE} characters")
    deployment = deployment_at(where)
    states = deployment.client("stepfunctions")
    try:
        with translated("states"):
            if error is None:
                states.send_task_success(taskToken=token, output=said)
            else:
                states.send_task_failure(taskToken=token, error=REFUSED, cause=error)
    except AwsRefused as refused:
        if refused.code not in _WORDS:
            raise
        raise Problem(_WORDS[refused.code].format(title=deployment.title)) from None
    say(f"answered, in {deployment.title}")
    return 0
