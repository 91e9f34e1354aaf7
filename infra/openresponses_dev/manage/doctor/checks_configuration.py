"""The doctor's questions about what operators set: can the functions read it, and does it fit together?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from pydantic import ValidationError

from openresponses.entry.settings import OFFLINE, built_in
from openresponses.toolbox.lambda_functions import LambdaTool
from openresponses.toolbox.mcp.servers import SERVERS
from openresponses.toolbox.source import is_backend
from openresponses.toolbox.web_search.configuration import parsed
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.doctor.findings import Finding, note, ok, problem
from openresponses_dev.manage.keys import all_keys, state
from openresponses_dev.manage.mcp import server_of
from openresponses_dev.manage.models import provider_names, targets_of, unconfigured
from openresponses_dev.manage.parameters import Parameter
from openresponses_dev.manage.problems import AwsRefused, Problem, translated
from openresponses_dev.manage.provider_options import settings_of
from openresponses_dev.manage.providers import address_of, model_to_try, too_near, unreachable, without_secrets
from openresponses_dev.manage.trial import attempt


def providers(deployment: Deployment) -> Iterator[Finding]:
    found = parameters.read_all(deployment, "providers")
    if not found:
        pretended = " but offline, which only pretends to be a model" if built_in(deployment.default_provider) else ""
        yield note("providers", f"none{pretended}", deployment.command("providers set NAME"))
    yield from (_provider(deployment, each) for each in found)


def _provider(deployment: Deployment, found: Parameter) -> Finding:
    about, again = f"provider {found.name}", deployment.command(f"providers set {found.name}")
    try:
        settings = settings_of(found.name, found.text)
    except Problem as wrong:
        return problem(about, str(wrong), again)
    if not found.secure:
        mend = f"{deployment.command(f'providers remove {found.name}')}, then {again}"
        return problem(about, "is not a SecureString: its key is readable in the Parameter Store", mend)
    if warning := unreachable(deployment, settings):
        return note(about, warning)
    return ok(about, f"{settings.dialect} {address_of(settings)}".strip())


def default_provider(deployment: Deployment) -> Iterator[Finding]:
    name = deployment.default_provider
    if name in provider_names(deployment):
        yield ok("default provider", name)
    else:
        mend = deployment.command(f"providers set {name}")
        yield problem("default provider", f"{name} is not configured: bare model names are not found", mend)


def aliases(deployment: Deployment) -> Iterator[Finding]:
    configured = provider_names(deployment)
    for each in parameters.read_all(deployment, "models"):
        about = f"alias {each.name}"
        try:
            targets = targets_of(each.name, each.text)
        except Problem as wrong:
            yield problem(about, str(wrong), deployment.command(f"models alias {each.name} TARGET..."))
            continue
        missing = unconfigured(targets, configured)
        if missing:
            mend = deployment.command(f"providers set {missing[0]}")
            yield problem(about, f"names what is not configured: {', '.join(missing)}", mend)
        else:
            yield ok(about, ", then ".join(targets))


def tools(deployment: Deployment) -> Iterator[Finding]:
    for each in parameters.read_all(deployment, "tools"):
        if is_backend(each.text):
            yield _search(deployment, each)
            continue
        try:
            yield ok(f"tool {each.name}", LambdaTool.model_validate_json(each.text).function)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(map(str, first["loc"])) or "value"
            name = f"{deployment.prefix}/tools/{each.name}"
            yield problem(f"tool {each.name}", f"{where}: {first['msg']}", f"correct the parameter {name}")


def _search(deployment: Deployment, found: Parameter) -> Finding:
    about, again = f"tool {found.name}", deployment.command(f"tools set {found.name} --backend BACKEND")
    try:
        configuration = parsed(found.text)
    except ValueError as wrong:
        return problem(about, str(wrong), again)
    if not found.secure:
        mend = f"{deployment.command(f'tools remove {found.name}')}, then {again}"
        return problem(about, "is not a SecureString: its key is readable in the Parameter Store", mend)
    if warning := too_near(deployment, configuration.base_url):
        return note(about, warning)
    return ok(about, f"{configuration.backend} {without_secrets(configuration.base_url)}".strip())


def mcp_servers(deployment: Deployment) -> Iterator[Finding]:
    for each in parameters.read_all(deployment, SERVERS):
        about, again = f"MCP server {each.name}", deployment.command(f"mcp set {each.name} URL")
        try:
            server = server_of(each.name, each.text)
        except Problem as wrong:
            yield problem(about, str(wrong), again)
            continue
        if not each.secure:
            mend = f"{deployment.command(f'mcp remove {each.name}')}, then {again}"
            yield problem(about, "is not a SecureString: its headers are readable in the Parameter Store", mend)
        elif warning := too_near(deployment, server.url):
            yield note(about, warning)
        else:
            yield ok(about, without_secrets(server.url))


def sealing_key(deployment: Deployment) -> Iterator[Finding]:
    name = f"{deployment.prefix}/sealing-key"
    try:
        with translated("ssm"):
            # As it is stored: nobody but the functions needs to read it.
            kind = deployment.client("ssm").get_parameter(Name=name, WithDecryption=False)["Parameter"]["Type"]
    except AwsRefused as refused:
        if refused.code != "ParameterNotFound":
            raise
        yield note("sealing key", "not made yet: it is when reasoning is first sealed")
        return
    if kind == "SecureString":
        yield ok("sealing key", name)
    else:
        mend = f"delete {name}: the next function that needs one makes it"
        yield problem("sealing key", f"{name} is not a SecureString", mend)


def client_keys(deployment: Deployment) -> Iterator[Finding]:
    valid = [key for key in all_keys(deployment) if state(key, time.time()) == "valid"]
    if valid:
        tenants = sorted({key.tenant for key in valid})
        yield ok("client keys", f"{len(valid)} valid, of {', '.join(tenants)}")
    else:
        yield problem(
            "client keys", "none is valid: nobody gets in", deployment.command("keys create --tenant default")
        )


def answers(deployment: Deployment) -> Iterator[Finding]:
    """Asks each provider for a few words, which costs a few tokens."""
    for name in sorted(provider_names(deployment) - {OFFLINE.name}):
        yield _answer(deployment, name)


def _answer(deployment: Deployment, name: str) -> Finding:
    about, again = f"{name} answers", deployment.command(f"providers set {name}")
    try:
        found = parameters.read(deployment, "providers", name)
        settings = settings_of(name, found.text if found else "{}")
        model = model_to_try(deployment, settings)
    except Problem as wrong:
        return problem(about, str(wrong), wrong.mend)
    if not model:
        return note(
            about, "not tried: no model of it is known", deployment.command(f"providers test {name} --model MODEL")
        )
    trial = asyncio.run(attempt(settings, model, again=again))
    if trial.error:
        return problem(about, f"{model}: {trial.error}", trial.mend)
    return ok(about, f"{model} in {trial.total:.2f} s")
