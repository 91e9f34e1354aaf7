"""The functions of a deploy: what runs them, what they read, and what they may do."""

import ast
import json
import re
from typing import TypeGuard

import pytest

from openresponses.toolbox.lambda_functions import MAX_TIMEOUT, LambdaTool
from tests.template.reading import ROOT, Json, grants, of_type, statements, told

API, WORKER, AUTHORIZER = OURS = ("ApiFunction", "WorkerFunction", "AuthorizerFunction")
EXAMPLE = "ExampleToolFunction"
HANDLERS = {
    API: "openresponses.entry.api.app",
    WORKER: "openresponses.entry.tasks.work",
    AUTHORIZER: "openresponses.entry.authorizer.handler",
}
TIMEOUTS = {API: 900, WORKER: 900, AUTHORIZER: 10}

POWERTOOLS = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
STORAGE = {"TABLE", "BUCKET", "RESPONSE_DAYS", "LOG_DAYS"}
CONFIGURATION = {"SSM_PREFIX", "CONFIG_SECONDS"}
READ = {  # what a function does not read, it is not told
    WORKER: {*STORAGE, *CONFIGURATION, "KEY_ARN", "STATE_MACHINE_ARN", "DEFAULT_PROVIDER", "TURN_SECONDS"},
}

TABLE, BUCKET = "ResponsesTable.Arn", "ResponsesBucket.Arn"
HERE = "${AWS::Region}:${AWS::AccountId}"
OBJECTS = {f"s3:{name}Object": f"${{{BUCKET}}}/*" for name in ("Get", "Put", "Delete")} | {"s3:ListBucket": BUCKET}
INVOKE_TOOLS = {"lambda:InvokeFunction": f"arn:${{AWS::Partition}}:lambda:{HERE}:function:${{ToolFunctionPrefix}}*"}
LEADING_KEYS = {  # a response's partition has a slash in its name, and a client key's has none
    **dict.fromkeys((API, WORKER), "*/*"),
    AUTHORIZER: "key#*",
}


def parameters(*names: str) -> str:
    return ", ".join(f"arn:${{AWS::Partition}}:ssm:{HERE}:parameter${{SsmPrefix}}/{name}" for name in names)


SEALING_KEY = {"ssm:PutParameter": parameters("sealing-key")}
START = {"states:StartExecution": f"arn:${{AWS::Partition}}:states:{HERE}:stateMachine:${{AWS::StackName}}-loop"}
STOP = {"states:StopExecution": f"arn:${{AWS::Partition}}:states:{HERE}:execution:${{AWS::StackName}}-loop:*"}


def items(*operations: str) -> dict[str, str]:
    return {f"dynamodb:{name}": TABLE for name in operations}


GRANTS = {
    API: items("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")
    | OBJECTS
    | START
    | STOP
    | INVOKE_TOOLS
    | SEALING_KEY
    | {
        "ssm:GetParameter": parameters("providers/*", "models/*", "tools/*", "sealing-key"),
        "ssm:GetParametersByPath": parameters("providers", "models"),
    },
    WORKER: items("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")
    | OBJECTS
    | START
    | INVOKE_TOOLS
    | SEALING_KEY
    | {"ssm:GetParameter": parameters("providers/*", "models/*", "tools/*", "sealing-key")},
    AUTHORIZER: items("GetItem"),
    EXAMPLE: {f"dynamodb:{name}": "ExampleToolTable.Arn" for name in ("GetItem", "PutItem", "UpdateItem")},
}
LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
}
"""CloudWatch Logs takes no resource for these: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html"""


ROLES = {f"{name}Role" for name in (*OURS, EXAMPLE, "LoopStateMachine")} | {"ApiGatewayLogsRole"}


def variables(resources: dict[str, Json], function: str) -> Json:
    return resources[function]["Properties"].get("Environment", {}).get("Variables", {})


def is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def test_these_are_all_the_servers_functions(source: Json) -> None:
    functions = of_type(source["Resources"], "AWS::Serverless::Function")
    assert {name for name, each in functions.items() if each["Properties"]["CodeUri"] == "functions/"} == {*OURS}


@pytest.mark.parametrize("name", OURS)
def test_a_function_runs_python_3_13_on_arm64(name: str, resources: dict[str, Json]) -> None:
    properties = resources[name]["Properties"]
    incidental = {"Code", "Tags", "Description", "Environment", "ReservedConcurrentExecutions", "TracingConfig"}
    assert {name: value for name, value in properties.items() if name not in incidental} == {
        "Architectures": ["arm64"],
        "Runtime": "python3.13",
        "Handler": HANDLERS[name],
        "Timeout": TIMEOUTS[name],
        "MemorySize": {"Ref": "MemorySize"},
        "Role": {"Fn::GetAtt": [f"{name}Role", "Arn"]},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": {"Ref": f"{name}Logs"}},
    }


def test_only_the_function_behind_the_api_runs_through_the_wrapper(resources: dict[str, Json]) -> None:
    wrapped = {
        name: value
        for name in of_type(resources, "AWS::Lambda::Function")
        if (value := variables(resources, name).get("AWS_LAMBDA_EXEC_WRAPPER"))
    }
    assert wrapped == {API: "/var/task/bootstrap"}
    permitted = {
        told(permission["Properties"]["FunctionName"])
        for permission in of_type(resources, "AWS::Lambda::Permission").values()
    }
    assert permitted == {"{'Ref': 'ApiFunction'}", "AuthorizerFunction.Arn"}


@pytest.mark.parametrize("name", OURS)
def test_the_handler_names_an_attribute_of_a_module(name: str) -> None:
    module, _, attribute = HANDLERS[name].rpartition(".")
    tree = ast.parse((ROOT / "functions" / f"{module.replace('.', '/')}.py").read_text())
    assigned = {target.id for node in tree.body for target in ast.walk(node) if is_stored(target)}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert attribute in assigned | defined


@pytest.mark.parametrize("name", OURS)
def test_a_function_is_built_by_the_makefile_in_its_directory(name: str, source: Json) -> None:
    function = source["Resources"][name]
    assert function["Metadata"]["BuildMethod"] == "makefile"
    makefile = ROOT / function["Properties"]["CodeUri"] / "Makefile"
    assert re.search(rf"^(build-\w+ )*build-{name}( build-\w+)*:", makefile.read_text(), re.MULTILINE)


def test_sam_makes_first_what_the_others_are_copied_from(source: Json) -> None:
    functions = [name for name, each in source["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
    assert functions[0] == API


def test_the_environment_is_exactly_what_the_code_reads(resources: dict[str, Json]) -> None:
    entry = ROOT / "functions/openresponses/entry"
    read = {name for file in entry.rglob("*.py") for name in re.findall(r"\bOPENRESPONSES_[A-Z_]+\b", file.read_text())}
    assert set(variables(resources, API)) == read | POWERTOOLS | {"AWS_LAMBDA_EXEC_WRAPPER"}
    assert set(variables(resources, AUTHORIZER)) == {"OPENRESPONSES_TABLE"} | POWERTOOLS - {"POWERTOOLS_LOG_LEVEL"}
    for name, wanted in READ.items():
        assert set(variables(resources, name)) == {f"OPENRESPONSES_{each}" for each in wanted} | POWERTOOLS


def test_a_variable_is_the_same_in_every_function(resources: dict[str, Json]) -> None:
    for name in (*READ, AUTHORIZER):
        ours = variables(resources, name)
        assert ours == {each: variables(resources, API)[each] for each in ours}


@pytest.mark.parametrize("name", [*OURS, EXAMPLE])
def test_a_function_may_do_exactly_this(name: str, resources: dict[str, Json]) -> None:
    role = resources[f"{name}Role"]["Properties"]
    own_log = dict.fromkeys(("logs:CreateLogStream", "logs:PutLogEvents"), f"{name}Logs.Arn")
    assert grants(resources, f"{name}Role") == own_log | GRANTS[name]
    assert "ManagedPolicyArns" not in role
    assert [each["Principal"] for each in role["AssumeRolePolicyDocument"]["Statement"]] == [
        {"Service": "lambda.amazonaws.com"}
    ]


def test_no_policy_allows_a_wildcard(resources: dict[str, Json]) -> None:
    for role in ROLES:
        for statement in statements(resources, role):
            assert set(statement) - {"Condition"} == {"Effect", "Action", "Resource"}
            assert [action for action in statement["Action"] if "*" in action] == []
            granted = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            assert "*" not in granted or set(statement["Action"]) == LOG_DELIVERY


@pytest.mark.parametrize("name", OURS)
def test_only_the_authorizer_reaches_keys_and_it_reaches_nothing_else(name: str, resources: dict[str, Json]) -> None:
    conditions = [
        statement.get("Condition")
        for statement in statements(resources, f"{name}Role")
        if told(statement["Resource"]) == TABLE
    ]
    assert conditions == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [LEADING_KEYS[name]]}}]


def test_bedrocks_models_may_be_called_unless_the_deployment_says_otherwise(
    deployed: Json, resources: dict[str, Json]
) -> None:
    policy = resources["BedrockPolicy"]
    assert (policy["Condition"], deployed["Conditions"]["AllowsBedrock"]) == (
        "AllowsBedrock",
        {"Fn::Equals": [{"Ref": "Bedrock"}, "true"]},
    )
    assert policy["Properties"]["Roles"] == [{"Ref": "ApiFunctionRole"}, {"Ref": "WorkerFunctionRole"}]
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]
    kinds = {told(resource).rpartition(":")[2] for resource in statement["Resource"]}
    assert kinds == {"foundation-model/*", "inference-profile/*", "application-inference-profile/*"}


def test_only_api_gateways_own_role_carries_a_managed_policy(resources: dict[str, Json]) -> None:
    assert {name for name in ROLES if resources[name]["Properties"].get("ManagedPolicyArns")} == {"ApiGatewayLogsRole"}


def test_the_example_is_deployed_only_when_asked_for(deployed: Json, resources: dict[str, Json]) -> None:
    conditions = {name: each.get("Condition") for name, each in resources.items() if name.startswith("ExampleTool")}
    assert conditions.pop("ExampleToolKeyPolicy") == "HasKeyAndExampleTool"
    assert {*conditions.values()} == {"IncludeExampleTool"}
    assert [name for name, each in resources.items() if "ExampleTool" in each.get("Condition", "") + name] == [
        *(name for name in resources if name.startswith("ExampleTool"))
    ]
    assert deployed["Conditions"]["IncludeExampleTool"] == {"Fn::Equals": [{"Ref": "ExampleTool"}, "true"]}
    assert deployed["Parameters"]["ExampleTool"]["Default"] == "false"


def test_the_example_is_named_so_that_the_server_may_invoke_it(resources: dict[str, Json]) -> None:
    assert resources[EXAMPLE]["Properties"]["FunctionName"] == {"Fn::Sub": "${ToolFunctionPrefix}counter"}
    assert resources["ExampleToolParameter"]["Properties"]["Name"] == {"Fn::Sub": "${SsmPrefix}/tools/counter"}


def test_the_examples_parameter_is_what_the_server_reads(resources: dict[str, Json]) -> None:
    value = resources["ExampleToolParameter"]["Properties"]["Value"]["Fn::Sub"]
    tool = LambdaTool.model_validate_json(value)
    assert tool.function == f"${{{EXAMPLE}.Arn}}"
    assert tool.timeout == resources[EXAMPLE]["Properties"]["Timeout"]
    assert set(json.loads(value)) == set(LambdaTool.model_fields)
    assert len(value.encode()) < 3_800  # of 4,096, with an ARN in place of its name


def test_the_worker_function_outlives_every_turn_and_every_tool(source: Json) -> None:
    assert TIMEOUTS[WORKER] > source["Parameters"]["TurnSeconds"]["MaxValue"] > MAX_TIMEOUT


def test_the_prefix_of_tools_can_not_be_empty(source: Json) -> None:
    parameter = source["Parameters"]["ToolFunctionPrefix"]
    assert parameter["MinLength"] >= 3
    assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])
    assert not re.fullmatch(parameter["AllowedPattern"], "tool*")


def test_the_example_is_one_file_that_needs_no_build(source: Json) -> None:
    assert source["Resources"][EXAMPLE]["Metadata"] == {"SkipBuild": True}
    directory = ROOT / source["Resources"][EXAMPLE]["Properties"]["CodeUri"]
    assert [path.name for path in directory.glob("*.py")] == ["app.py"]
