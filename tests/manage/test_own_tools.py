"""`openresponses tools add`, `list` and `test`: files of a project, and Lambda functions of a deployment."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.manage.conftest import Aws, Cloud, run

pytestmark = pytest.mark.xdist_group("manage")
PREFIX = "openresponses_tool_"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:weather:live"
BROKEN = {
    "untyped": ("def untyped(word):\n    return word\n", "TypeError at tools/untyped.py:1"),
    "gone": ("\nimport not_there\n", "ModuleNotFoundError at tools/gone.py:2"),
    "slip": ("def slip(:\n", "SyntaxError at tools/slip.py:1"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "openresponses.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_begun_tried_and_listed(project: Path, cloud: Cloud) -> None:
    added = run("tools", "add", "weather")
    file = project / "tools" / "weather.py"
    assert added.out.splitlines() == [
        f"{file} is a tool now: write what it does",
        """try it:  openresponses tools test weather '{"text": "hello"}'""",
    ]
    tried = run("tools", "test", "weather", '{"text": "hello"}')
    assert (tried.status, tried.out) == (0, "hello\n")
    wrong = run("tools", "test", "weather", '{"word": 1}')
    assert wrong.status == 1
    assert wrong.out.startswith("Wrong arguments for weather. text: Field required")
    refused = run("tools", "test", "weather", '{"text": ""}')
    assert (refused.status, refused.out) == (1, "Give a text.\n")
    assert f"{file}:11 raised ValueError" in refused.err
    again = run("tools", "add", "weather")
    assert "is there already, and stays as it is" in again.err
    (row,) = [each for each in listed(cloud) if each["name"] == "weather"]
    assert (row["type"], row["kind"], row["run_by"], row["own"]) == ("serverless:weather", "file", str(file), True)
    assert row["parameters"]["required"] == ["text"]


def listed(cloud: Cloud) -> list[dict[str, Any]]:
    done = cloud.run("tools", "list", "--json")
    assert done.status == 0, done.err
    return json.loads(done.out)["data"]


def test_a_file_that_can_not_be_a_tool_is_listed_with_the_line_that_is_wrong(project: Path, cloud: Cloud) -> None:
    (project / "tools").mkdir()
    for name, (text, _) in BROKEN.items():
        (project / "tools" / f"{name}.py").write_text(text)
    (project / "tools" / "boom.py").write_text('def boom(key: int) -> int:\n    """Explode."""\n    return {}[key]\n')
    errors = {str(each["name"]): str(each["error"]) for each in listed(cloud) if each["error"]}
    assert errors.keys() == BROKEN.keys()
    for name, (_, place) in BROKEN.items():
        assert place in errors[name]
        tried = run("tools", "test", name)
        assert (tried.status, place in tried.err) == (1, True)
    raised = run("tools", "test", "boom", '{"key": 1}')
    assert (raised.status, raised.out) == (1, "boom failed: KeyError: 1\n")
    assert f'File "{project / "tools" / "boom.py"}", line 3, in boom' in raised.err
    assert "asyncio" not in raised.err
    assert "did you mean boom?" in cloud.run("tools", "test", "bom").err
    assert not list(project.rglob("__pycache__"))


def test_what_a_file_prints_and_a_call_that_hangs_are_in_nobody_s_way(project: Path, cloud: Cloud) -> None:
    (project / "tools").mkdir()
    (project / "tools" / "prints.py").write_text(
        'print("imported")\n\n\ndef prints(a: int, b: str = "z") -> dict:\n'
        '    """Print."""\n    print("called")\n    return {"a": a, "b": b}\n'
    )
    (project / "tools" / "hangs.py").write_text(
        'import time\n\nTIMEOUT = 0.1\n\n\ndef hangs() -> None:\n    """Hang."""\n    time.sleep(60)\n'
    )
    tried = run("tools", "test", "prints", "-", stdin='{"a": 1}')
    assert (tried.status, tried.out) == (0, '{"a":1,"b":"z"}\n')
    assert tried.err.startswith("imported\ncalled\nthe call took ")
    assert {each["name"] for each in listed(cloud)} >= {"prints", "hangs"}
    begun = time.monotonic()
    given_up = run("tools", "test", "hangs")
    assert (given_up.status, given_up.out) == (1, "hangs took longer than 0.1 seconds and was given up.\n")
    assert time.monotonic() - begun < 30
    odd = run("tools", "test", "prints", "--lokal")
    assert (odd.status, odd.err.splitlines()[0]) == (1, "openresponses: --lokal is no option, and no JSON")


def test_an_interrupt_ends_a_command_without_a_traceback(project: Path) -> None:
    (project / "tools").mkdir()
    (project / "tools" / "stops.py").write_text("raise KeyboardInterrupt\n")
    done = run("tools", "test", "stops")
    assert (done.status, done.out, done.err) == (130, "", "")


def test_a_function_of_the_project_s_template_is_told_from_a_name_that_nobody_has(project: Path) -> None:
    (project / "template.yaml").write_text("Resources:\n  Tool:\n    Name: !Sub /openresponses/x/tools/weather\n")
    env = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    found, unknown = (run("tools", "test", name, env=env).err for name in ("weather", "whether"))
    assert "weather is a Lambda function of" in found
    assert "try: openresponses dev, and then openresponses tools test weather --local; or --stack NAME" in found
    assert "no file here is a tool whether" in unknown


@pytest.mark.parametrize(
    ("words", "why", "mend"),
    [
        (("two words",), "is no name of a tool", ""),
        (("by-hand",), "a file's tool is a function of Python", "openresponses tools add by_hand"),
        (("slow", "--timeout", "3"), "only a Lambda function is described by options", "--function FUNCTION"),
        (("slow", "--function", "f", "--timeout", "301"), "it is 300 seconds at most", "--answers later"),
        (("odd", "--function", "f", "--parameters", "none.json"), "none.json", "a JSON schema such as"),
    ],
)
def test_what_can_not_be_a_tool_is_not_added(project: Path, words: tuple[str, ...], why: str, mend: str) -> None:
    done = run("tools", "add", *words)
    assert done.status == 1
    assert why in done.err
    assert mend in done.err
    assert not (project / "tools").exists()


def test_outside_a_project_no_file_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("tools", "add", "weather")
    assert (done.status, done.err.splitlines()[-1]) == (1, "  try: openresponses init DIR")
    assert run("tools", "test", "calculator", '{"expression": "15 * 37"}').out == "555\n"


def test_a_lambda_function_becomes_a_tool_and_is_invoked(cloud: Cloud, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}')
    words = ("tools", "add", "health", "--function", "ApiFunction", "--description", "Ask it.", "--timeout", "20")
    added = cloud.run(*words, "--parameters", str(schema))
    assert added.status == 0, added.err
    assert f"try it:  openresponses tools test health {cloud.flags}" in added.out
    assert "is there" not in added.err
    (row,) = [each for each in listed(cloud) if each["name"] == "health"]
    assert (row["kind"], row["run_by"], row["timeout"], row["answers"]) == ("lambda", "ApiFunction", 20.0, "now")
    wrong = cloud.run("tools", "test", "health", '{"name": 1}')
    assert wrong.out == "Wrong arguments for health: name must be of type string. It takes name.\n"
    again = cloud.run(*words)
    assert f"try: openresponses tools remove health {cloud.flags}" in again.err
    assert cloud.run("tools", "remove", "health").status == 0


def test_a_tool_that_answers_later_is_begun_with_a_token_that_nobody_can_answer(cloud: Cloud) -> None:
    words = ("tools", "add", "days", "--function", "ApiFunction", "--answers", "later", "--timeout", "86400")
    assert cloud.run(*words).status == 0
    tried = cloud.run("tools", "test", "days")
    assert cloud.run("tools", "remove", "days").status == 0
    assert "the task token that it is given is a made-up one" in tried.err
    assert (tried.status, tried.out.partition(":")[0]) == (1, "The tool failed")


def test_a_function_that_the_server_may_not_invoke_is_named(aws: Aws) -> None:
    for number, (function, warned) in enumerate({"weather": True, PREFIX + "weather": False, ARN: True}.items()):
        added = aws.run("tools", "add", f"tool{number}", "--function", function)
        assert added.status == 0, added.err
        assert ("the server may not invoke weather, only functions whose names begin with" in added.err) == warned
        assert aws.run("tools", "remove", f"tool{number}").status == 0
