"""What a deploy keeps: the table, the bucket, the logs; and the state machine over them."""

import json
import re

import pytest

from openresponses_dev.local.template.aws_resources import substitute
from tests.template.reading import ROOT, Json, grants, statements

KEPT_KINDS = ("conversation", "prompt")
"""Objects that do not expire."""
MACHINES = {"LoopStateMachine": "WorkerFunction", "WebhookStateMachine": "EndedFunction"}
"""And the function that each invokes."""
KEPT = ("ResponsesTable", "ResponsesBucket", "ResponsesBucketPolicy")


@pytest.mark.parametrize("name", KEPT)
def test_what_is_stored_outlives_the_stack_but_not_a_first_deploy_that_failed(
    name: str, resources: dict[str, Json]
) -> None:
    resource = resources[name]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_nothing_else_outlives_a_first_deploy_that_failed_but_the_accounts_role(resources: dict[str, Json]) -> None:
    """CloudFormation leaves the account's setting as it is when it deletes ApiGatewayAccount, whose handler has no
    right but apigateway:GET. Without the role, every other API of the account would log nowhere.
    """
    kept = {name for name, each in resources.items() if each.get("DeletionPolicy") == "Retain"}
    assert kept == {"ApiGatewayAccount", "ApiGatewayLogsRole"}


def test_the_table_is_backed_up_encrypted_and_forgets(resources: dict[str, Json]) -> None:
    table = resources["ResponsesTable"]
    assert table["Properties"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
            {"AttributeName": "list_pk", "AttributeType": "S"},
            {"AttributeName": "list_sk", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-time",
                "KeySchema": [
                    {"AttributeName": "list_pk", "KeyType": "HASH"},
                    {"AttributeName": "list_sk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["listed"]},
            }
        ],
        "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": True},
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "SSESpecification": {
            "Fn::If": [
                "HasKey",
                {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KeyArn"}},
                {"SSEEnabled": True},
            ]
        },
        "DeletionProtectionEnabled": {"Fn::If": ["IsProtected", True, False]},
    }


def test_the_bucket_is_private_encrypted_and_forgets(resources: dict[str, Json]) -> None:
    bucket = resources["ResponsesBucket"]
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["Fn::If"][2] == {"SSEAlgorithm": "AES256"}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_every_kind_of_object_expires_as_its_items_do(resources: dict[str, Json]) -> None:
    rules = resources["ResponsesBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "Prefix" in rule} == {
        "response/": {"Ref": "ResponseDays"},
        "log/": {"Ref": "LogDays"},
    }
    kinds = re.search(
        r"^Kind: TypeAlias = Literal\[(.*)\]",
        (ROOT / "functions/openresponses/storage/dynamodb/values.py").read_text(),
        re.M,
    )
    assert kinds
    assert set(json.loads(f"[{kinds[1]}]")) == {"response", "log", *KEPT_KINDS}
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert [rule["AbortIncompleteMultipartUpload"] for rule in rules if "Prefix" not in rule] == [
        {"DaysAfterInitiation": 1}
    ]


def test_the_bucket_answers_only_over_tls(resources: dict[str, Json]) -> None:
    policy = resources["ResponsesBucketPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["ResponsesBucket", "Arn"]},
        {"Fn::Sub": "${ResponsesBucket.Arn}/*"},
    ]


def test_every_log_group_has_a_retention_and_outlives_the_stack(resources: dict[str, Json]) -> None:
    ours = (
        "ApiFunction",
        "WorkerFunction",
        "AuthorizerFunction",
        "EndedFunction",
        "SocketFunction",
        "SocketWorkerFunction",
        "SocketAuthorizerFunction",
        "ExampleToolFunction",
        "ExampleToolRefundFunction",
        *MACHINES,
        "ApiAccess",
    )
    groups = {f"{name}Logs": resources[f"{name}Logs"] for name in ours}
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert (group["DeletionPolicy"], group["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert {name for name, group in groups.items() if "LogGroupName" in group["Properties"]} == {
        f"{name}Logs" for name in MACHINES
    }


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_machine_logs_errors_without_what_was_said(name: str, resources: dict[str, Json]) -> None:
    properties = resources[name]["Properties"]
    assert properties["StateMachineType"] == "STANDARD"
    assert properties["LoggingConfiguration"] == {
        "Level": "ERROR",
        "IncludeExecutionData": False,
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": [f"{name}Logs", "Arn"]}}}],
    }
    assert properties["RoleArn"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_machine_may_invoke_its_function_alone_and_deliver_its_log(
    name: str, resources: dict[str, Json]
) -> None:
    allowed = grants(resources, f"{name}Role")
    assert allowed.pop("lambda:InvokeFunction") == f"{MACHINES[name]}.Arn"
    assert {action.partition(":")[0] for action in allowed} == {"logs"}
    assert set(allowed.values()) == {"*"}
    trust = resources[f"{name}Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert [(each["Principal"], each["Condition"]) for each in trust] == [
        ({"Service": "states.amazonaws.com"}, {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}})
    ]


@pytest.mark.parametrize(
    ("machine", "suffix", "variable"),
    [("LoopStateMachine", "loop", "STATE_MACHINE_ARN"), ("WebhookStateMachine", "webhook", "WEBHOOK_MACHINE_ARN")],
)
def test_functions_are_told_the_state_machines_own_name(
    machine: str, suffix: str, variable: str, resources: dict[str, Json]
) -> None:
    name = f"${{AWS::StackName}}-{suffix}"
    assert resources[machine]["Properties"]["StateMachineName"] == {"Fn::Sub": name}
    arn = resources[MACHINES[machine]]["Properties"]["Environment"]["Variables"][f"OPENRESPONSES_{variable}"]
    assert arn["Fn::Sub"].endswith(f":stateMachine:{name}")
    assert arn["Fn::Sub"] in [
        each["Resource"].get("Fn::Sub")
        for each in statements(resources, f"{MACHINES[machine]}Role")
        if "Fn::Sub" in each["Resource"]
    ]


@pytest.mark.parametrize(
    ("name", "task", "limit"), [("LoopStateMachine", "Work", 960), ("WebhookStateMachine", "Deliver", 90)]
)
def test_the_definition_gets_exactly_what_it_asks_for(name: str, task: str, limit: int, source: Json) -> None:
    properties = source["Resources"][name]["Properties"]
    definition = (ROOT / properties["DefinitionUri"]).read_text()
    given = properties["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", definition)) == set(given)
    states = json.loads(
        substitute(
            definition,
            {name: str(value) for name, value in given.items() if isinstance(value, int)}
            | {name: name for name, value in given.items() if not isinstance(value, int)},
        )
    )
    assert states["States"][task]["TimeoutSeconds"] == limit


@pytest.mark.parametrize("name", MACHINES)
def test_a_task_waits_longer_than_its_function_may_run(name: str, source: Json) -> None:
    given = source["Resources"][name]["Properties"]["DefinitionSubstitutions"]
    (waits,) = (value for key, value in given.items() if key.endswith("TimeoutSeconds"))
    assert waits > source["Resources"][MACHINES[name]]["Properties"]["Timeout"]


def test_a_worst_case_turn_leaves_room_for_another_before_it(source: Json) -> None:
    for function in ("ApiFunction", "WorkerFunction"):
        lives = source["Resources"][function]["Properties"]["Timeout"]
        assert source["Parameters"]["TurnSeconds"]["MaxValue"] < lives
    assert (
        source["Parameters"]["InlineSeconds"]["MaxValue"] < source["Resources"]["ApiFunction"]["Properties"]["Timeout"]
    )
