"""That docs/security.md tells what the roles may do, as the template has it."""

from pathlib import Path

import pytest

from tests.template import privileges
from tests.template.reading import Json, of_type


def test_the_page_has_the_table_of_the_template(deployed: Json) -> None:
    """Write it anew: uv run python -m tests.template.privileges --write"""
    assert privileges.on_page(privileges.PAGE.read_text()) == privileges.table(deployed)


def test_every_function_and_the_state_machine_have_a_role_in_the_table(deployed: Json) -> None:
    kinds = {"AWS::Lambda::Function": "Role", "AWS::StepFunctions::StateMachine": "RoleArn"}
    used = {
        resource["Properties"][key]["Fn::GetAtt"][0]
        for kind, key in kinds.items()
        for name, resource in of_type(deployed["Resources"], kind).items()
        if f"{name}Role" in privileges.WHO
    }
    assert used == {*privileges.WHO} - {"ApiGatewayLogsRole"}


def test_a_right_more_is_another_table(deployed: Json) -> None:
    role = deployed["Resources"]["AuthorizerFunctionRole"]["Properties"]
    more = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::another/*"}
    policies = [*role["Policies"], {"PolicyName": "more", "PolicyDocument": {"Statement": [more]}}]
    changed = {**deployed["Resources"]["AuthorizerFunctionRole"], "Properties": {**role, "Policies": policies}}
    resources = {**deployed["Resources"], "AuthorizerFunctionRole": changed}
    rows = [*privileges.rows({**deployed, "Resources": resources})]
    assert ("the authorizer", "s3: `GetObject`", "`arn:aws:s3:::another/*`") in rows


def test_only_the_table_is_written(tmp_path: Path) -> None:
    page = tmp_path / "security.md"
    before = privileges.PAGE.read_text()
    page.write_text(before)
    privileges.write(page, "another table")
    after = page.read_text()
    assert privileges.on_page(after) == "another table"
    assert after.replace("another table", privileges.on_page(before)) == before
    page.write_text("a page without it")
    with pytest.raises(ValueError, match="has 0 parts"):
        privileges.write(page, "a table")
