"""The template as cfn-lint expands it, with each kind of value of AllowedOrigins. cfn-lint comes with the SAM CLI.

`sam validate --lint` reads the defaults alone. Both expand the template first, as a deploy does.
"""

import re
import subprocess
from pathlib import Path

import pytest

from tests.template.reading import ROOT

pytestmark = [pytest.mark.artifact, pytest.mark.timeout(300)]


def faults(origins: str, folder: Path) -> list[str]:
    """What cfn-lint says of the template if these were its origins; it holds them to the parameter's pattern, too."""
    text, count = re.subn(
        r"(?<=\n  AllowedOrigins:\n    Type: String\n    Default: )''",
        lambda _: f"'{origins}'",
        (ROOT / "template.yaml").read_text(),
    )
    assert count == 1
    path = folder / "template.yaml"
    path.write_text(text)
    (sam_cli,) = re.findall(r"^SAM_CLI=(\S+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    command = ["uv", "tool", "run", "--from", sam_cli, "cfn-lint", "--format", "parseable", "--template", path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()


@pytest.mark.parametrize(
    "origins", ["", "*", "https://a.example.com", "https://a.example.com,http://localhost:5173"], ids=repr
)
def test_the_expanded_template_has_no_fault_whatever_the_origins(origins: str, tmp_path: Path) -> None:
    assert faults(origins, tmp_path) == []


def test_origins_that_are_none_are_a_fault(tmp_path: Path) -> None:
    (fault,) = faults("https://a.example.com/page", tmp_path)
    assert "E2015" in fault
