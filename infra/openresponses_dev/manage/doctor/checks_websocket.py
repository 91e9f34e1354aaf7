"""The doctor's questions about the WebSocket API, where the deployment has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.doctor.findings import Finding, ok, problem
from openresponses_dev.manage.problems import AwsRefused, translated

_STAGE = "responses"
_DEPLOY = "sam deploy"
_HANDSHAKE = {  # https://www.rfc-editor.org/rfc/rfc6455#section-1.2
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "sec-websocket-version": "13",
}
_TIMEOUT = httpx2.Timeout(30)  # a first socket starts a sandbox


def websocket(deployment: Deployment) -> Iterator[Finding]:
    if deployment.websocket_api:
        yield _stage(deployment)
        yield _key(deployment)
        yield _worker(deployment)
    if deployment.websocket_base_url:
        yield _closed_door(f"{deployment.websocket_base_url}/{_STAGE}")


def _stage(deployment: Deployment) -> Finding:
    """What a client adds to its base URL is the stage's name."""
    with translated("apigateway"):
        found: list[Any] = deployment.client("apigatewayv2").get_stages(ApiId=deployment.websocket_api)["Items"]
    stages = {each["StageName"]: each.get("LastDeploymentStatusMessage", "") for each in found}
    if _STAGE not in stages:
        return problem("WebSocket", f"has no stage {_STAGE}: no client finds it", _DEPLOY)
    if "fail" in stages[_STAGE].lower():
        return problem("WebSocket", f"was not deployed: {stages[_STAGE]}", _DEPLOY)
    return ok("WebSocket", f"{deployment.websocket_base_url}/{_STAGE}")


def _key(deployment: Deployment) -> Finding:
    with translated("apigateway"):
        found: list[Any] = deployment.client("apigatewayv2").get_routes(ApiId=deployment.websocket_api)["Items"]
    routes = {each["RouteKey"]: each.get("AuthorizationType", "NONE") for each in found}
    if missing := {"$connect", "$disconnect", "$default"} - routes.keys():
        return problem("WebSocket's routes", f"lack {', '.join(sorted(missing))}", _DEPLOY)
    if routes["$connect"] != "CUSTOM":
        return problem("WebSocket's routes", f"let sockets in by {routes['$connect']}, and not by a key", _DEPLOY)
    return ok("WebSocket's routes", "a key opens a socket")


def _worker(deployment: Deployment) -> Finding:
    """What was answered in part would be answered again."""
    name = f"{deployment.stack}-socket"
    try:
        with translated("lambda"):
            configuration = deployment.client("lambda").get_function_event_invoke_config(FunctionName=name)
    except AwsRefused as refused:
        if refused.code != "ResourceNotFoundException":
            raise
        configuration = dict[str, Any]()
    retries = configuration.get("MaximumRetryAttempts", 2)  # Lambda's own default
    if retries:
        return problem("WebSocket's worker", f"{name} is run again up to {retries} times for one message", _DEPLOY)
    return ok("WebSocket's worker", "answers a message once")


def _closed_door(url: str) -> Finding:
    try:
        answer = httpx2.get(url.replace("ws", "http", 1), headers=_HANDSHAKE, timeout=_TIMEOUT)
        status = str(answer.status_code)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        status = f"no answer ({type(error).__name__})"
    if status == "401":
        return ok("a socket without a key", "is not opened (401)")
    return problem("a socket without a key", f"{url}: {status}, not 401", _DEPLOY)
