"""The expanded template as cfn-lint and checkov see it, with each pair of values of what switches something.

`sam validate --lint` reads the defaults alone. cfn-lint comes with the SAM CLI; checkov has an environment of its own.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.template.expanding import FREE_TEXT, expand, values, variants
from tests.template.reading import ROOT
from tests.template.stack import Stack, everything

Json = dict[str, Any]
Finding = tuple[str, str]

pytestmark = [pytest.mark.artifact, pytest.mark.timeout(600), pytest.mark.xdist_group("lint")]

CHECKOV = "checkov==3.3.30"

SOCKETS = ("SocketAuthorizerFunction", "SocketFunction", "SocketWorkerFunction")
EXAMPLES = ("ExampleToolFunction", "ExampleToolRefundFunction")
FUNCTIONS = ("ApiFunction", "AuthorizerFunction", "EndedFunction", *EXAMPLES, "WorkerFunction", *SOCKETS)
TABLES = ("ExampleToolTable", "ResponsesTable")
LOGS = (*(f"{name}Logs" for name in FUNCTIONS), "ApiAccessLogs", "LoopStateMachineLogs", "WebhookStateMachineLogs")
STAGE = "ApiopenresponsesStage"

LINT = {
    ("W2001", "Parameters/AuthorizerSeconds"): "SAM puts the parameter's value into the API's document itself",
}
"""What cfn-lint finds: the rule, the place, and why it is well."""

CHECKS: dict[str, tuple[tuple[str, ...], str]] = {
    "CKV_AWS_18": (("ResponsesBucket",), "one role reads the bucket, and what it reads is in its own log"),
    "CKV_AWS_21": (
        ("ResponsesBucket",),
        "an object is written once, under a new key; a version would outlive a deletion",
    ),
    "CKV_AWS_27": (("EndedDeadLetters",), "SQS's own key unless one is given"),
    "CKV_AWS_28": (("ExampleToolTable",), "an example's counters"),
    "CKV_AWS_73": ((STAGE,), "X-Ray costs money, and shows paths"),
    "CKV_AWS_76": ((STAGE,), "the access log needs a role of the whole account: a parameter"),
    # The sockets' functions are looked at only in a deploy that has all, their reservations included.
    "CKV_AWS_115": (
        tuple(sorted({*FUNCTIONS} - {*SOCKETS})),
        "what is reserved is taken from the account's other functions",
    ),
    "CKV_AWS_116": (FUNCTIONS, "who invokes is told; who sent the message is told that a socket's worker died"),
    "CKV_AWS_117": (FUNCTIONS, "they call providers on the internet, and AWS by its public endpoints"),
    "CKV_AWS_119": (TABLES, "AWS's key unless one is given"),
    "CKV_AWS_120": ((STAGE,), "no answer is another client's, and what streams is never cached"),
    "CKV_AWS_158": (LOGS, "AWS's key unless one is given"),
    "CKV_AWS_173": (
        tuple(each for each in FUNCTIONS if each != "ExampleToolRefundFunction"),  # which has none
        "the variables hold names and numbers, and no secret",
    ),
}
"""What checkov finds: the check, the resources, and why that is well."""


def every_switch(source: Json) -> list[Json]:
    return [expand(source, variant) for variant in variants(source)]


def fixed(source: Json) -> dict[str, Json]:
    """Templates without a condition: of the defaults, with all that may be there, and with what of that needs nothing
    that is not ours.
    """
    everywhere = everything(expand(source))
    ours = {name: value for name, value in everywhere.items() if name not in FREE_TEXT}
    deploys = {"defaults": {}, "ours": ours, "everything": everywhere}
    return {name: Stack("kit", expand(source, given)).existing for name, given in deploys.items()}


def linted(templates: list[Json]) -> list[list[list[str]]]:
    """What cfn-lint says of each of the templates."""
    (sam_cli,) = re.findall(r"^SAM_CLI=(\S+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    command = ["uv", "tool", "run", "--from", sam_cli, "python", str(Path(__file__).with_name("cfn_lint.py"))]
    lines = "".join(f"{json.dumps(each)}\n" for each in templates)
    told = subprocess.run(command, input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(told) == len(templates)
    return [json.loads(each) for each in told]


def test_cfn_lint_finds_nothing_whatever_is_switched_on(source: Json) -> None:
    found = linted(every_switch(source))
    assert {json.dumps(finding) for each in found for finding in each if tuple(finding[:2]) not in LINT} == set()
    assert {tuple(finding[:2]) for each in found for finding in each} == set(LINT), "what is not found is no exception"


def test_cfn_lint_finds_nothing_in_what_conditions_leave(source: Json) -> None:
    """A parameter that is now used by no one is none of this test's business."""
    found = [finding for each in linted([*fixed(source).values()]) for finding in each if finding[0] != "W2001"]
    assert found == []


def test_every_pair_of_switches_is_linted(source: Json) -> None:
    switches = values(source)
    chosen = variants(source)
    for one, some in switches.items():
        for other, others in switches.items():
            if one < other:
                tried = {(variant[one], variant[other]) for variant in chosen}
                assert tried == {(a, b) for a in some for b in others}


def test_cfn_lint_finds_a_value_that_is_none_and_a_dependency_that_a_condition_leaves_out(source: Json) -> None:
    template = expand(source, {"AllowedOrigins": "https://a.example.com/page"})
    template["Resources"]["Api"]["DependsOn"] = "ApiGatewayAccount"
    (found,) = linted([template])
    assert {rule for rule, _, _ in found} - {rule for rule, _ in LINT} == {"E2015", "E3005"}


def test_checkov_finds_what_is_accepted_and_nothing_else(source: Json, tmp_path: Path) -> None:
    files: list[str] = []
    for name, template in fixed(source).items():
        files += ["--file", str(tmp_path / f"{name}.json")]
        (tmp_path / f"{name}.json").write_text(json.dumps(template))
    # Without a key it asks no server; it would still fetch its guidelines, and write to the terminal in colours.
    command = ["uv", "tool", "run", "--from", CHECKOV, "checkov", "--framework", "cloudformation", "--output", "json"]
    options = ["--compact", "--quiet", "--skip-download", "--soft-fail", *files]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True, cwd=tmp_path)
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    failed = report["results"]["failed_checks"]
    found = {(check["check_id"], check["resource"].rpartition(".")[2]) for check in failed}
    assert found == {(check, name) for check, (names, _) in CHECKS.items() for name in names}
