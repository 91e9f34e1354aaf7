"""`openresponses prompts`: what requests may begin with. A prompt is a tenant's, and its versions never change."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, cast

import yaml
from cyclopts import Parameter
from pydantic import ValidationError

from openresponses.core.errors import RequestError
from openresponses.core.prompts import NAME, SETTINGS, placeholders
from openresponses.parsing.problems import problem
from openresponses.schema.request import CreateResponse
from openresponses_dev.local.terminal import say
from openresponses_dev.manage.at_rest import done, storage_of
from openresponses_dev.manage.deployment import Where, deployment_at
from openresponses_dev.manage.output import AsJson, show
from openresponses_dev.manage.problems import Problem, meant

MAX_PROMPT = 2**20
"""Bytes of a prompt as JSON. Each request that names it reads all of it."""
_FIELDS = ("instructions", "input", *(name for name in SETTINGS if name != "instructions"))
_STDIN = "standard input"
Tenant = Annotated[str, Parameter(metavar="TENANT", help="whose requests may name it")]


def set_prompt(
    name: Annotated[str, Parameter(help="what requests name it by: prompt.id")],
    file: Annotated[
        Path | None, Parameter(help="YAML or JSON, fields of a request with {{variables}} (default: standard input)")
    ] = None,
    /,
    *,
    tenant: Tenant,
    where: Where = Where(),
) -> int:
    """The same file again is a new version, too."""
    if not NAME.fullmatch(name):
        raise Problem(f"{name!r} is no name of a prompt: letters, digits, '_', '.' and '-', 128 at most")
    body = read_prompt(file)
    deployment = deployment_at(where)
    made = done(storage_of(deployment, tenant).prompts.add(name, body))
    variables = ", ".join(placeholders(body)) or "none"
    say(f"prompt {name} of tenant {tenant}, version {made.version}, in {deployment.title}; variables: {variables}")
    return 0


def list_prompts(*, tenant: Tenant, as_json: AsJson = False, where: Where = Where()) -> int:
    found = done(storage_of(deployment_at(where), tenant).prompts.listed())
    rows = [
        (each.id, str(each.version), f"{datetime.fromtimestamp(each.created_at, UTC):%Y-%m-%d %H:%M}") for each in found
    ]
    data = [{"name": each.id, "version": each.version, "created_at": each.created_at} for each in found]
    show(data, ("PROMPT", "NEWEST", "SINCE"), rows, as_json=as_json)
    return 0


def remove_prompt(name: str, /, *, tenant: Tenant, where: Where = Where()) -> int:
    """With all its versions. Responses that were made of it stay."""
    deployment = deployment_at(where)
    if not done(storage_of(deployment, tenant).prompts.remove(name)):
        mend = deployment.command(f"prompts list --tenant {tenant}")
        known = [each.id for each in done(storage_of(deployment, tenant).prompts.listed())]
        raise Problem(f"tenant {tenant} has no prompt {name} in {deployment.title}{meant(name, known)}", mend)
    say(f"prompt {name} of tenant {tenant} is removed from {deployment.title}, with all its versions")
    return 0


def read_prompt(file: Path | None) -> CreateResponse:
    """From standard input if there is no file. Raises Problem, which names the field."""
    try:
        value: object = yaml.safe_load(file.read_text() if file else sys.stdin.read())
    except OSError as error:
        raise Problem(f"{file}: {error.strerror}", "name a file of YAML or JSON") from None
    except UnicodeDecodeError:
        raise Problem(f"{file or _STDIN}: it is not UTF-8", "save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise Problem(f"{file or _STDIN}: {error}", "a text that begins with {{ is quoted") from None
    return prompt_of(value, str(file or _STDIN))


def prompt_of(value: object, where: str) -> CreateResponse:
    """What a document says. Raises Problem, which names `where` it is, and the field."""
    if not isinstance(value, dict):
        raise Problem(f"{where}: a prompt is an object, with instructions, input, or both")
    fields = cast("dict[object, object]", value)
    if unknown := [each for each in fields if each not in _FIELDS]:
        raise Problem(f"{where}: {unknown[0]!r} is no field of a prompt", f"the fields are {', '.join(_FIELDS)}")
    try:
        body = CreateResponse.model_validate(fields)
        placeholders(body)
    except ValidationError as error:
        raise Problem(f"{where}: {problem(error, CreateResponse).message}") from None
    except RequestError as error:
        field = f"{error.param}: " if error.param else ""
        raise Problem(f"{where}: {field}{error.message}") from None
    if not body.instructions and not body.input:
        raise Problem(f"{where}: a prompt has instructions, input, or both")
    if (size := len(body.model_dump_json(exclude_unset=True))) > MAX_PROMPT:
        raise Problem(f"{where}: a prompt has at most {MAX_PROMPT >> 20} MiB as JSON; this one has {size} bytes")
    return body
