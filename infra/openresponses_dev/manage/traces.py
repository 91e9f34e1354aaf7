"""`openresponses traces`: the headers that the deployment's OpenTelemetry collector wants. They are secrets."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter

from openresponses.tracing.headers import FOLDER, NAME, parse_headers
from openresponses_dev.local.terminal import say
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.provider_options import read_headers


def set_headers(
    header: Annotated[tuple[str, ...], Parameter(metavar="NAME", help="its value is read, and kept secret")],
    /,
    *,
    where: Where = Where(),
) -> int:
    deployment = deployment_at(where)
    text = json.dumps(read_headers(header, "the collector"), ensure_ascii=False)
    try:
        parse_headers(text)
    except ValueError as error:
        raise Problem(f"the collector's headers: {error}") from None
    parameters.write(deployment, FOLDER, NAME, text)
    say(f"the collector's headers are set {deployment.soon}")
    return 0


def remove_headers(*, where: Where = Where()) -> int:
    deployment = deployment_at(where)
    if not parameters.delete(deployment, FOLDER, NAME):
        raise Problem(f"no headers are set in {deployment.title}", deployment.command("traces set NAME"))
    say(f"the collector's headers are removed {deployment.soon}")
    return 0
