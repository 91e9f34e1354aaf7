"""`openresponses logs`: what functions print, from CloudWatch Logs, and from the local cloud."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any, cast
from unittest.mock import patch

import boto3
import httpx2
import pytest
from botocore.stub import Stubber

from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.logs.cloudwatch import Groups
from openresponses_dev.manage.problems import Problem
from tests.manage.aws_stack import REGION, STACK
from tests.manage.conftest import OPENRESPONSES, Aws, Cloud

pytestmark = pytest.mark.xdist_group("manage")
RECORD = json.dumps({"level": "WARNING", "message": "a word\x1b[2J", "target": "a/b", "location": "x:1"})
PRINTED = [
    "START RequestId: 1 Version: $LATEST\n",
    RECORD + "\n",
    json.dumps({"_aws": {}, "turns": 1}) + "\n",
    "END RequestId: 1\n",
    "REPORT RequestId: 1\tDuration: 12 ms\tMax Memory Used: 66 MB\n",
]


def client(aws: Aws, service: str) -> Any:
    keys = aws.users["admin"]
    named = {"aws_access_key_id": keys["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": keys["AWS_SECRET_ACCESS_KEY"]}
    make = cast("Any", boto3.Session(**named, region_name=REGION)).client
    return make(service, endpoint_url=aws.endpoint)


def put(logs: Any, group: str, stream: str, *events: tuple[float, str]) -> None:
    told = [{"timestamp": int(at * 1000), "message": text} for at, text in events]
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=told)


def api_logs(aws: Aws) -> str:
    """The group's name, which CloudFormation made."""
    resource = client(aws, "cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId="ApiFunctionLogs"
    )
    return str(resource["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture(scope="module")
def printed(aws: Aws) -> float:
    """When both functions of the stack printed something: two streams of one group, and another group."""
    logs, now = client(aws, "logs"), time.time()
    put(logs, api_logs(aws), "one", *((now - 60 + n, text) for n, text in enumerate(PRINTED)))
    put(logs, api_logs(aws), "two", (now - 3000, "long ago\n"), (now - 57.5, "between\n"))
    logs.create_log_group(logGroupName=f"/aws/lambda/{STACK}-socket")
    put(logs, f"/aws/lambda/{STACK}-socket", "one", (now - 58.5, "from a socket\n"))
    return now


def test_what_functions_printed_is_told_in_the_order_of_time_and_shortened(aws: Aws, printed: float) -> None:
    told = aws.run("logs", "--no-follow")
    assert (told.status, told.err) == (0, "")
    assert [line[9:] for line in told.out.splitlines()] == [
        "ApiFunction | WARNING a word\\x1b[2J target=a/b",
        "SocketWorkerFunction | from a socket",
        "ApiFunction | between",
        "ApiFunction | REPORT Duration: 12 ms  Max Memory Used: 66 MB",
    ]


def test_one_function_further_back_and_as_it_was_printed(aws: Aws, printed: float) -> None:
    told = aws.run("logs", "--no-follow", "--since", "1h", "--function", "ApiFunction", "--json")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [each["text"] for each in lines] == ["long ago\n", *PRINTED[:3], "between\n", *PRINTED[3:]]
    assert {each["function"] for each in lines} == {"ApiFunction"}
    assert lines[1]["at"] == pytest.approx(printed - 60, abs=0.01)


def test_it_follows_what_comes_until_ctrl_c(aws: Aws, printed: float) -> None:
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}}
    command = [OPENRESPONSES, "logs", "--function", "ApiFunction", "--since", "2m", "--json"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env={**environment, **aws.environment("admin")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout
        before = [json.loads(process.stdout.readline())["text"] for _ in range(6)]
        put(client(aws, "logs"), api_logs(aws), "a stream that came later", (time.time() - 20, "late\n"))
        assert json.loads(process.stdout.readline())["text"] == "late\n"
        process.send_signal(signal.SIGINT)
        assert (process.wait(30), process.stdout.read()) == (130, "")
    assert before[-1] == PRINTED[-1]


@pytest.mark.parametrize(
    ("words", "why", "mend"),
    [
        (("--function", "ApiFunktion"), "has no function ApiFunktion", "--function ApiFunction"),
        (("--function", "x"), "has no function x", "one of ApiFunction, SocketWorkerFunction"),
        (("--since", "yesterday"), "--since yesterday: not a number with s, m, h or d", "--since 10m"),
    ],
)
def test_what_cannot_be_is_named(aws: Aws, words: tuple[str, ...], why: str, mend: str) -> None:
    told = aws.run("logs", "--no-follow", *words)
    assert told.status == 1
    assert why in told.err
    assert f"try: {mend}" in told.err


@pytest.fixture
def stub() -> Iterator[tuple[Groups, Stubber, list[float], list[str]]]:
    """Groups whose answers are checked by the SDK's model of CloudWatch Logs."""
    logs: Any = boto3.client(
        "logs", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test", endpoint_url="http://x.test"
    )
    slept: list[float] = []
    warned: list[str] = []
    with patch.object(Deployment, "client", lambda self, service: logs), Stubber(logs) as stubber:
        deployment = Deployment("", "", REGION, "", "", "", "", "", "", "", stack=STACK)
        yield Groups(deployment, {"F": "g"}, 100.0, warn=warned.append, sleep=slept.append), stubber, slept, warned
        stubber.assert_no_pending_responses()


def answer(*events: tuple[str, int], more: str = "") -> dict[str, Any]:
    told = [{"eventId": each, "timestamp": at * 1000, "message": each} for each, at in events]
    return {"events": told, **({"nextToken": more} if more else {})}


def asked(begin: int, token: str = "") -> dict[str, Any]:
    return {"logGroupName": "g", "startTime": begin * 1000, **({"nextToken": token} if token else {})}


def test_pages_are_read_to_their_end_and_events_that_come_late_are_told_once(stub: Any) -> None:
    groups, stubber, _, _ = stub
    stubber.add_response("filter_log_events", answer(("a", 150), more="t"), asked(100))
    stubber.add_response("filter_log_events", answer(more="u"), asked(100, "t"))
    stubber.add_response("filter_log_events", answer(("b", 160)), asked(100, "u"))
    stubber.add_response("filter_log_events", answer(("late", 140), ("a", 150), ("b", 160), ("c", 170)), asked(130))
    stubber.add_response("filter_log_events", answer(("late", 140), ("b", 160), ("c", 170)), asked(140))
    told = [[line.text for line in groups.read()] for _ in range(3)]
    assert told == [["a", "b"], ["late", "c"], []]


def test_who_asks_too_much_waits_longer_and_asks_again(stub: Any) -> None:
    groups, stubber, slept, warned = stub
    for _ in range(2):
        stubber.add_client_error("filter_log_events", "ThrottlingException", "Rate exceeded")
    stubber.add_response("filter_log_events", answer(("a", 150)), asked(100))
    assert [line.text for line in groups.read()] == ["a"]
    assert slept == [0.5, 1.0, 2.0]
    assert len(warned) == 2


def test_what_waiting_does_not_mend_is_told(stub: Any) -> None:
    groups, stubber, _, _ = stub
    stubber.add_client_error("filter_log_events", "AccessDeniedException", "no")
    with pytest.raises(Problem, match="you may not logs:FilterLogEvents"):
        list(groups.read())
    stubber.add_client_error(
        "filter_log_events", "ResourceNotFoundException", "The specified log group does not exist."
    )
    assert list(groups.read()) == []


def test_the_local_cloud_tells_its_own(cloud: Cloud) -> None:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    body = {"model": "offline/demo", "input": "Hello"}
    made = httpx2.post(f"{cloud.base_url}/responses", json=body, headers=headers, timeout=60).json()
    told = cloud.run("logs", "--no-follow")
    assert (told.status, told.err) == (0, "")
    assert [line for line in told.out.splitlines() if f"ApiFunction | {made['id']} completed" in line]
    one = cloud.run("logs", "--no-follow", "--function", "ApiFunction", "--json")
    assert {json.loads(line)["function"] for line in one.out.splitlines()} == {"ApiFunction"}
    assert cloud.run("logs", "--no-follow", "--function", "ApiFunction", "--since", "0s").out == ""
    unknown = cloud.run("logs", "--function", "Nothing")
    assert (unknown.status, "has no function Nothing" in unknown.err) == (1, True)
