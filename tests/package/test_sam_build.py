"""A project of one's own, built by SAM from the wheel."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from openresponses_dev.local.template.yaml_tree import parse
from tests.package.conftest import ROOT, environment

SAM = ["uv", "tool", "run", "--quiet", "--from", "aws-sam-cli==1.170.0", "sam"]  # as .ci/run has it
STARTER = ROOT / "infra/openresponses_dev/manage/starter"
TEMPLATE = """\
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  ToolsLayer:
    Type: AWS::Serverless::LayerVersion
    Metadata:
      BuildMethod: makefile
    Properties:
      ContentUri: tools/
  OpenResponses:
    Type: AWS::Serverless::Application
    Properties:
      Location: .venv/share/openresponses/template.yaml
      Parameters:
        ToolsLayerArn: !Ref ToolsLayer
Outputs:
  BaseUrl:
    Value: !GetAtt OpenResponses.Outputs.BaseUrl
"""
TOOL = '''
from markupsafe import escape


def escaped(text: str) -> str:
    """Escape a text for HTML."""
    return str(escape(text))
'''

pytestmark = [pytest.mark.package, pytest.mark.timeout(600), pytest.mark.xdist_group("package")]


def run(folder: Path, *command: str) -> str:
    own = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(command, cwd=folder, env=environment(folder) | own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine with a space")
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "tools").mkdir()
    (folder / "tools/Makefile").write_text((STARTER / "tools/Makefile").read_text())
    (folder / "tools/requirements.txt").write_text("markupsafe\n")
    (folder / "tools/escaped.py").write_text(TOOL)
    run(folder, "uv", "venv", "--quiet")
    run(folder, "uv", "pip", "install", "--quiet", str(wheel))
    return folder


def test_sam_finds_nothing_wrong_with_it(project: Path) -> None:
    assert "is a valid SAM Template" in run(project, *SAM, "validate", "--lint")


def test_sam_builds_the_installed_server_and_a_layer_of_the_tools(project: Path) -> None:
    run(project, *SAM, "build")
    built = project / ".aws-sam/build"
    layer = built / "ToolsLayer/python"
    assert {each.name for each in (layer / "tools").glob("*.*")} == {"escaped.py"}
    assert [each.name for each in (layer / "markupsafe").glob("*.so")] == ["_speedups.cpython-313-aarch64-linux-gnu.so"]
    server = built / "OpenResponses"
    for name in ("ApiFunction", "WorkerFunction", "SocketWorkerFunction"):
        assert (server / name / "bootstrap").stat().st_mode & 0o111 == 0o111
        assert [*(server / name / "pydantic_core").glob("*-aarch64-linux-gnu.so")]
        assert not (server / name / "tools").exists()
    of_the_wheel = (ROOT / "functions/openresponses/entry/api.py").read_text()
    assert (server / "ApiFunction/openresponses/entry/api.py").read_text() == of_the_wheel
    assert (server / "AuthorizerFunction/openresponses/entry/authorizer.py").is_file()
    template = parse((server / "template.yaml").read_text(), "built")
    assert _local_paths(template, server) == {
        *(
            project / ".venv/share/openresponses/infra/statemachine" / f"{name}.asl.json"
            for name in ("loop", "webhook")
        ),
        *(project / ".venv/share/openresponses/infra/examples" / name for name in ("counter", "refund")),
        *(each for each in server.iterdir() if each.is_dir()),
    }


def _local_paths(value: object, folder: Path) -> set[Path]:
    """What a built template leads to."""
    if isinstance(value, list):
        return {path for each in value for path in _local_paths(each, folder)}
    if not isinstance(value, dict):
        return set()
    named = {key: each for key, each in value.items() if key in ("CodeUri", "DefinitionUri")}
    here = {(folder / str(each)).resolve() for each in named.values()}
    return here | {path for each in value.values() for path in _local_paths(each, folder)}
