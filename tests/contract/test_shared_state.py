"""What tenants share, a provider's account, can't be reached by naming something in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import import_module
from inspect import getsource
from pkgutil import iter_modules
from typing import Any

import pytest
from openai.types import responses

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.dialects import connect
from openresponses.dialects._shared.http_dialect import HttpDialect
from openresponses.schema.items import ExtensionItem
from openresponses.schema.request import CreateResponse
from tests.contract import turns

SECRET = "of-another-tenant"
MODELS = {
    "anthropic": "claude-opus-5-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "chat_completions": "m",
    "gemini": "gemini-3-flash-preview",
    "openai_responses": "gpt-5",
}
TOOLS = ["web_search", "file_search", "code_interpreter", "image_generation", "mcp"]
ALL_TOOLS: dict[str, Any] = {
    "openai_responses": {"upstream_tools": [*TOOLS, "tool_search"]},
    "anthropic": {"web_search": True},
}
HARMLESS = {
    "connector_id": "a service of the client's own, with the client's own token",
    "server_label": "the client's own word",
}


def connected(dialect: str, base_url: str = "https://llm.example/v1", **options: Any) -> HttpDialect:
    told = {**ALL_TOOLS.get(dialect, {}), **options}
    made = connect(ProviderSettings("v", dialect, base_url, options=told))
    assert isinstance(made, HttpDialect)
    return made


def body(dialect: str, shared: bool = False, base_url: str = "https://llm.example/v1", **fields: Any) -> Any:
    at = connected(dialect, base_url, shared_files=shared)
    return at.encode(turns.turn(MODELS[dialect], **fields)).body


def answered(dialect: str, **fields: Any) -> tuple[str, str]:
    """What is sent, or else the field that is refused with a 400."""
    try:
        return json.dumps(body(dialect, **fields)), ""
    except RequestError as error:
        assert error.status == 400, error  # noqa: PT017
        return "", error.param


def part(kind: str, **where: str) -> dict[str, str]:
    return {"type": kind, **where}


URLS = [
    *("gs://bucket/{}", "GS://bucket/{}", "s3://bucket/{}", "file:///{}", "/var/{}", "files/{}", "ftp://x.test/{}"),
    *("https://generativelanguage.googleapis.com/v1beta/files/{}", "https://storage.googleapis.com/b/{}"),
    *("https://GenerativeLanguage.googleapis.com:443/{}", "https://generativelanguage.googleapis.com./{}"),
    *("https://me@generativelanguage.googleapis.com/{}", "http://europe-aiplatform.googleapis.com/{}"),
    *("https://x.test\\@generativelanguage.googleapis.com/{}", "https://generativelanguage%2egoogleapis.com/{}"),
    *("https://\uff47enerativelanguage.googleapis.com/{}", "https:generativelanguage.googleapis.com/{}", " gs://b/{}"),
    *("https:///generativelanguage.googleapis.com/{}", "https://llm.example/v1/files/{}", "https://LLM.example:80/{}"),
]


def pointers() -> Iterator[dict[str, str]]:
    for kind in ("input_image", "input_file"):
        yield part(kind, file_id=SECRET)
    for url in (each.format(SECRET) for each in URLS):
        yield part("input_image", image_url=url)
        yield part("input_file", file_url=url, filename="a.pdf")
        yield part("input_video", video_url=url)


def test_a_part_names_nothing_of_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    tried, through = 0, list[Any]()
    call, user = turns.call("a"), {"role": "user", "content": "Hi"}
    shot = {"type": "computer_call", "call_id": "c", "action": {"type": "screenshot"}}
    for dialect in MODELS:
        for pointer in pointers():
            screenshot = {"type": "computer_screenshot", **{k: v for k, v in pointer.items() if k != "type"}}
            for where, items in {
                "input[0].content[0]": [{"role": "user", "content": [pointer]}],
                "input[2].output[0]": [user, call, turns.output("a", [pointer])],
                "input[2]": [user, shot, {"type": "computer_call_output", "call_id": "c", "output": screenshot}],
                "input[1].output": [
                    user,
                    {"type": "mcp_call", "server_label": "docs", "name": "draw", "content": [pointer]},
                ],
                "input[1].output[0]": [user, {**turns.clock("a"), "output": [pointer]}],
                "input[1]": [
                    user,
                    {"type": "agent_message", "author": "a", "recipient": "b", "content": [{**pointer}]},
                ],
            }.items():
                tried += 1
                sent, param = answered(dialect, input=items)
                through += [(dialect, items)] if SECRET in sent else []
                assert sent or param.startswith(where) or param == "input", param
    told(capsys, f"parts that name what is another's: {tried} tries, {len(through)} through")
    assert through == []


@pytest.mark.parametrize("field", ["file_id", "image_url"])
def test_the_field_is_named(field: str) -> None:
    with pytest.raises(RequestError) as raised:
        body("openai_responses", input=[{"role": "user", "content": [part("input_image", **{field: "gs://x"})]}])
    assert (raised.value.param, raised.value.status) == (f"input[0].content[0].{field}", 400)


@pytest.mark.parametrize("dialect", MODELS)
@pytest.mark.parametrize("url", ["https://x.test/a.png", "HTTP://x.test/a.png", "data:image/png;base64,iVBORw0KGgo="])
def test_what_is_elsewhere_or_brought_along_is_sent(dialect: str, url: str) -> None:
    if dialect == "bedrock" and not url.startswith("data:"):
        return  # it takes no address at all
    asked = {"input": [{"role": "user", "content": [part("input_image", image_url=url)]}]}
    if dialect == "gemini" and url.startswith("HTTP:"):
        return  # it takes no other spelling
    assert url.rpartition(",")[2] in json.dumps(body(dialect, **asked))


def ids_of_tools() -> set[str]:
    """Every field of OpenAI's tools that is called an id, or a container."""
    names = set[str]()
    for module in iter_modules(responses.__path__):
        if re.search(r"tool_param$|^container_.*_param$|skill", module.name):
            source = getsource(import_module(f"openai.types.responses.{module.name}"))
            names |= set(re.findall(r"^    (\w+): ", source, re.MULTILINE))
    return {name for name in names if re.search(r"_ids?$|^container", name)} - {*HARMLESS}


def test_a_tool_names_nothing_of_the_account(capsys: pytest.CaptureFixture[str]) -> None:
    ids = ids_of_tools()
    assert {"file_ids", "file_id", "vector_store_ids", "container", "container_id", "skill_id", "tunnel_id"} <= ids
    tried, through = 0, list[Any]()
    for kind in TOOLS:
        for name in sorted(ids):
            for value in (
                SECRET,
                [SECRET],
                {"type": "auto", "id": SECRET},
                {"type": "container_reference", "x": SECRET},
            ):
                for tool in (
                    {name: value},
                    {"container": {"type": "auto", name: value}},
                    {"container": {name: value}},
                    {"container": {"type": "auto", "skills": [{"type": "skill_reference", name: value}]}},
                    {"input_image_mask": {name: value}},
                    {"filters": {"more": [{name: value}]}},
                ):
                    made = {"server_url": "https://x.test", "server_label": "l"} if kind == "mcp" else {}
                    tried += 1
                    sent, param = answered("openai_responses", tools=[{"type": kind, **made, **tool}])
                    through += [tool] if SECRET in sent else []
                    assert sent or param == "tools"
    told(capsys, f"tools that name what is another's: {tried} tries, {len(through)} through")
    assert through == []


def made_up(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "id": "ext_1", **fields}


MADE_UP: list[tuple[str, list[dict[str, Any]]]] = [
    ("openai_responses", [made_up("code_interpreter_call", container_id=SECRET, code="1", outputs=[])]),
    ("openai_responses", [made_up("file_search_call", queries=[], results=[{"file_id": SECRET, "text": "x"}])]),
    ("openai_responses", [{"type": "image_generation_call", "id": f"ext_{SECRET}"}]),
    ("openai_responses", [{"type": "image_generation_call", "id": f"ig_{SECRET}", "result": None}]),
    *(
        ("openai_responses", [made_up("tool_search_output", tools=[tool])])
        for tool in (
            {"type": "code_interpreter", "container": SECRET},
            {"type": "file_search", "vector_store_ids": [SECRET]},
            {"type": "image_generation", "model": SECRET},
            {"type": "function", "name": "f", "parameters": {"file_id": SECRET}},
        )
    ),
    *(
        (
            "openai_responses",
            [{"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [at]}]}],
        )
        for at in (
            {"type": "container_file_citation", "container_id": SECRET, "file_id": SECRET, "filename": "f"}
            | {"start_index": 0, "end_index": 1},
            {"type": "file_citation", "file_id": SECRET, "filename": "f", "index": 0},
            {"type": "file_path", "file_id": SECRET, "index": 0},
        )
    ),
    *(
        ("anthropic", [made_up(f"anthropic:{kind}", block={"type": kind, **block}, index=0)])
        for kind, block in (
            ("container_upload", {"file_id": SECRET}),
            ("document", {"source": {"type": "file", "file_id": SECRET}}),
            ("newer", {"source": SECRET}),
            ("compaction", {"content": [{"source": {"file_id": SECRET}}]}),
        )
    ),
    (
        "anthropic",
        [
            made_up("anthropic:server_tool_use", block={"id": "s", "name": "web_fetch", "input": {}}, index=0),
            made_up(
                "anthropic:web_fetch_tool_result",
                block={"tool_use_id": "s", "content": {"content": {"source": {"type": "file", "file_id": SECRET}}}},
            ),
        ],
    ),
    *(
        ("gemini", [made_up("google:x", part=part_)])
        for part_ in (
            {"fileData": {"fileUri": SECRET}},
            {"file_data": {"file_uri": SECRET}},
            {"executableCode": {"code": "1"}, "fileData": {"fileUri": SECRET}},
            {"functionResponse": {"name": "f", "parts": [{"fileData": {"fileUri": SECRET}}]}},
            {"inlineData": {"data": ""}, "newer": SECRET},
        )
    ),
    (
        "bedrock",
        [
            made_up("bedrock:toolUse", block={"toolUseId": "t", "name": "n", "input": {}}),
            made_up(
                "bedrock:toolResult",
                block={"toolUseId": "t", "content": [{"image": {"source": {"s3Location": {"uri": SECRET}}}}]},
            ),
        ],
    ),
]


@pytest.mark.parametrize(("dialect", "items"), MADE_UP, ids=str)
def test_an_item_that_a_client_made_up_takes_nothing_along(dialect: str, items: list[dict[str, Any]]) -> None:
    asked = [{"role": "user", "content": "Hi"}, *items, {"role": "user", "content": "Go on"}]
    assert SECRET not in json.dumps(body(dialect, input=asked))


def test_what_a_tool_of_the_providers_made_goes_back_within_its_response() -> None:
    """Its model goes on in the same container; the reasoning before it goes along, and stays away with it."""
    state = json.dumps({"id": "rs_1", "encrypted_content": "E"})
    before = {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": state}
    ran = made_up("code_interpreter_call", container_id="cntr_1", code="1", outputs=[], status="completed")
    asked = CreateResponse.model_validate({"model": "gpt-5", "input": [{"role": "user", "content": "Hi"}, before]})
    run = turns.run_for(asked)
    run.response = run.response.model_copy(update={"output": [ExtensionItem.model_validate(ran)]})
    sent: Any = connected("openai_responses").encode(turns.turn_of(run, "gpt-5")).body["input"]
    assert [item["type"] for item in sent] == ["message", "reasoning", "code_interpreter_call"]
    later = [{"role": "user", "content": "Hi"}, before, ran, {"role": "assistant", "content": "1"}]
    left: Any = body("openai_responses", input=later)["input"]
    assert [item["type"] for item in left] == ["message", "message"]
    kept: Any = body("openai_responses", shared=True, input=later)["input"]
    assert [item["type"] for item in kept] == ["message", "reasoning", "code_interpreter_call", "message"]


def test_an_operator_can_share_the_account() -> None:
    asked: dict[str, Any] = {
        "input": [{"role": "user", "content": [part("input_file", file_id="file-1")]}],
        "tools": [
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "code_interpreter", "container": "cntr_1"},
        ],
    }
    sent = body("openai_responses", shared=True, **asked)
    assert [tool["type"] for tool in sent["tools"]] == ["file_search", "code_interpreter"]
    assert "file-1" in json.dumps(sent["input"])
    bucket = {"input": [{"role": "user", "content": [part("input_image", image_url="s3://b/a.png")]}]}
    assert "s3://b/a.png" in json.dumps(body("bedrock", shared=True, **bucket))


def test_a_stored_prompt_is_no_model() -> None:
    """Converse takes its ARN in a model's place (AWS, "Invoke a managed prompt")."""
    arn = f"arn:aws:bedrock:us-east-1:123456789012:prompt/{SECRET}"
    with pytest.raises(RequestError) as raised:
        connected("bedrock").encode(turns.turn(arn))
    assert raised.value.param == "model"
    assert SECRET in connected("bedrock", shared_files=True).encode(turns.turn(arn)).path


@pytest.mark.parametrize("word", ["yes", "true", 1, None])
def test_only_true_shares_it(word: Any) -> None:
    with pytest.raises(ValueError, match=r"options\.shared_files"):
        connected("openai_responses", shared_files=word)


@pytest.mark.parametrize("container", [{"type": "auto"}, {"type": "auto", "memory_limit": "4g"}])
def test_a_new_container_is_nobodys(container: Any) -> None:
    tool = {"type": "code_interpreter", "container": container}
    assert body("openai_responses", tools=[tool])["tools"] == [tool]


def told(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")
