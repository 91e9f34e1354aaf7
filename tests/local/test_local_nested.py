"""A project's own template, in which ours is nested: what is read of it, and that it runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from openresponses_dev.local.project import find_template, kit
from openresponses_dev.local.template.aws_resources import requests
from openresponses_dev.local.template.template import Template, read_template
from openresponses_dev.local.template.yaml_tree import TemplateError
from tests.local.local_project import PATIENCE, environment

CHILD = """\
Parameters:
  Prefix: {Type: String, Default: none}
  Layer: {Type: String, Default: ''}
  Loud: {Type: String, Default: 'false', AllowedValues: ['true', 'false']}
  WebSocket: {Type: String, Default: 'false'}
Conditions:
  IsLoud: !Equals [!Ref Loud, 'true']
  HasLayer: !Not [!Equals [!Ref Layer, '']]
Globals: {Function: {Timeout: 7}}
Rules:
  HasPrefix: {Assertions: [{Assert: !Not [!Equals [!Ref Prefix, '']], AssertDescription: needs a prefix}]}
Resources:
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: s}}
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {KeySchema: [], AttributeDefinitions: []}
  Bucket: {Type: AWS::S3::Bucket}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: child.handler
      Runtime: python3.13
      CodeUri: code/
      Layers: !If [HasLayer, [!Ref Layer], !Ref AWS::NoValue]
      Environment:
        Variables:
          STACK: !Ref AWS::StackName
          PREFIX: !Ref Prefix
          TABLE: !Ref Table
          SOCKET: !Ref WebSocket
          OPENRESPONSES_TOOLS: !If [HasLayer, /opt/python/tools, '']
      Events: {E: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /child, Method: GET}}}
Outputs:
  Prefix: {Value: !Ref Prefix}
  Url: {Value: !Sub 'https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Api.Stage}/v1'}
  Loud: {Condition: IsLoud, Value: loud}
"""
PARENT = """\
Parameters:
  Name: {Type: String, Default: mine}
Globals: {Function: {Runtime: python3.13, CodeUri: own/}}
Resources:
  ToolsLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: tools/}}
  Child:
    Type: AWS::Serverless::Application
    Properties:
      Location: %s
      Parameters:
        Prefix: !Sub /${Name}
        Layer: !Ref ToolsLayer
  Table:
    Type: AWS::DynamoDB::Table
    Properties: {KeySchema: [], AttributeDefinitions: []}
  Said:
    Type: AWS::SSM::Parameter
    Properties: {Name: !Sub '${Child.Outputs.Prefix}/tools/own', Value: x}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: own.handler
      Environment: {Variables: {URL: !GetAtt Child.Outputs.Url, CHILD: !Ref Child, STACK: !Ref AWS::StackName}}
"""


def project(folder: Path, location: str = "kit/child.yaml", parent: str = PARENT) -> Path:
    for each in ("kit/code", "own", "tools"):
        (folder / each).mkdir(parents=True)
    (folder / "kit/child.yaml").write_text(CHILD)
    path = folder / "template.yaml"
    path.write_text(parent % location)
    return path


def variables(template: Template, name: str) -> Any:
    return template.functions[name].environment


def test_each_template_has_its_own_parameters_names_and_globals(tmp_path: Path) -> None:
    template = read_template(project(tmp_path), {"Name": "other"}, {"WebSocket": "true"})
    assert {name: (each.timeout_s, each.task_root) for name, each in template.functions.items()} == {
        "F": (3, tmp_path / "own"),
        "Child/F": (7, tmp_path / "kit/code"),
    }
    assert template.functions["Child/F"].arn == "arn:aws:lambda:us-east-1:123456789012:function:Child-F"
    assert variables(template, "Child/F") == {
        "STACK": "local-Child",
        "PREFIX": "/other",
        "TABLE": "Child-Table",
        "SOCKET": "true",
        "OPENRESPONSES_TOOLS": "/opt/python/tools",
    }
    assert variables(template, "F") == {
        "STACK": "local",
        "URL": "https://Child-Api.execute-api.us-east-1.amazonaws.com/s/v1",
        "CHILD": "arn:aws:cloudformation:us-east-1:123456789012:stack/Child/0",
    }
    (route,) = template.routes
    assert (route.function, route.api, template.apis[route.api].stage) == ("Child/F", "Child-Api", "s")


def test_the_resources_of_both_are_made_and_share_no_name(tmp_path: Path) -> None:
    made = [(each.method, each.arguments) for each in requests(read_template(project(tmp_path)))]
    assert [arguments["TableName"] for method, arguments in made if method == "create_table"] == [
        "Table",
        "Child-Table",
    ]
    assert [arguments["Bucket"] for method, arguments in made if method == "create_bucket"] == ["child-bucket"]
    assert [arguments["Name"] for method, arguments in made if method == "put_parameter"] == ["/mine/tools/own"]


def test_a_function_with_the_layer_finds_its_tools_on_this_machine(tmp_path: Path) -> None:
    path = project(tmp_path)
    template = read_template(path)
    assert {name: each.tools for name, each in template.functions.items()} == {
        "F": None,
        "Child/F": tmp_path / "tools",
    }
    (tmp_path / "tools/python/tools").mkdir(parents=True)  # a layer as it is, that nothing builds
    assert read_template(path).functions["Child/F"].tools == tmp_path / "tools/python/tools"
    elsewhere = read_template(path, {"Layer": "arn:aws:lambda:us-east-1:123456789012:layer:other:3"})
    assert elsewhere.functions["Child/F"].tools is None


def test_a_parameter_that_only_the_nested_template_declares_is_given_to_it(tmp_path: Path) -> None:
    template = read_template(project(tmp_path), {"Loud": "true", "Prefix": "/given"})
    assert variables(template, "Child/F")["PREFIX"] == "/given"
    assert template.nested["Child"].output("Loud") == "loud"
    with pytest.raises(TemplateError, match=r"^Parameters\.Louder: is given a value but not declared$"):
        read_template(tmp_path / "template.yaml", {"Louder": "true"})
    with pytest.raises(TemplateError, match=r"^Resources\.Child: Parameters\.Loud: 'so' is not one of"):
        read_template(tmp_path / "template.yaml", {"Loud": "so"})
    with pytest.raises(TemplateError, match=r"^Resources\.Child: Rules\.HasPrefix: needs a prefix$"):
        read_template(tmp_path / "template.yaml", {"Prefix": ""})


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("none/template.yaml", r"^Resources\.Child\.Properties\.Location: there is no .*none/template\.yaml: uv sync"),
        ("kit", r"Location: .*/kit is a folder: name the template in it$"),
        ("https://s3.amazonaws.com/b/t.yaml", r"Location: the local cloud runs a template on this machine, not https"),
        ("{ApplicationId: a, SemanticVersion: 1.0.0}", r"Location: the local cloud runs a template on this machine$"),
        ("kit/code/broken.yaml", r"^Resources\.Child: .*broken\.yaml:1: "),
        ("template.yaml", r"^Resources\.Child: Parameters\.(Prefix|Layer): is given a value but not declared"),
    ],
)
def test_a_nested_template_that_cannot_be_read_is_named(tmp_path: Path, location: str, message: str) -> None:
    path = project(tmp_path, location)
    (tmp_path / "kit/code/broken.yaml").write_text("a: [")
    with pytest.raises(TemplateError, match=message):
        read_template(path)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Child.Outputs.None", r"^Resources\.F\.Properties\.Environment\.Variables\.X: Child has no output 'None'$"),
        ("Child.Outputs.Loud", r"Variables\.X: Child has no output 'Loud'$"),
    ],
)
def test_an_output_that_is_not_there_is_named(tmp_path: Path, wanted: str, message: str) -> None:
    parent = PARENT.replace("URL: !GetAtt Child.Outputs.Url", f"X: !GetAtt {wanted}")
    with pytest.raises(TemplateError, match=message):
        read_template(project(tmp_path, parent=parent))


def test_an_application_cannot_need_its_own_outputs(tmp_path: Path) -> None:
    parent = PARENT.replace("Prefix: !Sub /${Name}", "Prefix: !GetAtt Child.Outputs.Url")
    with pytest.raises(TemplateError, match=r"^Resources\.Child: needs its own outputs$"):
        read_template(project(tmp_path, parent=parent))


def test_a_projects_template_is_found_from_any_folder_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_template() == Path("template.yaml")
    monkeypatch.chdir(tmp_path / "tools")
    assert find_template() == kit() / "template.yaml"
    (tmp_path / "openresponses.toml").touch()
    assert find_template() == path


OWN = """\
Resources:
  ToolsLayer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: tools/}}
  OpenResponses:
    Type: AWS::Serverless::Application
    Properties:
      Location: .venv/share/openresponses/template.yaml
      Parameters:
        ToolsLayerArn: !Ref ToolsLayer
        SsmPrefix: !Sub /openresponses/${AWS::StackName}
        ToolFunctionPrefix: !Sub ${AWS::StackName}_tool_
  Weather:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: !Sub ${AWS::StackName}_tool_weather
      CodeUri: weather/
      Handler: app.handler
      Runtime: python3.13
      Environment: {Variables: {BASE_URL: !GetAtt OpenResponses.Outputs.BaseUrl}}
  WeatherTool:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Name: !Sub ${OpenResponses.Outputs.SsmPrefix}/tools/weather
      Value: !Sub '{"function": "${Weather}", "description": "Tell the weather."}'
"""
TOOL = '''
from tools._words import WORDS

def {name}() -> str:
    """Tell."""
    return WORDS["{name}"]
'''


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncGenerator[LocalCloud, None]:
    """A project of one's own, with a tool and a function that is a tool."""
    for each in ("tools", "weather"):
        (tmp_path / each).mkdir()
    (tmp_path / "template.yaml").write_text(OWN)
    (tmp_path / "tools/_words.py").write_text("WORDS = {'first': 'one', 'second': 'two'}\n")
    (tmp_path / "tools/first.py").write_text(TOOL.format(name="first"))
    handler = 'import os\n\ndef handler(event, context):\n    return "sunny at " + os.environ["BASE_URL"]\n'
    (tmp_path / "weather/app.py").write_text(handler)
    log = Log(None, file=tmp_path / "log")
    async with LocalCloud(tmp_path / "template.yaml", reload=True, log=log) as cloud:
        yield cloud
    log.close()


async def answer(client: httpx2.AsyncClient, tool: str) -> str:
    """What the offline model says that the tool answered, or what the server says of the request."""
    body = {"model": "offline/demo", "input": f"[[call {tool} {{}}]]", "tools": [{"type": f"serverless:{tool}"}]}
    response = (await client.post("/responses", json=body)).json()
    return response["error"]["message"] if response.get("error") else json.dumps(response["output"])


def test_a_function_is_invoked_by_its_own_name_with_an_event_of_the_kit(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "weather").mkdir()
    (tmp_path / "template.yaml").write_text(OWN)
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "invoke"]
    for name in ("ApiFunction", "OpenResponses/ApiFunction"):
        words = [name, "--event", "events/health.json"]
        done = subprocess.run([*command, *words], cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.stdout.startswith('{"status":"ok"'), done.stderr


async def test_a_project_runs_with_its_tools_and_offers_one_that_is_added(cloud: LocalCloud, tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {cloud.api_key}"}
    async with httpx2.AsyncClient(
        base_url=cloud.base_url, headers=headers, timeout=PATIENCE, trust_env=False
    ) as client:
        assert "The tool first answered: one" in await answer(client, "first")
        assert f"sunny at {cloud.base_url}" in await answer(client, "weather")
        assert "The tool second answered" not in await answer(client, "second")
        (tmp_path / "tools/second.py").write_text(TOOL.format(name="second"))
        async with asyncio.timeout(PATIENCE):
            while "The tool second answered: two" not in await answer(client, "second"):
                await asyncio.sleep(0.1)
        background = {"model": "offline/demo", "input": "Hello", "background": True}
        made = (await client.post("/responses", json=background)).json()
        async with asyncio.timeout(PATIENCE):
            while (await client.get(f"/responses/{made['id']}")).json()["status"] != "completed":
                await asyncio.sleep(0.1)
