"""`openresponses apply`, against a local cloud of its own: what the file says is there afterwards, and nothing else is
touched. Killed, run twice at once, or refused by AWS, it goes on when it is run again.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openresponses_dev.manage.deployment import Deployment, Where, deployment_at
from openresponses_dev.manage.problems import Problem
from openresponses_dev.manage.project.difference import difference
from openresponses_dev.manage.project.doing import do
from openresponses_dev.manage.project.entries import SECTIONS
from openresponses_dev.manage.project.reading import read_file
from openresponses_dev.manage.project.state import state_of
from tests.manage.conftest import OPENRESPONSES, TENANTS, Aws, Ran, run
from tests.manage.project_examples import FILES, VARIABLES, WHOLE
from tests.manage.test_terminal import AT_A_TERMINAL, shown_until

pytestmark = pytest.mark.xdist_group("manage")
NOTHING = "".join(f"[{section}]\n" for section in SECTIONS)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    (tmp_path / "openresponses.toml").write_text(WHOLE)
    return tmp_path / "openresponses.toml"


def apply(file: Path, deployment: Deployment, *options: str, variables: Mapping[str, str] = VARIABLES) -> Ran:
    done = run("apply", str(file), *options, *deployment.flags.split(), env=variables)
    secrets = [each for each in variables.values() if each in done.out + done.err]
    assert secrets == [], "no secret is shown"
    return done


def found(deployment: Deployment) -> dict[str, object]:
    """All that is set up, by its place. A prompt's and a key's tenant comes first."""
    state = state_of(deployment, SECTIONS, TENANTS)
    assert state.others == []
    return {f"{entry.tenant} {entry}".strip(): there.document for entry, there in state.found.items()}


def test_an_empty_deployment_gets_what_the_file_says_and_then_there_is_nothing_to_change(
    deployment: Deployment, project: Path
) -> None:
    planned = apply(project, deployment, "--dry-run")
    assert (planned.status, planned.err) == (3, "")
    assert "+ providers.openai\n" in planned.out
    assert "    + api_key: (secret)\n" in planned.out
    assert '    + models: ["fast", "openai/*"]\n' in planned.out
    assert planned.out.endswith(f"13 to be added in {deployment.title}\n")
    assert found(deployment) == {}, "nothing is done"
    done = apply(project, deployment)
    assert done.status == 0, done.err
    keys = dict(line.split() for line in done.out.splitlines())
    assert keys.keys() == {"app", "partner"}, "standard output is the new keys alone"
    assert f"13 added {deployment.soon}" in done.err
    for token in keys.values():
        asked = httpx2.get(f"{deployment.base_url}/models", headers={"Authorization": f"Bearer {token}"})
        assert asked.status_code == 200

    listed = {words: run(*words.split(), *deployment.flags.split()).out for words in (
        "providers list", "models list", "mcp list", "tools list", "prompts list --tenant acme", "keys list"
    )}  # fmt: skip
    for words, texts in {
        "providers list": ("openai", "gateway", "http://127.0.0.1:9/v1"),
        "models list": ("openai/gpt-5-mini, then mine/small", "gpt-5.1"),
        "mcp list": ("https://mcp.example.com/mcp", "Authorization", "never", "search"),
        "tools list": ("weather", "Brave"),
        "prompts list --tenant acme": ("welcome",),
        "keys list": ("app", "partner", "fast openai/*", "summary", "2199-06-30", "2.5 USD/day, 3 at once"),
    }.items():
        assert [text for text in texts if text not in listed[words]] == [], words

    again, planned = apply(project, deployment), apply(project, deployment, "--dry-run")
    assert (again.status, again.out) == (0, f"nothing to change in {deployment.title}\n")
    assert (planned.status, planned.out) == (0, f"nothing to change in {deployment.title}\n")
    assert json.loads(apply(project, deployment, "--json").out) == {"data": [], "keys": []}


def test_what_changes_is_changed_in_place_and_what_is_gone_is_removed_after_a_yes(
    deployment: Deployment, project: Path
) -> None:
    token = dict(line.split() for line in apply(project, deployment).out.splitlines())["app"]
    before = found(deployment)
    edited = WHOLE.replace('"fast", "openai/*"', '"openai/*"').replace("usd_per_day = 2.5", "tokens_per_minute = 9")
    edited = edited.replace("[keys.partner]\ntenant", "[keys.other]\ntenant").replace("$$5", "$$6")
    edited = edited.replace("[tools.weather]\nfunction", "[tools.rain]\nfunction").replace(
        "input = 1.25", "input = 1.5"
    )
    project.write_text(edited)
    rotated = {**VARIABLES, "MINE": "planted-rotated"}
    refused = apply(project, deployment, variables=rotated)
    assert refused.status == 1
    assert "2 would be removed" in refused.err
    assert "try: --yes, or run this in a terminal" in refused.err
    assert found(deployment) == before, "nothing is done"
    done = apply(project, deployment, "--yes", "--json", variables=rotated)
    told = json.loads(done.out)
    assert [(each["action"], f"{each['section']}.{each['name']}") for each in told["data"]] == [
        ("change", "providers.mine"),
        ("add", "tools.rain"),
        ("change", "prompts.greet"),
        ("change", "keys.app"),
        ("add", "keys.other"),
        ("remove", "keys.partner"),
        ("remove", "tools.weather"),
    ]
    assert told["data"][0]["fields"] == [
        {"field": "headers.Authorization", "before": "(secret)", "after": "(secret)"},
        {"field": 'prices."*".input', "before": "1.25", "after": "1.5"},
    ]
    assert [(each["name"], each["tenant"], each["key"][:3]) for each in told["keys"]] == [("other", "acme", "or_")]
    assert "2 added, 3 changed, 2 removed in the local cloud" in done.err
    assert "when the gateway asks again (AuthorizerSeconds)" in done.err
    shown = run("keys", "list", *deployment.flags.split()).rows()
    (changed,) = [row for row in shown if row[0] == token.split("_")[1]]
    assert changed[2:5] == ["app", "openai/*", "docs"], "it is the same key"
    assert changed[-1] == "9 tokens/minute, 3 at once"
    assert {row[-2] for row in shown if row[2] == "partner"} == {"revoked"}
    assert apply(project, deployment, variables=rotated).out.startswith("nothing to change")


def test_a_section_that_the_file_has_not_is_left_alone(deployment: Deployment, project: Path) -> None:
    assert apply(project, deployment).status == 0
    before = found(deployment)
    project.write_text('[aliases]\nfast = ["openia/x"]\n')
    assert apply(project, deployment, "--yes").status == 0
    left = {place: each for place, each in before.items() if not place.startswith("aliases.")}
    assert found(deployment) == {**left, "aliases.fast": {"targets": ["openia/x"]}}


def test_names_that_nothing_has_are_warned_of(deployment: Deployment, project: Path) -> None:
    edited = WHOLE.replace('["openai/gpt-5-mini", ', '["openia/gpt-5-mini", ')
    project.write_text(edited.replace('"fast", "openai/*"]', '"fats", "opnai/*", "*", "mine/*", "gpt-5.1"]'))
    assert apply(project, deployment).err.splitlines()[:3] == [
        "warning: aliases.fast: no provider openia is configured: did you mean openai?",
        "warning: keys.app: no alias or model fats is configured: did you mean fast?",
        "warning: keys.app: no provider opnai is configured: did you mean openai?",
    ]
    project.write_text('[keys.app]\nmodels = ["fast", "openai/*"]\n')
    assert "warning" not in apply(project, deployment, "--yes").err, "what the deployment has is known"


def test_a_variable_that_is_missing_changes_nothing(deployment: Deployment, project: Path) -> None:
    done = apply(project, deployment, variables={"MINE": "m-m-m", "DOCS_TOKEN": "d-d-d"})
    assert done.status == 1
    assert done.err.splitlines() == [
        "openresponses: openresponses.toml: 2 mistakes",
        "  providers.openai.api_key: $OPENAI_API_KEY is set neither in the environment nor in .env",
        "  tools.web_search.key: $BRAVE_API_KEY is set neither in the environment nor in .env",
    ]
    assert found(deployment) == {}
    (project.parent / ".env").write_text("OPENAI_API_KEY=sk-from-the-file\nBRAVE_API_KEY=b-b-b\n")
    assert apply(project, deployment, variables={"MINE": "m-m-m", "DOCS_TOKEN": "d-d-d"}).status == 0
    assert found(deployment)["providers.openai"] == {
        "dialect": "openai_responses",
        "base_url": "https://api.openai.com/v1",
        "api_key": "sk-from-the-file",
        "models": ["gpt-5-mini"],
    }


def test_the_file_is_found_from_below_and_a_folder_without_one_is_told(
    deployment: Deployment, project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent / "prompts")
    words = ("apply", "--dry-run", *deployment.flags.split())
    assert run(*words, env=VARIABLES).status == 3
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    outside = run(*words)
    assert outside.status == 1
    assert "there is no openresponses.toml here or in a folder above" in outside.err
    assert "openresponses init DIR" in outside.err


def test_keys_of_one_name_become_one_and_a_dead_one_is_made_anew(deployment: Deployment, project: Path) -> None:
    flags = deployment.flags.split()
    older, newer = (run("keys", "create", "--tenant", "acme", "--name", "app", *flags).out.split("_")[1] for _ in "ab")
    project.write_text('[keys.app]\ntenant = "acme"\n')
    done = apply(project, deployment, "--yes")
    assert "of tenant acme" in done.err
    states = {row[0]: row[-2] for row in run("keys", "list", *flags).rows() if row[0] in (older, newer)}
    assert sorted(states.values()) == ["revoked", "valid"]
    for key in (older, newer):
        run("keys", "revoke", key, *flags)
    made = apply(project, deployment).out.split()[1]
    run("keys", "revoke", made, *flags)
    assert apply(project, deployment).out.split()[1] != made
    project.write_text('[keys.app]\ntenant = "acme"\nexpires = 2020-01-01\n')
    assert "- keys.app of tenant acme" in apply(project, deployment, "--dry-run").out, "it ended long ago"


def test_a_person_is_asked_before_anything_is_removed(deployment: Deployment, project: Path) -> None:
    assert apply(project, deployment).status == 0
    before = found(deployment)
    project.write_text("[aliases]\n")
    flags = deployment.flags.split()
    command = [sys.executable, "-c", AT_A_TERMINAL, "-m", "openresponses_dev.cli.cli", "apply", str(project), *flags]

    def at_a_terminal(answer: bytes, meanwhile: tuple[str, ...] = ()) -> str:
        terminal, slave = pty.openpty()
        with subprocess.Popen(command, stdin=slave):
            os.close(slave)
            shown = shown_until(terminal, "? [y/N] ")
            if meanwhile:
                assert run(*meanwhile, *flags).status == 0
            os.write(terminal, answer)
            shown += shown_until(terminal, "nothing is done" if meanwhile or answer == b"\n" else "in force within")
        os.close(terminal)
        return shown

    assert "- aliases.fast" in at_a_terminal(b"\n")
    assert found(deployment) == before
    assert "was changed meanwhile" in at_a_terminal(b"y\n", ("models", "alias", "fast", "offline/demo"))
    assert found(deployment)["aliases.fast"] == {"targets": ["offline/demo"]}
    assert "2 removed" in at_a_terminal(b"y\n")
    assert [place for place in found(deployment) if place.startswith("aliases.")] == []


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (("models", "alias", "fast", "offline/demo"), "aliases.fast"),
        (("models", "remove", "fast"), "aliases.fast"),
        (("models", "alias", "new", "offline/demo"), "aliases.new"),
        (("tenants", "limit", "acme", "--concurrent", "7"), "tenants.acme"),
        (("prompts", "remove", "greet", "--tenant", "default"), "prompts.greet"),
        (("keys", "create", "--tenant", "default", "--name", "new"), None),
    ],
)
def test_a_change_of_somebody_else_is_not_written_over(
    deployment: Deployment, project: Path, words: tuple[str, ...], place: str | None
) -> None:
    assert apply(project, deployment).status == 0
    edited = WHOLE.replace("mine/small", "mine/large").replace('"100"', '"200"').replace("$$5", "$$6")
    project.write_text(edited.replace("[aliases]\n", '[aliases]\nnew = ["mine/new"]\n'))
    now = time.time()
    wanted = read_file(project, VARIABLES, now)
    changes = difference(state_of(deployment, wanted.sections, ()), wanted, now)
    assert [str(each.entry) for each in changes] == ["aliases.new", "aliases.fast", "prompts.greet", "tenants.acme"]
    assert run(*words, *deployment.flags.split()).status == 0
    theirs = found(deployment)
    if place is None:
        return do(deployment, changes, lambda change, token: None)
    with pytest.raises(Problem, match=f"^{place} was changed by somebody else meanwhile$") as raised:
        do(deployment, changes, lambda change, token: None)
    assert raised.value.mend == "run this again: it shows what is left"
    assert [each for each in found(deployment).items() if place in each[0]] == [
        each for each in theirs.items() if place in each[0]
    ]
    return None


def test_what_somebody_else_did_likewise_is_no_failure(deployment: Deployment, project: Path) -> None:
    project.write_text('[aliases]\nfast = ["offline/demo"]\n')
    wanted = read_file(project, {}, time.time())
    changes = difference(state_of(deployment, wanted.sections, ()), wanted, time.time())
    for _ in range(2):
        do(deployment, changes, lambda change, token: None)
    assert found(deployment) == {"aliases.fast": {"targets": ["offline/demo"]}}


def test_two_at_once_do_no_harm(deployment: Deployment, project: Path) -> None:
    project.write_text("".join(f"[keys.k{n}]\nmodels = ['m{n}']\n" for n in range(4)))
    command = [OPENRESPONSES, "apply", str(project), *deployment.flags.split()]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    made = [line.split()[0] for out, _ in told for line in out.splitlines() if " or_" in line]
    for process, (_, error) in zip(both, told, strict=True):
        assert process.returncode == 0 or "was changed by somebody else meanwhile" in error, error
    assert len(made) == len(set(made)), "no key is made twice"
    assert apply(project, deployment).status == 0
    assert apply(project, deployment).out.startswith("nothing to change")
    assert found(deployment) == {f"default keys.k{n}": {"models": [f"m{n}"]} for n in range(4)}


def test_killed_after_any_change_it_goes_on_when_it_is_run_again(deployment: Deployment, project: Path) -> None:
    wanted = read_file(project, VARIABLES, time.time())
    expected = len(wanted.wishes)

    class Killed(BaseException):
        """No handler of the product's sees it."""

    def die(*_: object) -> None:
        raise Killed

    for left in range(expected, 0, -1):
        changes = difference(state_of(deployment, wanted.sections, TENANTS), wanted, time.time())
        assert len(changes) == left
        with pytest.raises(Killed):
            do(deployment, changes, die)
    assert apply(project, deployment).out.startswith("nothing to change")


def test_a_key_that_was_printed_before_a_kill_is_there(deployment: Deployment, project: Path) -> None:
    project.write_text("".join(f"[keys.k{n}]\n" for n in range(30)))
    command = [OPENRESPONSES, "apply", str(project), *deployment.flags.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        name, token = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
        printed = [name, *(line.split()[0] for line in process.stdout)]
    again = apply(project, deployment)
    assert not {*printed} & {line.split()[0] for line in again.out.splitlines()}
    assert len(found(deployment)) == 30
    asked = httpx2.get(f"{deployment.base_url}/models", headers={"Authorization": f"Bearer {token}"})
    assert asked.status_code == 200


def test_on_aws_what_was_done_stays_and_what_was_not_is_named(aws: Aws, project: Path) -> None:
    project.write_text("[tenants.acme]\nconcurrent = 3\n[keys.app]\n[keys.other]\n")
    refused = aws.run("apply", str(project), user="reader")
    assert refused.status == 1
    assert "1 added in stack openresponses in eu-west-1, in force within 30 s" in refused.err
    assert "openresponses: keys.app: you may not dynamodb:PutItem" in refused.err
    assert "  not done either: keys.other: a new key" in refused.err
    done = aws.run("apply", str(project))
    assert (done.status, [line.split()[0] for line in done.out.splitlines()]) == (0, ["app", "other"])
    assert aws.run("apply", str(project)).out == "nothing to change in stack openresponses in eu-west-1\n"
    project.write_text("[tenants]\n[keys]\n[providers.ollama]\n")
    emptied = aws.run("apply", str(project), "--yes")
    assert emptied.status == 0
    assert "warning: providers.ollama: http://127.0.0.1:11434/v1 is on this machine or network" in emptied.err
    assert aws.run("providers", "remove", "ollama").status == 0


CHOICES = {
    "providers": {
        name: st.builds(lambda n: {"preset": "ollama", "base_url": "http://x/v1", "retries": n}, st.integers(3, 5))
        for name in ("one", "two")
    },
    "aliases": {name: st.lists(st.sampled_from(["one/a", "two/b"]), min_size=1, max_size=2) for name in ("x", "y.z")},
    "prompts": {
        name: st.builds(
            lambda tenant, text: {"tenant": tenant, "instructions": text},
            st.sampled_from(TENANTS),
            st.sampled_from(["Hello {{a}}", "Good-bye"]),
        )
        for name in ("p", "q")
    },
    "mcp": {"docs": st.builds(lambda path: {"url": f"https://m.example/{path}"}, st.sampled_from("ab"))},
    "tools": {"tool": st.builds(lambda name: {"function": name}, st.sampled_from("fg"))},
    "keys": {
        name: st.builds(
            lambda tenant, **said: {"tenant": tenant, **{field: each for field, each in said.items() if each}},
            st.sampled_from(TENANTS),
            models=st.sampled_from([[], ["x"], ["one/*"]]),
            reasoning=st.sampled_from(["", "summary"]),
            usd_per_day=st.sampled_from(["", "1.5"]),
        )
        for name in ("k", "l")
    },
    "tenants": {"acme": st.builds(lambda most: {"concurrent": most}, st.integers(1, 3))},
}  # fmt: skip
EDITS = st.fixed_dictionaries({}, optional={
    section: st.fixed_dictionaries({}, optional=entries) for section, entries in CHOICES.items()
})  # fmt: skip


def toml_of(edit: Mapping[str, Mapping[str, object]]) -> str:
    def value(each: object) -> str:
        if isinstance(each, dict):
            return "{" + ", ".join(f"{name} = {value(inner)}" for name, inner in each.items()) + "}"
        return json.dumps(each)

    lines: list[str] = []
    for section, entries in edit.items():
        lines += [f"[{section}]", *(f'"{name}" = {value(each)}' for name, each in entries.items())]
    return "\n".join(lines)


def expected(section: str, name: str, entry: object) -> tuple[str, object]:
    place = f'{section}."{name}"' if "." in name else f"{section}.{name}"
    if isinstance(entry, list):
        return place, {"targets": entry}
    assert isinstance(entry, dict)
    document = {field: each for field, each in entry.items() if field not in ("tenant", "preset")}
    if section == "providers":
        document |= {"dialect": "chat_completions", "options": {"vendor": "ollama"}}
    return f"{entry['tenant']} {place}" if "tenant" in entry else place, document


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(EDITS, min_size=1, max_size=3))
def test_whatever_is_edited_is_there_and_all_else_is_as_it_was(
    origin: str, tmp_path: Path, edits: list[dict[str, dict[str, object]]]
) -> None:
    deployment, file = deployment_at(Where(local=origin)), tmp_path / "openresponses.toml"
    model: dict[str, dict[str, object]] = {}
    for edit in ({section: {} for section in SECTIONS}, *edits):
        file.write_text(toml_of(edit))
        model |= edit
        for round_trip in range(2):
            wanted = read_file(file, {}, time.time())
            changes = difference(state_of(deployment, wanted.sections, TENANTS), wanted, time.time())
            assert not changes or round_trip == 0, "a second time there is nothing to change"
            do(deployment, changes, lambda change, token: None)
        assert found(deployment) == dict(
            expected(section, name, entry) for section, entries in model.items() for name, entry in entries.items()
        )


def test_an_address_that_is_replaced_is_shown_without_its_path_and_an_ended_key_is_told(
    deployment: Deployment, tmp_path: Path
) -> None:
    """Some MCP servers are let in by a secret in the path: nobody knows whether it was in the environment."""
    file, variables = tmp_path / "openresponses.toml", {"MCP_URL": "https://mcp.example.com/s/planted-path/mcp"}
    file.write_text('[mcp.docs]\nurl = "$MCP_URL"\n')
    assert apply(file, deployment, variables=variables).status == 0
    file.write_text('[mcp.docs]\nurl = "https://docs.example.com/mcp"\n[keys.old]\nexpires = 2020-01-01\n')
    planned = apply(file, deployment, "--dry-run", variables={"ANY": "planted-path"})
    assert planned.status == 3
    assert '~ url: "https://mcp.example.com (secret)" -> "https://docs.example.com/mcp"' in planned.out
    assert "warning: keys.old: it has ended" in planned.err
