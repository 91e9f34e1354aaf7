"""`openresponses traces`: the headers that the deployment's OpenTelemetry collector wants. They are secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter
from pydantic import JsonValue

from openresponses.core.settings import BadField
from openresponses.tracing.headers import FOLDER, NAME, parse_headers
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import BadSetting, Problem
from openresponses_dev.manage.provider_options import HEADER, read_headers


def set_headers(
    header: Annotated[tuple[str, ...], Parameter(metavar="NAME", help="its value is read, and kept secret")],
    /,
    *,
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    _check(dict.fromkeys(header, "unread"))
    headers = read_headers(header, "the collector")
    _check(headers)
    parameters.write(deployment, FOLDER, NAME, json.dumps(headers))
    say(f"the collector's headers are set {deployment.soon}")
    return 0


def _check(headers: Mapping[str, JsonValue]) -> None:
    """Raises Problem."""
    try:
        parse_headers(json.dumps(headers))
    except BadField as error:
        raise BadSetting("", ("headers", *error.place), error.what).typed({"headers": HEADER}, "") from None


def remove_headers(*, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, FOLDER, NAME):
        raise Problem(f"no headers are set in {deployment.title}", deployment.command("traces set NAME"))
    say(f"the collector's headers are removed {deployment.soon}")
    return 0
