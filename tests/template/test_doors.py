"""infra/templates: the doors that are stacks of their own, beside the one of template.yaml."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.template.reading import ROOT, Json
from tests.template.stack import Stack
from tests.template.test_lint import linted

TEMPLATES = sorted((ROOT / "infra/templates").glob("*.yaml"))
ANY = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"


def read(path: Path) -> Json:
    return json.loads(json.dumps(yaml_parse(path.read_text())))


@pytest.fixture
def signed() -> Json:
    return read(ROOT / "infra/templates/sigv4.yaml")


@pytest.mark.artifact
@pytest.mark.timeout(300)
@pytest.mark.xdist_group("lint")
def test_cfn_lint_finds_nothing() -> None:
    assert [path.name for path in TEMPLATES] == ["domain.yaml", "sigv4.yaml", "waf.yaml"]
    assert linted([read(path) for path in TEMPLATES]) == [[], [], []]


def test_a_signed_request_is_streamed_by_the_same_function_as_any_other(signed: Json, deployed: Json) -> None:
    paths = deployed["Resources"]["Api"]["Properties"]["Body"]["paths"]
    ours = paths["/{proxy+}"][ANY][INTEGRATION]
    theirs = signed["Resources"]["Api"]["Properties"]["Body"]["paths"]["/{proxy+}"][ANY][INTEGRATION]
    function = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${ApiFunctionName}"
    uri = (
        ours["uri"]["Fn::Sub"].replace("${ApiFunction.Arn}", function).replace("arn:aws:", "arn:${AWS::Partition}:", 1)
    )
    assert theirs == {**ours, "uri": {"Fn::Sub": uri}}


def test_every_path_of_it_asks_for_a_signature(signed: Json) -> None:
    body = signed["Resources"]["Api"]["Properties"]["Body"]
    methods = [(path, method) for path, operations in body["paths"].items() for method in operations]
    assert methods == [("/{proxy+}", ANY)]
    assert body["paths"]["/{proxy+}"][ANY]["security"] == [{"SigV4": []}]
    assert body["components"]["securitySchemes"]["SigV4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


@pytest.mark.parametrize("accounts", [[], ["111122223333", "444455556666"]])
def test_other_accounts_get_in_where_they_are_named(accounts: list[str], signed: Json) -> None:
    signed["Parameters"]["Accounts"]["Default"] = ",".join(accounts)
    policy = signed["Resources"]["Api"]["Properties"]["Policy"]["Fn::If"][1]
    (statement,) = policy["Statement"]
    assert statement["Principal"] == {"AWS": {"Ref": "Accounts"}}
    assert statement["Effect"] == "Allow"


def test_what_the_gateway_says_itself_is_what_the_other_api_says(signed: Json, deployed: Json) -> None:
    name = "x-amazon-apigateway-gateway-responses"
    ours = deployed["Resources"]["Api"]["Properties"]["Body"][name]
    theirs = signed["Resources"]["Api"]["Properties"]["Body"][name]
    for kind, answer in theirs.items():
        if kind != "MISSING_AUTHENTICATION_TOKEN":  # there it says that a path has no such method
            assert (answer["responseTemplates"], answer.get("statusCode")) == (
                ours[kind]["responseTemplates"],
                ours[kind].get("statusCode"),
            )
        json.loads(answer["responseTemplates"]["application/json"])


def test_the_firewall_reads_no_body() -> None:
    """A prompt may quote an attack: AWS's common rules would refuse it, and every body above 8 KB.

    https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
    """
    acl = read(ROOT / "infra/templates/waf.yaml")["Resources"]["WebAcl"]["Properties"]
    statements = [rule["Statement"] for rule in acl["Rules"]]
    groups = [each["ManagedRuleGroupStatement"]["Name"] for each in statements if "ManagedRuleGroupStatement" in each]
    assert groups == ["AWSManagedRulesAmazonIpReputationList"]
    assert "Body" not in json.dumps(statements)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_each_stage_is_the_one_that_the_api_has(path: Path) -> None:
    text = path.read_text()
    assert "openresponses" in text
    assert "stages/openresponses" in text or "Stage: openresponses" in text or "StageName: openresponses" in text


@pytest.mark.parametrize("sockets", [False, True])
def test_a_domain_has_a_certificate_for_each_of_its_names(sockets: bool) -> None:
    template = read(ROOT / "infra/templates/domain.yaml")
    given = {"ApiId": "a", "DomainName": "api.example.com", "HostedZoneId": "Z1"}
    given |= {"WebSocketApiId": "b", "WebSocketDomainName": "ws.example.com"} if sockets else {}
    for name, value in given.items():
        template["Parameters"][name]["Default"] = value
    resources = Stack("doors", template).resources
    certificate = resources["Certificate"]["Properties"]
    names = ["api.example.com", *(["ws.example.com"] if sockets else [])]
    assert [certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])] == names
    assert [each["DomainName"] for each in certificate["DomainValidationOptions"]] == names
    assert ("WebSocketMapping" in resources) is sockets
