"""The doctor's questions about the account: what everything in it shares, and what a person must have done in it once.

Nothing here can be mended by a deploy, and not everybody may look at it: what can't be seen is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from openresponses.aws.parameters import EARLY
from openresponses.core.settings import ProviderSettings
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.doctor.findings import Finding, note, ok, problem
from openresponses_dev.manage.problems import AwsRefused, Problem, translated
from openresponses_dev.manage.provider_options import settings_of
from openresponses_dev.manage.providers import named_models

_THROUGHPUT = "/ssm/parameter-store/high-throughput-enabled"
"""https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetServiceSetting.html"""
_READS, _MORE_READS = 40, 100
"""GetParametersByPath a second: by default shared with GetParameter and GetParameters, with high throughput its own.
https://docs.aws.amazon.com/general/latest/gr/ssm.html"""
_PAGE = 10
"""Parameters in one answer of GetParametersByPath."""

_ACCESS = "https://docs.aws.amazon.com/bedrock/latest/userguide/model-access.html"
_FREE = ("amazon", "deepseek", "meta", "mistral", "openai", "qwen")
"""Whose models are not in AWS Marketplace: https://repost.aws/knowledge-center/bedrock-resolve-marketplace-permission"""
_PROFILE = re.compile(r"^(?:apac|au|ca|eu|global|jp|us|us-gov)\.")
"""How the id of an inference profile begins, before the model's own:
https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html"""
_FOUNDATION = re.compile(r"([a-z0-9-]+)\.[a-z0-9-][a-z0-9.:-]*")


def throughput(deployment: Deployment) -> Iterator[Finding]:
    """How often the functions may read their configuration, and for how many busy sandboxes that is enough."""
    if deployment.local:
        return
    try:
        with translated("ssm"):
            answer = deployment.client("ssm").get_service_setting(SettingId=_THROUGHPUT)
    except AwsRefused as refused:
        yield note("Parameter Store", f"its throughput can't be seen: {refused}", refused.mend)
        return
    more = answer["ServiceSetting"]["SettingValue"] == "true"
    reads = _MORE_READS if more else _READS
    found = (len(parameters.read_all(deployment, kind)) for kind in ("providers", "models", "tools"))
    pages = sum(max(1, -(-count // _PAGE)) for count in found)
    seconds = int(deployment.config_seconds) * (1 - EARLY)
    enough = f"enough for {int(reads * seconds / pages)} busy sandboxes"
    if more:
        yield ok("Parameter Store", f"high throughput, {reads} listings a second: {enough}")
    else:
        detail = f"{reads} reads a second for all that the account does, its default: {enough}"
        yield note("Parameter Store", detail, "for more: a longer ConfigSeconds, or high throughput, which costs")


def subscriptions(deployment: Deployment) -> Iterator[Finding]:
    """Whether Bedrock's models that are named can be called. Their first call subscribes to them in AWS Marketplace,
    which the functions may not.
    """
    if deployment.local:
        return
    models: dict[str, str] = {}
    for found in parameters.read_all(deployment, "providers"):
        try:
            settings = settings_of(found.name, found.text)
        except Problem:  # another check tells
            continue
        if settings.dialect == "bedrock" and not settings.api_key:
            named = named_models(deployment, settings)
            models |= dict.fromkeys(named, _region(deployment, settings))
            if not named:
                detail = f"{found.name} names no model: somebody must have called each one once"
                yield note("subscription", detail, f"read {_ACCESS}")
    unsure = False
    for model, region in models.items():
        finding = _subscription(deployment, model, region)
        unsure = unsure or (finding.state != "ok" and "anthropic." in model)
        yield finding
    if unsure:
        yield _form(deployment)


def _region(deployment: Deployment, settings: ProviderSettings) -> str:
    return str(settings.options.get("region") or deployment.region)


def _subscription(deployment: Deployment, model: str, region: str) -> Finding:
    own = _PROFILE.sub("", model)
    foundation = _FOUNDATION.fullmatch(own)
    if foundation is None:
        return note("subscription", f"{model}: not looked at, it is not the id of a model")
    if foundation[1] in _FREE:
        return ok("subscription", f"{model} needs none")
    try:
        with translated("bedrock"):
            answer: dict[str, Any] = deployment.client("bedrock", region).get_foundation_model_availability(modelId=own)
    except Problem as unseen:
        return note("subscription", f"{model}: can't be seen: {unseen}", unseen.mend)
    agreement = answer["agreementAvailability"]["status"]
    if agreement == "AVAILABLE" and answer["authorizationStatus"] == "AUTHORIZED":
        return ok("subscription", f"{model} has one")
    if agreement == "PENDING":
        return note("subscription", f"{model}: is being made, which takes up to 15 minutes")
    call = f"aws bedrock-runtime converse --region {region} --model-id {model}"
    hello = """--messages '[{"role": "user", "content": [{"text": "Hello"}]}]'"""
    who = "as one who may aws-marketplace:Subscribe and aws-marketplace:ViewSubscriptions"
    return problem("subscription", f"{model} has none, and the functions may not make it", f"{call} {hello}, {who}")


def _form(deployment: Deployment) -> Finding:
    try:
        with translated("bedrock"):
            deployment.client("bedrock").get_use_case_for_model_access()
    except AwsRefused as refused:
        if refused.code != "ResourceNotFoundException":
            return note("Anthropic's form", f"can't be seen: {refused}", refused.mend)
        mend = "fill it in, once for an account or its organization: choose a model of theirs in Bedrock's console"
        return note(
            "Anthropic's form", "was not sent from this account, and no model of theirs answers without it", mend
        )
    return ok("Anthropic's form", "was sent")
