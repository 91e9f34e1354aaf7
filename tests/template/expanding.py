"""template.yaml as CloudFormation gets it: expanded by SAM's own translator, without credentials or network."""

import copy
import json
import logging
from collections.abc import Mapping
from itertools import combinations
from typing import Any
from unittest.mock import patch

from samtranslator.translator.arn_generator import ArnGenerator
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from tests.template.reading import ROOT

Json = dict[str, Any]

FREE_TEXT = {
    "VpcEndpointIds": "vpce-0123456789abcdef0,vpce-0123456789abcdef1",
    "SubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "SecurityGroupIds": "sg-0123456789abcdef0",
    "AllowedOrigins": "https://a.example.com,http://localhost:5173",
    "SsmPrefix": "/mine/responses",
    "ToolsLayerArn": "arn:aws:lambda:us-east-1:123456789012:layer:mine-tools:3",
    "ToolFunctionPrefix": "mine-",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "KeyArn": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555",
}
"""A value of each parameter that switches something by not being empty."""


class _NoManagedPolicies:
    """The translator asks IAM for the names of AWS's policies; this template names none of them that way."""

    def load(self) -> dict[str, str]:
        return {}


def read() -> Json:
    """template.yaml as it is written."""
    return json.loads(json.dumps(yaml_parse((ROOT / "template.yaml").read_text())))


def expand(source: Json, parameters: Mapping[str, str] | None = None, region: str = "us-east-1") -> Json:
    """What CloudFormation gets of a deploy with these parameters: they are the defaults of the outcome."""
    template = copy.deepcopy(source)
    for name, value in (parameters or {}).items():
        template["Parameters"][name]["Default"] = value
    local = {
        "AWS::Serverless::Function": ("CodeUri", "s3://bucket/code"),
        "AWS::Serverless::StateMachine": ("DefinitionUri", "s3://bucket/loop"),
    }
    for resource in template["Resources"].values():
        if resource["Type"] in local:
            name, uri = local[resource["Type"]]
            resource["Properties"][name] = uri  # what `sam package` makes of a path
    logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it tells of switches of its own
    environment, found = patch.dict("os.environ", AWS_DEFAULT_REGION=region), "BOTO_SESSION_REGION_NAME"
    with environment, patch.object(ArnGenerator, found, region):  # it asks boto3 once; the region tells the partition
        return json.loads(json.dumps(transform(template, {}, _NoManagedPolicies())))


def values(template: Json) -> dict[str, list[str]]:
    """Each parameter that a condition looks at, and the values that make a difference: its default, and the others."""
    found: set[str] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if isinstance(name := value.get("Ref"), str):
                found.add(name)
            value = [*value.values()]
        if isinstance(value, list):
            for each in value:
                walk(each)

    walk([*template["Conditions"].values()])
    return {name: _values(name, template["Parameters"][name]) for name in sorted(found & template["Parameters"].keys())}


def _values(name: str, parameter: Json) -> list[str]:
    default = str(parameter["Default"])
    if allowed := parameter.get("AllowedValues"):
        return [default, *(str(value) for value in allowed if str(value) != default)]
    if parameter["Type"] == "Number":
        return [default, str(int(default) + 1)]
    assert name in FREE_TEXT, f"FREE_TEXT needs a value of {name}, which a condition looks at"
    return [default, FREE_TEXT[name]]


def variants(template: Json) -> list[dict[str, str]]:
    """Parameters of some deploys that together have each pair of values of two switches: the defaults come first."""
    switches = values(template)
    pairs = {
        ((one, a), (other, b))
        for one, other in combinations(switches, 2)
        for a in switches[one]
        for b in switches[other]
    }
    chosen: list[dict[str, str]] = []
    while pairs:
        variant = {name: each[0] for name, each in switches.items()} if not chosen else {}
        for name in switches if chosen else ():
            variant[name] = max(
                switches[name],
                key=lambda value, name=name: (
                    sum(((other, variant[other]), (name, value)) in pairs for other in variant),
                    sum((name, value) in pair for pair in pairs),
                ),
            )
        done = set(combinations(variant.items(), 2))
        if not done & pairs:  # the greedy choice is in a corner: take a pair, and let the rest have its default
            variant = {name: each[0] for name, each in switches.items()} | dict(min(pairs))
            done = set(combinations(variant.items(), 2))
        pairs -= done
        chosen.append(variant)
    return chosen
