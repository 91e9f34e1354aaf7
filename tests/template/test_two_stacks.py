"""Two stacks of one account and Region share nothing: no name, and no role of one reaches what the other has."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.template.expanding import FREE_TEXT
from tests.template.reading import ROOT, Json
from tests.template.stack import NAMES, Stack, everything, roles, statements

PAIRS = [
    ("openresponses", "openresponses-2"),
    ("a", "a-tool-b"),
    ("a", "a-loop"),
    ("kit", "KIT"),
    ("providers", "models"),
    ("a" * 50, "a" * 51),
]
BOTH_WAYS = [*PAIRS, *(pair[::-1] for pair in PAIRS)]
ANYONES = {
    # Step Functions' log delivery takes no resource.
    "*",
    # AWS's own models, and profiles of them: they belong to the account.
    "arn:aws:bedrock:*::foundation-model/*",
    "arn:aws:bedrock:*:123456789012:inference-profile/*",
    "arn:aws:bedrock:*:123456789012:application-inference-profile/*",
}


def full(name: str, deployed: Json) -> Stack:
    """A stack with all that it may have, but for what is named or brought by who deploys it."""
    return Stack(name, deployed, {key: value for key, value in everything(deployed).items() if key not in FREE_TEXT})


def reachable(stack: Stack) -> Iterator[str]:
    """ARNs that an action on what the stack has would name."""
    for logical in stack.resources:
        arn = stack.arn(logical)
        yield from (arn, f"{arn}/x")
        yield arn.replace(":stateMachine:", ":execution:") + ":x"
        yield arn.removesuffix("*") + "log-stream:x"
        yield f"{arn}/index/by-time"
        yield stack.stream(logical)
        here = f"arn:aws:execute-api:{stack.region}:{stack.account}:{stack.physical(logical)}"
        yield from (f"{here}/responses/{method}/@connections/x" for method in ("POST", "DELETE"))
    here = f"arn:aws:ssm:{stack.region}:{stack.account}:parameter{stack.outputs['SsmPrefix']}"
    yield from (f"{here}/{name}" for name in ("sealing-key", "providers", "models", "tools", "mcp", "otlp"))
    yield from (f"{here}/{kind}/x" for kind in ("providers", "models", "tools", "mcp", "otlp"))
    yield f"arn:aws:lambda:{stack.region}:{stack.account}:function:{stack.outputs['ToolFunctionPrefix']}x"


def allows(pattern: str, arn: str) -> bool:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html: * and ? only."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, arn) is not None


def granted(stack: Stack) -> set[tuple[str, str]]:
    """Each role, and each pattern of what it may do something with."""
    found: set[tuple[str, str]] = set()
    for role in roles(stack):
        for statement in statements(stack, role):
            several = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            found |= {(role, each) for each in several}
    return found


@pytest.mark.parametrize(("one", "other"), BOTH_WAYS)
def test_no_role_reaches_what_another_stack_has(one: str, other: str, deployed: Json) -> None:
    patterns = {(role, pattern) for role, pattern in granted(full(one, deployed)) if pattern not in ANYONES}
    theirs = [*reachable(full(other, deployed))]
    assert {(role, arn) for role, pattern in patterns for arn in theirs if allows(pattern, arn)} == set()


def test_a_role_reaches_what_its_own_stack_has(deployed: Json) -> None:
    """Or the test above would find nothing whatever the roles allow."""
    stack = full("kit", deployed)
    ours, patterns = [*reachable(stack)], granted(stack)
    unused = {
        pattern for _, pattern in patterns if pattern not in ANYONES and not any(allows(pattern, arn) for arn in ours)
    }
    assert unused == set()


def named(stack: Stack) -> set[tuple[str, str]]:
    return {(each["Type"], stack.physical(logical)) for logical, each in stack.resources.items()}


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_no_name_is_in_two_stacks(one: str, other: str, deployed: Json) -> None:
    assert named(full(one, deployed)) & named(full(other, deployed)) == set()


def test_a_name_that_is_given_has_the_stacks_name_in_it(deployed: Json) -> None:
    given = {
        logical: str(properties[key])
        for logical, each in full("kit-7", deployed).resources.items()
        for properties in [each.get("Properties", {})]
        for key in {"Name", NAMES.get(each["Type"], "Name")}
        if key in properties
    }
    assert given
    assert {logical: name for logical, name in given.items() if "kit-7" not in name} == {}


def test_nothing_is_exported(deployed: Json) -> None:
    """An export's name is one for the whole account and Region."""
    assert [name for name, output in deployed["Outputs"].items() if "Export" in output] == []


LONGEST = {
    "AWS::ApiGatewayV2::Api": 128,
    "AWS::ApiGatewayV2::Authorizer": 128,
    "AWS::CloudWatch::Dashboard": 255,
    "AWS::Lambda::Function": 64,
    "AWS::Logs::LogGroup": 512,
    "AWS::SSM::Parameter": 1011,
    "AWS::StepFunctions::StateMachine": 80,
}
"""Characters of a name:

- https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis.html and apis-apiid-authorizers.html
- https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
- https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html
- https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html
- https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
- https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
"""
A_STACK = 128
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html"""


def longest_name(deployed: Json, *, tools: bool = False, **parameters: str) -> int:
    """Of a stack whose every name fits, and the tools' names too. CloudFormation shortens a name that it chooses."""
    stack, longest = Stack("s", deployed, parameters), A_STACK
    for each in stack.resources.values():
        properties = each.get("Properties", {})
        for key in {"Name", NAMES.get(each["Type"], "Name")} & properties.keys():
            if tools or "_tool_" not in properties[key]:
                longest = min(longest, LONGEST[each["Type"]] - len(properties[key]) + 1)
    return longest


def test_a_stacks_name_may_be_as_long_as_the_docs_say(deployed: Json) -> None:
    page = " ".join((ROOT / "docs/deploy.md").read_text().split())
    alone, socket, tool = (
        longest_name(deployed, **each) for each in ({}, {"WebSocket": "true"}, {"tools": True, "ExampleTool": "true"})
    )
    assert f"name has {alone} characters at most, {socket} with `WebSocket`, and {tool} with `ExampleTool`." in page
    assert len(Stack("s" * alone, deployed).physical("WebhookStateMachine")) == 80, "the one that bounds it"


def test_a_stacks_name_can_not_make_the_prefix_of_another(deployed: Json) -> None:
    """Stack names have letters, digits and hyphens: nothing that separates here.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    """
    stack = Stack("kit", deployed)
    assert (stack.outputs["ToolFunctionPrefix"], stack.outputs["SsmPrefix"]) == ("kit_tool_", "/openresponses/kit")
    texts = json.dumps([each.get("Properties", {}).get("Environment") for each in stack.resources.values()])
    assert f'"OPENRESPONSES_SSM_PREFIX": "{stack.outputs["SsmPrefix"]}"' in texts
