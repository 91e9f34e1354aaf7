"""A stack as CloudFormation makes it of the expanded template: what is in it, under which names, with which ARNs."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from tests.template.expanding import values

Json = dict[str, Any]

_ABSENT = {"Ref": "AWS::NoValue"}
_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}
# What an ARN of each type has after the account. https://docs.aws.amazon.com/service-authorization/latest/reference/
_ARNS = {
    "AWS::DynamoDB::Table": "dynamodb:{here}:table/{name}",
    "AWS::IAM::Role": "iam::{account}:role/{name}",
    "AWS::Lambda::Function": "lambda:{here}:function:{name}",
    "AWS::Logs::LogGroup": "logs:{here}:log-group:{name}:*",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SSM::Parameter": "ssm:{here}:parameter{name}",
    "AWS::StepFunctions::StateMachine": "states:{here}:stateMachine:{name}",
}
_REF_IS_ARN = {"AWS::StepFunctions::StateMachine"}
NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SSM::Parameter": "Name",
    "AWS::SQS::Queue": "QueueName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}
"""The property that names a resource of each type, which CloudFormation names itself where the property is absent."""


@dataclass(frozen=True)
class Stack:
    """`parameters` override the defaults of the expanded `template`. What CloudFormation chooses at random is made of
    the stack's name.
    """

    name: str
    template: Json = field(repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    region: str = "us-east-1"
    partition: str = "aws"
    account: str = "123456789012"

    @cached_property
    def resources(self) -> dict[str, Json]:
        """What the stack has, with every value final."""
        return {name: self.value(each) for name, each in self.existing["Resources"].items()}

    @cached_property
    def outputs(self) -> dict[str, str]:
        return {name: self.value(output["Value"]) for name, output in self.existing["Outputs"].items()}

    @cached_property
    def existing(self) -> Json:
        """The template without what a condition leaves out, and with nothing left to a condition."""
        here = {section: self.template[section] for section in ("Resources", "Outputs")}
        kept = {
            section: {
                name: {key: value for key, value in each.items() if key != "Condition"}
                for name, each in entries.items()
                if "Condition" not in each or self.holds(each["Condition"])
            }
            for section, entries in here.items()
        }
        return {**{key: value for key, value in self.template.items() if key != "Conditions"}, **self._chosen(kept)}

    def holds(self, condition: str) -> bool:
        return self._true(self.template["Conditions"][condition])

    def arn(self, logical: str) -> str:
        resource = self.template["Resources"][logical]
        pattern = _ARNS.get(resource["Type"], f"{resource['Type'].split('::')[1].lower()}:{{here}}:{{name}}")
        here = f"{self.region}:{self.account}"
        return f"arn:{self.partition}:" + pattern.format(here=here, account=self.account, name=self.physical(logical))

    def stream(self, logical: str) -> str:
        """Of a table. AWS names it after the time at which it was made."""
        return f"{self.arn(logical)}/stream/2026-11-27T00:00:00.000"

    def physical(self, logical: str) -> str:
        resource = self.template["Resources"][logical]
        declared = self._chosen(resource.get("Properties", {}).get(NAMES.get(resource["Type"], ""), _ABSENT))
        if declared != _ABSENT:
            return self.value(declared)
        name = f"{self.name}-{logical}-{sha256(self.name.encode()).hexdigest()[:12].upper()}"
        return name.lower() if resource["Type"] == "AWS::S3::Bucket" else name

    def _true(self, value: Any) -> bool:
        match value:
            case {"Condition": name}:
                return self.holds(name)
            case {"Fn::Equals": [left, right]}:
                return str(self.value(left)) == str(self.value(right))
            case {"Fn::Not": [one]}:
                return not self._true(one)
            case {"Fn::And": several}:
                return all(map(self._true, several))
            case {"Fn::Or": several}:
                return any(map(self._true, several))
        raise ValueError(value)

    def _chosen(self, value: Any) -> Any:
        """`value` with every Fn::If decided."""
        match value:
            case {"Fn::If": [condition, one, other]}:
                return self._chosen(one if self.holds(condition) else other)
            case dict():
                chosen = {key: self._chosen(each) for key, each in value.items()}
                return {key: each for key, each in chosen.items() if each != _ABSENT}
            case list():
                return [each for each in map(self._chosen, value) if each != _ABSENT]
        return value

    def value(self, value: Any) -> Any:
        """`value` with every intrinsic function replaced."""
        match value:
            case {"Fn::If": [condition, one, other]}:
                return self.value(one if self.holds(condition) else other)
            case {"Ref": name}:
                return self._ref(name)
            case {"Fn::GetAtt": [logical, attribute]}:
                return self._attribute(logical, attribute)
            case {"Fn::Sub": [str(pattern), dict(given)]}:
                return self._filled(pattern, given)
            case {"Fn::Sub": str(pattern)}:
                return self._filled(pattern, {})
            case {"Fn::Select": [index, of]}:
                return self.value(of)[int(index)]
            case {"Fn::Split": [separator, text]}:
                return self.value(text).split(separator)
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self.value(parts))
            case dict():
                return {key: self.value(each) for key, each in value.items()}
            case list():
                return [self.value(each) for each in value]
        return value

    def _filled(self, pattern: str, given: Json) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name in given:
                return str(self.value(given[name]))
            logical, dot, attribute = name.partition(".")
            return str(self._attribute(logical, attribute) if dot else self._ref(name))

        return re.sub(r"\$\{([^!}]+)\}", one, pattern)

    def _ref(self, name: str) -> Any:
        match name:
            case "AWS::StackName":
                return self.name
            case "AWS::Region":
                return self.region
            case "AWS::AccountId":
                return self.account
            case "AWS::Partition":
                return self.partition
            case "AWS::URLSuffix":
                return _SUFFIXES.get(self.partition, "amazonaws.com")
            case "AWS::StackId":
                return (
                    f"arn:{self.partition}:cloudformation:{self.region}:{self.account}:stack/{self.name}/id-{self.name}"
                )
            case _ if name in self.parameters:
                return self.parameters[name]
            case _ if name in self.template["Parameters"]:
                return self.template["Parameters"][name]["Default"]
        return self.arn(name) if self.template["Resources"][name]["Type"] in _REF_IS_ARN else self.physical(name)

    def _attribute(self, logical: str, attribute: str) -> str:
        match attribute:
            case "Arn":
                return self.arn(logical)
            case "StreamArn":
                return self.stream(logical)
            case _:
                return f"{self.physical(logical)}.{attribute}"


def statements(stack: Stack, role: str) -> Iterator[Json]:
    """What the role allows, in its own policies, and in those that name it, in the order of their names."""
    policies = [*stack.resources[role]["Properties"].get("Policies", [])]
    policies += [
        each["Properties"]
        for _, each in sorted(stack.resources.items())
        if each["Type"] == "AWS::IAM::Policy" and stack.physical(role) in each["Properties"]["Roles"]
    ]
    for policy in policies:
        yield from policy["PolicyDocument"]["Statement"]


def roles(stack: Stack) -> list[str]:
    return [name for name, each in stack.resources.items() if each["Type"] == "AWS::IAM::Role"]


def everything(template: Json) -> dict[str, str]:
    """The parameters with which a stack has most: of each switch the value that adds to it, or the other one."""

    def size(name: str, value: str) -> int:
        return len(Stack("kit", template, {name: value}).existing["Resources"])

    return {
        name: max(found, key=lambda value, name=name, found=found: (size(name, value), value != found[0]))
        for name, found in values(template).items()
    }
