"""CloudFormation's intrinsic functions, resolved to the names that the local cloud gives things.

It knows nothing of what the resources mean: a template is a tree of values here.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from openresponses_dev.local.template.yaml_tree import Table, TemplateError, Value, table, text

REGION = "us-east-1"
ACCOUNT = "123456789012"  # the account of moto, so that ARNs agree with it
_NO_VALUE = {"Ref": "AWS::NoValue"}
_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]+)\}")
_PSEUDO: dict[str, Value] = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NotificationARNs": [],
}
_ARN = {
    "AWS::Serverless::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Lambda::Function": "lambda:{region}:{account}:function:{name}",
    "AWS::Serverless::StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "AWS::StepFunctions::StateMachine": "states:{region}:{account}:stateMachine:{name}",
    "AWS::DynamoDB::Table": "dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "s3:::{name}",
    "AWS::SQS::Queue": "sqs:{region}:{account}:{name}",
    "AWS::Logs::LogGroup": "logs:{region}:{account}:log-group:{name}:*",
    "AWS::Serverless::LayerVersion": "lambda:{region}:{account}:layer:{name}:1",
    "AWS::Serverless::Application": "cloudformation:{region}:{account}:stack/{name}/0",
}
_REF_IS_ARN = {
    *("AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine", "AWS::SNS::Topic"),
    *("AWS::Serverless::LayerVersion", "AWS::Serverless::Application"),
}
_NAMED_BY_ID = "AWS::ApiGatewayV2::"
"""Their `Ref` is an id that AWS makes, whatever `Name` says: here it is the logical id."""
_NAME_PROPERTIES = (
    *("FunctionName", "TableName", "BucketName", "QueueName", "LogGroupName", "StateMachineName", "LayerName"),
    "Name",
)
_STACK = "local"


def _no_outputs(name: str, where: str) -> Value:
    raise TemplateError(where, f"there is no nested application for {name}")


@dataclass(slots=True)
class Resolver:
    """Replaces intrinsic functions by values. `parameters` holds the final value of every parameter. `place` are the
    logical ids of the applications that lead to a nested template. `outputs` has the value of an output of one that is
    nested here, by `<logical id>.Outputs.<name>` and the place in the template that asks.
    """

    parameters: Mapping[str, Value]
    resources: Table
    conditions: Table = field(default_factory=dict[str, Value])
    mappings: Table = field(default_factory=dict[str, Value])
    place: tuple[str, ...] = ()
    outputs: Callable[[str, str], Value] = _no_outputs

    @property
    def stack(self) -> str:
        """The name of the stack."""
        return "-".join((_STACK, *self.place))

    def resolve(self, value: Value, where: str) -> Value:
        match value:
            case list():
                items = [(i, item) for i, item in enumerate(value) if item != _NO_VALUE]
                resolved = [self.resolve(item, f"{where}[{i}]") for i, item in items]
                return [item for item in resolved if item != _NO_VALUE]
            case dict() if len(value) == 1 and (known := self._function(next(iter(value)))):
                return known(next(iter(value.values())), where)
            case dict():
                resolved_items = ((key, self.resolve(item, f"{where}.{key}")) for key, item in value.items())
                return {key: item for key, item in resolved_items if item != _NO_VALUE}
            case _:
                return value

    def holds(self, name: str, where: str) -> bool:
        """Whether the named condition is true."""
        if name not in self.conditions:
            raise TemplateError(where, f"there is no condition {name!r}")
        return self.resolve(self.conditions[name], f"Conditions.{name}") is True

    def name(self, logical: str) -> str:
        """The physical name of a resource: the one it declares, else its logical id, which is unique in its stack."""
        kind = self._kind(logical)
        if kind.startswith(_NAMED_BY_ID):
            return logical
        for key in _NAME_PROPERTIES:
            if (named := self._property(logical, key)) is not None:
                return text(named, f"Resources.{logical}.Properties.{key}")
        unique = "-".join((*self.place, logical))
        return unique.lower() if kind == "AWS::S3::Bucket" else unique

    def arn(self, logical: str) -> str:
        kind = self._kind(logical)
        service = kind.split("::")[1].lower() if "::" in kind else "cloudformation"
        pattern = _ARN.get(kind, service + ":{region}:{account}:{name}")
        return "arn:aws:" + pattern.format(region=REGION, account=ACCOUNT, name=self.name(logical))

    def _kind(self, logical: str) -> str:
        return str(table(self.resources[logical], f"Resources.{logical}").get("Type"))

    def _property(self, logical: str, key: str) -> Value:
        where = f"Resources.{logical}.Properties"
        properties = table(table(self.resources[logical], f"Resources.{logical}").get("Properties"), where)
        return self.resolve(properties[key], f"{where}.{key}") if key in properties else None

    def _function(self, key: str) -> Callable[[Value, str], Value] | None:
        if key.startswith("Fn::") and key not in self._functions():
            return _unsupported(key)
        return self._functions().get(key)

    def _functions(self) -> dict[str, Callable[[Value, str], Value]]:
        return {
            "Ref": lambda v, w: self._ref(text(v, w), w),
            "Condition": lambda v, w: self.holds(text(v, w), w),
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::If": self._if,
            "Fn::Equals": lambda v, w: _same(*self._list(v, w, 2)),
            "Fn::And": lambda v, w: all(item is True for item in self._list(v, w)),
            "Fn::Or": lambda v, w: any(item is True for item in self._list(v, w)),
            "Fn::Not": lambda v, w: self._list(v, w, 1)[0] is not True,
            "Fn::Select": self._select,
            "Fn::Split": lambda v, w: [*text(self._list(v, w, 2)[1], w).split(text(self._list(v, w, 2)[0], w))],
            "Fn::FindInMap": self._find_in_map,
            "Fn::Base64": lambda v, w: base64.b64encode(text(self.resolve(v, w), w).encode()).decode(),
        }

    def _list(self, value: Value, where: str, length: int | None = None) -> list[Value]:
        resolved = self.resolve(value, where)
        if not isinstance(resolved, list) or (length is not None and len(resolved) != length):
            raise TemplateError(where, f"must be a list{f' of {length}' if length else ''}, not {resolved!r}")
        return resolved

    def _ref(self, name: str, where: str) -> Value:
        if name == "AWS::NoValue":
            return {**_NO_VALUE}
        if name in _PSEUDO:
            return _PSEUDO[name]
        if name == "AWS::StackName":
            return self.stack
        if name == "AWS::StackId":
            return f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{self.stack}/0"
        if name in self.parameters:
            return self.parameters[name]
        if name not in self.resources:
            raise TemplateError(where, f"{name!r} is no parameter and no resource")
        return self.arn(name) if self._kind(name) in _REF_IS_ARN else self.name(name)

    def _get_att(self, value: Value, where: str) -> Value:
        logical, attribute = (text(part, where) for part in self._list(value, where, 2))
        if logical not in self.resources:
            raise TemplateError(where, f"there is no resource {logical!r}")
        match attribute:
            case _ if attribute.startswith("Outputs."):
                return self.outputs(f"{logical}.{attribute}", where)
            case "Arn":
                return self.arn(logical)
            case "StreamArn":
                return f"{self.arn(logical)}/stream/local"
            case "Name" | "TableName" | "QueueName":
                return self.name(logical)
            case "Stage" if self._kind(logical) == "AWS::Serverless::Api":  # SAM's own
                return self._property(logical, "StageName")
            case _:
                return f"{self.name(logical)}.{attribute}"

    def _sub(self, value: Value, where: str) -> Value:
        pattern, extra = value, {}
        if isinstance(value, list):
            if len(value) != 2:
                raise TemplateError(where, "Fn::Sub takes a string, or a string and a mapping")
            pattern, extra = value[0], table(self.resolve(value[1], where), where)

        def one(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in extra:
                return text(extra[name], where)
            found = self._get_att([*name.split(".", 1)], where) if "." in name else self._ref(name, where)
            return text(found, where)

        return _PLACEHOLDER.sub(one, text(pattern, where))

    def _join(self, value: Value, where: str) -> Value:
        separator, parts = self._list(value, where, 2)
        return text(separator, where).join(text(part, where) for part in self._list(parts, where))

    def _if(self, value: Value, where: str) -> Value:
        if not isinstance(value, list) or len(value) != 3:
            raise TemplateError(where, "Fn::If takes a condition and two values")
        return self.resolve(value[1 if self.holds(text(value[0], where), where) else 2], where)

    def _select(self, value: Value, where: str) -> Value:
        index, items = self._list(value, where, 2)
        try:
            return self._list(items, where)[int(text(index, where))]
        except (IndexError, ValueError) as error:
            raise TemplateError(where, f"Fn::Select has no item {index!r}") from error

    def _find_in_map(self, value: Value, where: str) -> Value:
        found: Value = self.mappings
        for key in self._list(value, where, 3):
            found = table(found, where).get(text(key, where))
        if found is None:
            raise TemplateError(where, f"Fn::FindInMap finds nothing at {value!r}")
        return found


def _same(left: Value, right: Value) -> bool:
    return left == right or str(left) == str(right)


def _unsupported(key: str) -> Callable[[Value, str], Value]:
    def refuse(_value: Value, where: str) -> Value:
        raise TemplateError(where, f"{key} is not supported by the local cloud")

    return refuse
