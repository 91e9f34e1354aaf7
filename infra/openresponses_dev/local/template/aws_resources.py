"""The AWS resources that a template declares, as the API calls that create them. It calls nothing itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from openresponses_dev.local.template.intrinsics import ACCOUNT, Resolver
from openresponses_dev.local.template.template import Template
from openresponses_dev.local.template.yaml_tree import Table, TemplateError, Value, table, text

ROLE = f"arn:aws:iam::{ACCOUNT}:role/local"
_TABLE_KEYS = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9_]+)\}")


@dataclass(frozen=True, slots=True)
class AwsCall:
    """One call of a boto3 client: `service`, the client's method, its arguments."""

    service: str
    method: str
    arguments: Table


@dataclass(frozen=True, slots=True)
class Declared:
    """A resource whose condition holds. `properties` are not resolved yet."""

    logical: str
    properties: Table
    resolver: Resolver

    @property
    def name(self) -> str:
        return self.resolver.name(self.logical)

    def get(self, *keys: str) -> Table:
        """These properties, resolved; absent ones are left out."""
        where = f"Resources.{self.logical}.Properties"
        wanted: Table = {key: self.properties[key] for key in keys if key in self.properties}
        return table(self.resolver.resolve(wanted, where), where)

    def required(self, key: str) -> Value:
        if (value := self.get(key).get(key)) is None:
            raise TemplateError(f"Resources.{self.logical}.Properties.{key}", "is required")
        return value


def requests(template: Template) -> list[AwsCall]:
    """What creates the tables, buckets, parameters and state machines of the template and of those that are nested in
    it. Raises TemplateError.
    """
    makers = {
        "AWS::DynamoDB::Table": _table,
        "AWS::S3::Bucket": _bucket,
        "AWS::SSM::Parameter": _parameter,
        "AWS::Serverless::StateMachine": _state_machine,
    }
    return [
        request
        for each in template.all()
        for kind, make in makers.items()
        for resource in declared(each.resolver, kind)
        for request in make(resource, each.path.parent)
    ]


def declared(resolver: Resolver, kind: str) -> Iterator[Declared]:
    for logical, value in resolver.resources.items():
        where = f"Resources.{logical}"
        resource = table(value, where)
        condition = resource.get("Condition")
        if resource.get("Type") == kind and (
            condition is None or resolver.holds(text(condition, where), f"{where}.Condition")
        ):
            yield Declared(logical, table(resource.get("Properties"), f"{where}.Properties"), resolver)


def put_parameter(name: str, value: str, kind: str = "String") -> AwsCall:
    return AwsCall("ssm", "put_parameter", {"Name": name, "Value": value, "Type": kind, "Overwrite": True})


def _table(resource: Declared, _root: Path) -> Iterator[AwsCall]:
    keys = resource.get(*_TABLE_KEYS)
    if stream := resource.get("StreamSpecification"):
        keys["StreamSpecification"] = {"StreamEnabled": True, **cast("Table", stream["StreamSpecification"])}
    yield AwsCall("dynamodb", "create_table", {**keys, "TableName": resource.name, "BillingMode": "PAY_PER_REQUEST"})
    if ttl := resource.get("TimeToLiveSpecification"):
        yield AwsCall("dynamodb", "update_time_to_live", {"TableName": resource.name, **ttl})


def _bucket(resource: Declared, _root: Path) -> Iterator[AwsCall]:
    yield AwsCall("s3", "create_bucket", {"Bucket": resource.name})
    rules: list[Value] = [
        {
            "ID": rule["Id"],
            "Status": rule["Status"],
            "Filter": {"Prefix": rule.get("Prefix", "")},
            "Expiration": {"Days": int(cast("str", rule["ExpirationInDays"]))},
        }
        for rule in _lifecycle(resource)
        if "ExpirationInDays" in rule
    ]
    if rules:
        lifecycle: Table = {"Bucket": resource.name, "LifecycleConfiguration": {"Rules": rules}}
        yield AwsCall("s3", "put_bucket_lifecycle_configuration", lifecycle)


def _lifecycle(resource: Declared) -> list[Table]:
    where = f"Resources.{resource.logical}.Properties.LifecycleConfiguration"
    found = table(resource.get("LifecycleConfiguration").get("LifecycleConfiguration", {}), where).get("Rules", [])
    return [table(rule, where) for rule in cast("list[Value]", found)]


def _parameter(resource: Declared, _root: Path) -> Iterator[AwsCall]:
    where = f"Resources.{resource.logical}.Properties"
    yield put_parameter(resource.name, text(resource.required("Value"), f"{where}.Value"))


def _state_machine(resource: Declared, root: Path) -> Iterator[AwsCall]:
    where = f"Resources.{resource.logical}.Properties"
    path = root / text(resource.required("DefinitionUri"), f"{where}.DefinitionUri")
    try:
        source = path.read_text()
    except OSError as error:
        raise TemplateError(f"{where}.DefinitionUri", str(error)) from error
    given = table(resource.get("DefinitionSubstitutions").get("DefinitionSubstitutions"), where)
    values = {key: text(value, f"{where}.DefinitionSubstitutions.{key}") for key, value in given.items()}
    yield AwsCall(
        "stepfunctions",
        "create_state_machine",
        {"name": resource.name, "definition": substitute(source, values, where), "roleArn": ROLE},
    )


def substitute(definition: str, values: Mapping[str, str], where: str = "DefinitionSubstitutions") -> str:
    """The definition as CloudFormation makes it of a file: text for text, before it is read as JSON, so that a
    placeholder without quotes becomes a number. Raises TemplateError for one that nothing is declared for.
    """
    if missing := {name for name in _PLACEHOLDER.findall(definition) if name not in values}:
        raise TemplateError(where, f"does not say what ${{{min(missing)}}} is")
    return _PLACEHOLDER.sub(lambda match: values[match[1]], definition)
