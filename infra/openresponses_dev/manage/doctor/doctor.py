"""`openresponses doctor`: looks at a deployment from its credentials to its providers, and says what mends what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated

from cyclopts import Parameter

from openresponses_dev.local.terminal import say
from openresponses_dev.manage.deployment import Deployment, Where, deployment_at, session_of
from openresponses_dev.manage.doctor import checks_account as account
from openresponses_dev.manage.doctor import checks_configuration as configuration
from openresponses_dev.manage.doctor import checks_resources as resources
from openresponses_dev.manage.doctor.checks_websocket import websocket
from openresponses_dev.manage.doctor.findings import Finding, document_of, ok, problem, shown, verdict
from openresponses_dev.manage.output import AsJson, show_json
from openresponses_dev.manage.problems import Problem, translated

_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_CHECKS: dict[str, Callable[[Deployment], Iterable[Finding]]] = {
    "table": resources.table,
    "table's expiry": resources.expiry,
    "bucket": resources.bucket,
    "state machine": resources.state_machine,
    "functions": resources.functions,
    "providers": configuration.providers,
    "default provider": configuration.default_provider,
    "aliases": configuration.aliases,
    "tools": configuration.tools,
    "MCP servers": configuration.mcp_servers,
    "sealing key": configuration.sealing_key,
    "Parameter Store": account.throughput,
    "subscription": account.subscriptions,
    "client keys": configuration.client_keys,
    "health": resources.health,
    "without a key": resources.closed_door,
    "WebSocket": websocket,
}


def doctor(
    *,
    live: Annotated[bool, Parameter(help="ask each provider for a few words, too")] = False,
    as_json: AsJson = False,
    where: Where = Where(),
) -> int:
    """The exit status: 1 where something must be mended. Shows each finding as it comes."""
    findings: list[Finding] = []
    for finding in _examine(where, live):
        findings.append(finding)
        if not as_json:
            say(shown(finding))
    if as_json:
        show_json([document_of(finding) for finding in findings])
    else:
        say(verdict(findings))
    return int(any(finding.state == "problem" for finding in findings))


def _examine(where: Where, live: bool) -> Iterator[Finding]:
    try:
        if where.local is None:
            yield _credentials(where)
        deployment = deployment_at(where)
    except Problem as wrong:  # nothing more can be asked
        yield problem("deployment", str(wrong), wrong.mend)
        return
    yield _settled(deployment)
    for about, check in (_CHECKS | ({"answers": configuration.answers} if live else {})).items():
        try:
            yield from check(deployment)
        except Problem as wrong:
            yield problem(about, str(wrong), wrong.mend)


def _settled(deployment: Deployment) -> Finding:
    if deployment.local or deployment.state in _SETTLED:
        return ok("deployment", deployment.title)
    return problem("deployment", f"{deployment.title} is {deployment.state}", "wait until that is over, or sam deploy")


def _credentials(where: Where) -> Finding:
    with translated("sts"):
        who = session_of(where).client("sts").get_caller_identity()
    return ok("credentials", who["Arn"])
