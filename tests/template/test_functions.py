"""The functions of a deploy: what runs them, what they read, and what they may do."""

import ast
import json
import re
from typing import TypeGuard

import pytest

from openresponses.toolbox.lambda_functions import MAX_TIMEOUT, LambdaTool
from tests.template.expanding import expand
from tests.template.reading import ROOT, Json, grants, of_type, statements, told
from tests.template.stack import Stack
from tests.template.stack import statements as of_role

API, WORKER, AUTHORIZER, ENDED = ("ApiFunction", "WorkerFunction", "AuthorizerFunction", "EndedFunction")
SOCKET, SOCKET_WORKER, SOCKET_AUTHORIZER = SOCKETS = tuple(
    f"Socket{each}Function" for each in ("", "Worker", "Authorizer")
)
OURS = (API, WORKER, AUTHORIZER, ENDED, *SOCKETS)
EXAMPLE = "ExampleToolFunction"
REFUND = "ExampleToolRefundFunction"
HANDLERS = {
    API: "openresponses.entry.api.app",
    WORKER: "openresponses.entry.tasks.work",
    AUTHORIZER: "openresponses.entry.authorizer.handler",
    ENDED: "openresponses.entry.ended.handler",
    SOCKET: "openresponses.entry.socket.handler",
    SOCKET_WORKER: "openresponses.entry.socket_worker.handler",
    SOCKET_AUTHORIZER: "openresponses.entry.authorizer.connect_handler",
}
TIMEOUTS = {API: 900, WORKER: 900, AUTHORIZER: 10, ENDED: 60, SOCKET: 29, SOCKET_WORKER: 900, SOCKET_AUTHORIZER: 10}

POWERTOOLS = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
STORAGE = {"TABLE", "BUCKET", "RESPONSE_DAYS", "LOG_DAYS"}
CONFIGURATION = {"SSM_PREFIX", "CONFIG_SECONDS", "KEY_ARN"}
LOOP = {
    *(*STORAGE, *CONFIGURATION, "DEFAULT_PROVIDER", "LOCAL_AWS", "STATE_MACHINE_ARN", "TURN_SECONDS", "OTLP_ENDPOINT"),
    "TOOLS",
}
READ = {  # what a function does not read, it is not told
    WORKER: LOOP,
    ENDED: {*CONFIGURATION, "TABLE", "BUCKET", "LOCAL_AWS", "WEBHOOK_MACHINE_ARN"},
    SOCKET: {*CONFIGURATION, "TABLE", "BUCKET", "LOCAL_AWS", "SOCKET_WORKER"},
    SOCKET_WORKER: {
        *LOOP,
        *("EVENT_NAMES", "FLUSH_MILLISECONDS", "INLINE_SECONDS", "INLINE_TURNS", "MAX_TURNS", "REASONING", "STORE"),
        *("MCP_HOSTS", "SOCKET_FRAME_BYTES", "SOCKET_WORKER"),
    },
}
OF_WEBHOOKS = {"OPENRESPONSES_WEBHOOK_MACHINE_ARN"}
OF_SOCKETS = {"OPENRESPONSES_SOCKET_FRAME_BYTES", "OPENRESPONSES_SOCKET_WORKER"}
OF_LOCAL_CLOUDS = {"OPENRESPONSES_LOOPBACK", "OPENRESPONSES_TRACEBACKS"}
OF_AUTHORIZERS = {f"OPENRESPONSES_{each}" for each in ("AUTH", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_TENANT_CLAIM")}

RUN_TOOLS = (API, WORKER, SOCKET_WORKER)
LAYERS = {"Layers": {"Fn::If": ["HasToolsLayer", [{"Ref": "ToolsLayerArn"}], {"Ref": "AWS::NoValue"}]}}

ATTACHED = {
    "SubnetIds": {"Fn::Split": [",", {"Ref": "SubnetIds"}]},
    "SecurityGroupIds": {"Fn::Split": [",", {"Fn::Select": [0, [{"Ref": "SecurityGroupIds"}, {"Ref": "VpcPolicy"}]]}]},
}
"""The policy is named, so that it is there before Lambda needs it."""

TABLE, BUCKET = "ResponsesTable.Arn", "ResponsesBucket.Arn"
HERE = "${AWS::Region}:${AWS::AccountId}"
OBJECTS = {f"s3:{name}Object": f"${{{BUCKET}}}/*" for name in ("Get", "Put", "Delete")} | {"s3:ListBucket": BUCKET}
INVOKE_TOOLS = {"lambda:InvokeFunction": f"arn:${{AWS::Partition}}:lambda:{HERE}:function:${{Prefix}}*"}
INDEX = f"{TABLE}, ${{{TABLE}}}/index/by-time"
LEADING_KEYS = {  # a response's partition has a slash in its name, and a client key's has none
    API: [["*/*"], ["*/*"]],
    WORKER: [["*/*"]],
    AUTHORIZER: [["key#*"]],
    ENDED: [["*/*"]],
    SOCKET: [["*/*"], ["*/*", "key#*"]],
    SOCKET_WORKER: [["*/*"]],
    SOCKET_AUTHORIZER: [["key#*"]],
}


def parameters(*names: str) -> str:
    return ", ".join(f"arn:${{AWS::Partition}}:ssm:{HERE}:parameter${{Prefix}}/{name}" for name in names)


CONFIGURATION_IN_SSM = {
    "ssm:GetParametersByPath": parameters(
        *(f"{folder}{each}" for folder in ("providers", "models", "tools", "mcp", "otlp") for each in ("", "/*"))
    ),
    "ssm:GetParameter": parameters("sealing-key"),
    "ssm:PutParameter": parameters("sealing-key"),
}
START = {"states:StartExecution": f"arn:${{AWS::Partition}}:states:{HERE}:stateMachine:${{AWS::StackName}}-loop"}
STOP = {"states:StopExecution": f"arn:${{AWS::Partition}}:states:{HERE}:execution:${{AWS::StackName}}-loop:*"}

FOLLOW = {
    **{f"dynamodb:{name}": "ResponsesTable.StreamArn" for name in ("DescribeStream", "GetRecords", "GetShardIterator")},
    "dynamodb:ListStreams": f"${{{TABLE}}}/stream/*",
}
"""What Lambda does with the function's role: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
SOCKETS_WORKER = f"arn:${{AWS::Partition}}:lambda:{HERE}:function:${{AWS::StackName}}-socket"
SEND = {
    "execute-api:ManageConnections": ", ".join(
        f"arn:${{AWS::Partition}}:execute-api:{HERE}:${{WebSocketApi}}/responses/{method}/@connections/*"
        for method in ("POST", "DELETE")
    )
}


def items(*operations: str) -> dict[str, str]:
    return {f"dynamodb:{name}": TABLE for name in operations}


GRANTS = {
    API: items("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "GetItem", "PutItem", "UpdateItem")
    | {"dynamodb:Query": INDEX}
    | OBJECTS
    | START
    | STOP
    | INVOKE_TOOLS
    | CONFIGURATION_IN_SSM,
    WORKER: items("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")
    | OBJECTS
    | START
    | INVOKE_TOOLS
    | CONFIGURATION_IN_SSM,
    AUTHORIZER: items("GetItem"),
    ENDED: items("BatchGetItem", "GetItem", "PutItem", "UpdateItem")
    | FOLLOW
    | {"sqs:SendMessage": "EndedDeadLetters.Arn"}
    | {name: where.replace("-loop", "-webhook") for name, where in START.items()}
    | {"ssm:GetParameter": CONFIGURATION_IN_SSM["ssm:GetParameter"]},
    SOCKET: items("GetItem", "PutItem", "Query", "UpdateItem")
    | {name: OBJECTS[name] for name in ("s3:PutObject", "s3:DeleteObject")}
    | {name: CONFIGURATION_IN_SSM[name] for name in ("ssm:GetParameter", "ssm:PutParameter")}
    | {"lambda:InvokeFunction": SOCKETS_WORKER}
    | SEND,
    SOCKET_WORKER: items("BatchGetItem", "ConditionCheckItem", "GetItem", "PutItem", "Query", "UpdateItem")
    | OBJECTS
    | START
    | {"lambda:InvokeFunction": f"{SOCKETS_WORKER}, {INVOKE_TOOLS['lambda:InvokeFunction']}"}
    | CONFIGURATION_IN_SSM
    | SEND,
    SOCKET_AUTHORIZER: items("GetItem"),
    EXAMPLE: {f"dynamodb:{name}": "ExampleToolTable.Arn" for name in ("GetItem", "PutItem", "UpdateItem")},
    REFUND: {},
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


ROLES = {f"{name}Role" for name in (*OURS, EXAMPLE, REFUND, "LoopStateMachine", "WebhookStateMachine")} | {
    "ApiGatewayLogsRole"
}


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
    incidental |= {"FunctionName"} if name == SOCKET_WORKER else set()
    assert {name: value for name, value in properties.items() if name not in incidental} == {
        "Architectures": ["arm64"],
        "Runtime": "python3.13",
        "Handler": HANDLERS[name],
        "Timeout": TIMEOUTS[name],
        "MemorySize": {"Ref": "MemorySize"},
        "Role": {"Fn::GetAtt": [f"{name}Role", "Arn"]},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": {"Ref": f"{name}Logs"}},
        "VpcConfig": {"Fn::If": ["InVpc", ATTACHED, {"Ref": "AWS::NoValue"}]},
    } | (LAYERS if name in RUN_TOOLS else {})


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
    sockets = {"{'Ref': 'SocketFunction'}", "{'Ref': 'SocketAuthorizerFunction'}"}
    assert permitted == {"{'Ref': 'ApiFunction'}", "AuthorizerFunction.Arn", *sockets}


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
    of_api = read - OF_SOCKETS - OF_WEBHOOKS - OF_LOCAL_CLOUDS - OF_AUTHORIZERS
    assert set(variables(resources, API)) == of_api | POWERTOOLS | {"AWS_LAMBDA_EXEC_WRAPPER"}
    told = {"OPENRESPONSES_TABLE", "OPENRESPONSES_LOCAL_AWS"} | OF_AUTHORIZERS
    for name in (AUTHORIZER, SOCKET_AUTHORIZER):
        assert set(variables(resources, name)) == told | POWERTOOLS - {"POWERTOOLS_LOG_LEVEL"}
    for name, wanted in READ.items():
        assert set(variables(resources, name)) == {f"OPENRESPONSES_{each}" for each in wanted} | POWERTOOLS


def test_tools_of_ones_own_are_looked_for_in_the_layer_that_has_them(resources: dict[str, Json]) -> None:
    told = {name: variables(resources, name).get("OPENRESPONSES_TOOLS") for name in OURS}
    where = {"Fn::If": ["HasToolsLayer", "/opt/python/tools", ""]}
    assert told == {name: where if name in RUN_TOOLS else None for name in OURS}


def test_no_deployment_is_led_to_a_local_cloud(resources: dict[str, Json]) -> None:
    assert {variables(resources, name)["OPENRESPONSES_LOCAL_AWS"] for name in OURS} == {""}
    functions = [*of_type(resources, "AWS::Lambda::Function")]
    assert not any(OF_LOCAL_CLOUDS & set(variables(resources, name)) for name in functions)
    assert "LOOPBACK" not in (ROOT / "template.yaml").read_text()


def test_a_variable_is_the_same_in_every_function(resources: dict[str, Json]) -> None:
    everything = {
        **variables(resources, AUTHORIZER),
        **variables(resources, SOCKET_WORKER),
        **variables(resources, API),
    }
    for name in OURS:
        ours = {each: value for each, value in variables(resources, name).items() if each not in OF_WEBHOOKS}
        assert ours == {each: everything[each] for each in ours}


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
def test_only_what_looks_keys_up_reaches_them_and_the_authorizers_reach_nothing_else(
    name: str, resources: dict[str, Json]
) -> None:
    conditions = [
        statement.get("Condition")
        for statement in statements(resources, f"{name}Role")
        if told(statement["Resource"]) in (TABLE, INDEX)
    ]
    assert conditions == [
        {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys},
            "Null": {"dynamodb:LeadingKeys": "false"},  # or a call without a key would pass for one with good keys
        }
        for keys in LEADING_KEYS[name]
    ]
    reading = [
        statement["Action"]
        for statement in statements(resources, f"{name}Role")
        if "key#*" in json.dumps(statement.get("Condition"))
    ]
    assert reading in ([], [["dynamodb:GetItem"]])


@pytest.mark.parametrize("name", [API, WORKER, SOCKET, SOCKET_WORKER])
def test_a_function_makes_a_sealing_key_and_overwrites_none(name: str, resources: dict[str, Json]) -> None:
    conditions = [
        statement.get("Condition")
        for statement in statements(resources, f"{name}Role")
        if statement["Action"] == ["ssm:PutParameter"]
    ]
    assert conditions == [{"StringNotEquals": {"ssm:Overwrite": "true"}}]


def test_bedrocks_models_may_be_called_unless_the_deployment_says_otherwise(
    deployed: Json, resources: dict[str, Json]
) -> None:
    policy = resources["BedrockPolicy"]
    assert (policy["Condition"], deployed["Conditions"]["AllowsBedrock"]) == (
        "AllowsBedrock",
        {"Fn::Equals": [{"Ref": "Bedrock"}, "true"]},
    )
    assert policy["Properties"]["Roles"] == [
        {"Ref": "ApiFunctionRole"},
        {"Ref": "WorkerFunctionRole"},
        {"Fn::If": ["HasWebSocket", {"Ref": "SocketWorkerFunctionRole"}, {"Ref": "AWS::NoValue"}]},
    ]
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == [
        "bedrock:CountTokens",
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
    ]
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


@pytest.mark.parametrize(
    ("given", "function", "parameter"),
    [
        ({}, "kit_tool_counter", "/openresponses/kit/tools/counter"),
        ({"ToolFunctionPrefix": "mine-", "SsmPrefix": "/mine"}, "mine-counter", "/mine/tools/counter"),
    ],
    ids=["of its stack", "as told"],
)
def test_the_example_is_named_so_that_the_server_may_invoke_it(
    given: dict[str, str], function: str, parameter: str, deployed: Json
) -> None:
    stack = Stack("kit", deployed, {"ExampleTool": "true", **given})
    assert stack.physical(EXAMPLE) == function
    assert stack.physical("ExampleToolParameter") == parameter
    for role in (f"{API}Role", f"{WORKER}Role"):
        (invokes,) = [each for each in of_role(stack, role) if each["Action"] == ["lambda:InvokeFunction"]]
        assert invokes["Resource"] == f"{stack.arn(EXAMPLE).removesuffix('counter')}*"


ARN = "arn:aws:lambda:us-east-1:123456789012:function:openresponses_tool_counter"


def test_the_examples_parameter_is_what_the_server_reads(resources: dict[str, Json]) -> None:
    value = resources["ExampleToolParameter"]["Properties"]["Value"]["Fn::Sub"]
    tool = LambdaTool.model_validate_json(value.replace(f"${{{EXAMPLE}.Arn}}", ARN))
    assert tool.function == ARN
    assert tool.timeout == resources[EXAMPLE]["Properties"]["Timeout"]
    assert set(json.loads(value)) == set(LambdaTool.model_fields) - {"answers"}
    assert len(value.encode()) < 3_800  # of 4,096, with an ARN in place of its name


def test_the_example_that_answers_later_is_what_the_server_reads(resources: dict[str, Json]) -> None:
    value = resources["ExampleToolRefundParameter"]["Properties"]["Value"]["Fn::Sub"]
    tool = LambdaTool.model_validate_json(value.replace(f"${{{REFUND}.Arn}}", ARN))
    assert (tool.function, tool.answers, tool.seconds) == (ARN, "later", 86_400)
    assert set(json.loads(value)) == set(LambdaTool.model_fields)


def test_the_worker_function_outlives_every_turn_and_every_tool(source: Json) -> None:
    assert TIMEOUTS[WORKER] > source["Parameters"]["TurnSeconds"]["MaxValue"] > MAX_TIMEOUT


@pytest.mark.parametrize(
    ("prefix", "fits"), [("", True), ("tool-", True), ("to", False), ("tool*", False), ("t" * 49, False)]
)
def test_the_prefix_of_tools_is_the_stacks_or_long_enough(prefix: str, fits: bool, source: Json) -> None:
    assert bool(re.fullmatch(source["Parameters"]["ToolFunctionPrefix"]["AllowedPattern"], prefix)) == fits


def test_the_example_is_one_file_that_needs_no_build(source: Json) -> None:
    assert source["Resources"][EXAMPLE]["Metadata"] == {"SkipBuild": True}
    directory = ROOT / source["Resources"][EXAMPLE]["Properties"]["CodeUri"]
    assert [path.name for path in directory.glob("*.py")] == ["app.py"]


def test_in_a_vpc_every_function_may_be_attached(source: Json) -> None:
    given = {"SubnetIds": "subnet-1,subnet-2", "SecurityGroupIds": "sg-1", "WebSocket": "true", "ExampleTool": "true"}
    stack = Stack("kit", expand(source, given))
    functions = of_type(stack.resources, "AWS::Lambda::Function").values()
    attached = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert [each["Properties"]["VpcConfig"] for each in functions] == [attached] * len(functions)
    roles = {name for name in source["Resources"] if name.endswith("FunctionRole")}
    allowed = {
        name for name in roles if any("ec2:CreateNetworkInterface" in each["Action"] for each in of_role(stack, name))
    }
    assert allowed == roles
    # A function without a role here, as one of yours may be, gets one of SAM's, which has these rights.
    made = {name: each for name, each in stack.resources.items() if each["Type"] == "AWS::IAM::Role"}
    of_sam = [each for name, each in made.items() if name.endswith("FunctionRole") and name not in roles]
    policies = [each["Properties"]["ManagedPolicyArns"] for each in of_sam]
    assert all(any("AWSLambdaVPCAccessExecutionRole" in json.dumps(arn) for arn in arns) for arns in policies)
    assert len(roles) + len(of_sam) == len(functions)
