"""What goes to Bedrock for what is asked: tables of requests and the ConverseStream bodies made of them."""

import base64
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter
from types_boto3_bedrock_runtime.type_defs import ConverseStreamRequestTypeDef

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect
from openresponses.dialects._shared.naming import Naming
from openresponses.dialects.bedrock.messages import call_ids
from openresponses.dialects.bedrock.models import Traits, traits_of
from openresponses.dialects.bedrock.thinking import kept, restored
from tests.contract import turns
from tests.contract.turns import encode
from tests.fakes.bedrock_rules import check
from tests.fakes.bedrock_shapes import as_parameters, operation, problems
from tests.fakes.wire import Refused, Rules, sign

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "global.anthropic.claude-opus-4-6-v1"
NEWEST = "global.anthropic.claude-opus-5-5"
NOVA = "us.amazon.nova-2-lite-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
KIMI = "moonshotai.kimi-k2.5"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(b"%PDF-1.7").decode()
USER = {"role": "user", "content": [{"text": "Hi"}]}
POINT = {"cachePoint": {"type": "default"}}
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
LOOK_SPEC = {"name": "look", "inputSchema": {"json": LOOK["parameters"]}}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FORMAT = {"format": {"type": "json_schema", "name": "number", "schema": SCHEMA, "description": "A number"}}
OFF: dict[str, Any] = {"cache": "off"}
SDK_TYPES = TypeAdapter(
    list[ConverseStreamRequestTypeDef], config=ConfigDict(arbitrary_types_allowed=True, extra="forbid")
)


def turn(model: str = SONNET, **fields: Any) -> Turn:
    return turns.turn(model, **fields)


def settings(**options: Any) -> ProviderSettings:
    return ProviderSettings(name="v", dialect="bedrock", options=options)


def sent(model: str = SONNET, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body, which the service's published model allows, and its SDK's types."""
    body = encode(turn(model, **fields), settings(**{**OFF, **(options or {})}))
    known = dict(body)
    assert problems(known, model) == []
    if "anthropic." in model:
        check({}, model, known, Rules())
    parameters = as_parameters(operation().input_shape, {"modelId": model, **known})
    SDK_TYPES.validate_python([parameters])
    return body


def said(*items: Any, model: str = SONNET, **fields: Any) -> list[dict[str, Any]]:
    return sent(model, input=list(items), **fields)["messages"]


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": p} if isinstance(p, str) else p for p in parts]}


def call(call_id: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def output(call_id: str, of: Any = "seen") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": of}


def reasoning(text: str, signature: str | None = None) -> dict[str, Any]:
    block: Any = {"reasoningText": {"text": text, "signature": signature}}
    return {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "altered"}],
        "encrypted_content": kept(block) if signature else None,
    }


def use(call_id: str, name: str = "look", given: Any = None) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": given or {}}}


def result(call_id: str, *content: Any, **more: Any) -> dict[str, Any]:
    return {"toolResult": {"toolUseId": call_id, "content": [*(content or [{"text": "seen"}])], **more}}


def image(url: str = f"data:image/png;base64,{PNG}") -> dict[str, Any]:
    return {"type": "input_image", "image_url": url}


def file(**fields: Any) -> dict[str, Any]:
    return {"type": "input_file", **fields}


IMAGE = {"image": {"format": "png", "source": {"bytes": PNG}}}


def document(name: str, form: str = "pdf", data: str = PDF) -> dict[str, Any]:
    return {"document": {"name": name, "format": form, "source": {"bytes": data}}}


def test_the_least_that_is_sent() -> None:
    assert sent() == {"messages": [USER]}


KNOBS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (SONNET, {"max_output_tokens": 99}, {"inferenceConfig": {"maxTokens": 99}}),
    (SONNET, {"temperature": 0.5}, {"inferenceConfig": {"temperature": 0.5}}),
    (SONNET, {"temperature": 1.7}, {"inferenceConfig": {"temperature": 1.0}}),
    (SONNET, {"top_p": 0.5}, {"inferenceConfig": {"topP": 0.5}}),
    (SONNET, {"temperature": 0.5, "top_p": 0.5}, {"inferenceConfig": {"temperature": 0.5}}),
    (NOVA, {"temperature": 0.5, "top_p": 0.5}, {"inferenceConfig": {"temperature": 0.5, "topP": 0.5}}),
    ("us.anthropic.claude-opus-4-7", {"temperature": 0.5, "top_p": 0.5}, {}),
    (SONNET, {"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}),
    (SONNET, {"service_tier": "priority"}, {"serviceTier": {"type": "priority"}}),
    (SONNET, {"service_tier": "auto"}, {}),
    (SONNET, {"instructions": "Be exact."}, {"system": [{"text": "Be exact."}]}),
    (SONNET, {"instructions": "  "}, {}),
    (SONNET, {"presence_penalty": 1, "frequency_penalty": 1, "top_logprobs": 3, "text": {"verbosity": "low"}}, {}),
    (SONNET, {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "parallel_tool_calls": False}, {}),
    (SONNET, {"text": {"format": {"type": "text"}}}, {}),
]


@pytest.mark.parametrize(("model", "fields", "expected"), KNOBS)
def test_knobs(model: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = sent(model, **fields)
    assert {name: value for name, value in body.items() if name != "messages"} == expected


def enabled(budget: int, limit: int) -> dict[str, Any]:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": budget}}
    return {"inferenceConfig": {"maxTokens": limit}, "additionalModelRequestFields": thinking}


def more(**fields: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": fields}


def adaptive(effort: str, **fields: Any) -> dict[str, Any]:
    return more(thinking={"type": "adaptive", **fields}, output_config={"effort": effort})


LOW, HIGH, NONE, XHIGH = ({"reasoning": {"effort": effort}} for effort in ("low", "high", "none", "xhigh"))
REASONING: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (SONNET, LOW, enabled(2048, 10240)),
    (SONNET, HIGH, enabled(16384, 24576)),
    (SONNET, {"reasoning": {"summary": "auto"}}, enabled(8192, 16384)),
    (SONNET, {**HIGH, "max_output_tokens": 4000}, enabled(3000, 4000)),
    (SONNET, {**HIGH, "max_output_tokens": 1024}, {"inferenceConfig": {"maxTokens": 1024}}),
    (SONNET, {**LOW, "temperature": 0.5, "top_p": 0.9}, enabled(2048, 10240)),
    (SONNET, NONE, {}),
    ("anthropic.claude-3-5-sonnet-20240620-v1:0", HIGH, {}),
    (OPUS, LOW, adaptive("low")),
    (OPUS, {"reasoning": {"effort": "minimal", "summary": "auto"}}, adaptive("low", display="summarized")),
    (OPUS, XHIGH, adaptive("max")),
    ("us.anthropic.claude-opus-4-7", {"reasoning": {"effort": "max"}}, adaptive("max")),
    (SONNET, {"reasoning": {"effort": "max"}}, enabled(32768, 40960)),
    ("openai.gpt-oss-120b-1:0", {"reasoning": {"effort": "max"}}, more(reasoning_effort="high")),
    (OPUS, {**LOW, "temperature": 0.5}, adaptive("low")),
    (OPUS, NONE, more(thinking={"type": "disabled"})),
    (OPUS, {"reasoning": {"summary": "auto"}}, more(thinking={"type": "adaptive", "display": "summarized"})),
    ("us.anthropic.claude-opus-4-7", XHIGH, adaptive("xhigh")),
    (NEWEST, NONE, adaptive("low")),
    ("us.anthropic.claude-sonnet-5-5", NONE, more(thinking={"type": "between_tools"})),
    ("us.anthropic.claude-haiku-5-5", NONE, more(thinking={"type": "disabled"})),
    (NOVA, LOW, more(reasoningConfig={"type": "enabled", "maxReasoningEffort": "low"})),
    (NOVA, {**XHIGH, "top_p": 0.5}, more(reasoningConfig={"type": "enabled", "maxReasoningEffort": "high"})),
    (
        NOVA,
        {**HIGH, "max_output_tokens": 99},
        {
            "inferenceConfig": {"maxTokens": 99},
            **more(reasoningConfig={"type": "enabled", "maxReasoningEffort": "medium"}),
        },
    ),
    (NOVA, NONE, {}),
    ("us.amazon.nova-pro-v1:0", HIGH, {}),
    ("openai.gpt-oss-120b-1:0", XHIGH, more(reasoning_effort="high")),
    ("openai.gpt-oss-120b-1:0", NONE, {}),
    ("qwen.qwen3-32b-v1:0", LOW, more(reasoning_config="low")),
    (LLAMA, HIGH, {}),
]


@pytest.mark.parametrize(("model", "fields", "expected"), REASONING)
def test_reasoning_is_asked_for_in_the_words_of_the_model_s_family(
    model: str, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(model, **fields)
    assert {name: value for name, value in body.items() if name != "messages"} == expected


def test_a_forced_tool_goes_before_a_budget_of_thinking() -> None:
    assert "additionalModelRequestFields" not in sent(**LOW, tools=[LOOK], tool_choice="required")
    assert "additionalModelRequestFields" in sent(OPUS, **LOW, tools=[LOOK], tool_choice="required")


def test_a_budget_of_thinking_waits_where_another_provider_s_model_began_the_tool_turn() -> None:
    begun = [user("Hi"), reasoning("another's"), call("c1"), output("c1")]
    assert "additionalModelRequestFields" not in sent(**LOW, tools=[LOOK], input=begun)
    assert "additionalModelRequestFields" in sent(OPUS, **LOW, tools=[LOOK], input=begun)
    signed = [user("Hi"), reasoning("mine", sign("bedrock", "mine")), call("c1"), output("c1")]
    assert "additionalModelRequestFields" in sent(**LOW, tools=[LOOK], input=signed)
    over = [*begun, {"role": "assistant", "content": "Seen."}, user("And?")]
    assert "additionalModelRequestFields" in sent(**LOW, tools=[LOOK], input=over)


def test_reasoning_that_is_bound_to_its_conversation_is_dropped_rather_than_refused() -> None:
    asked = [user("Hi"), reasoning("mine", sign("bedrock", "mine")), {"role": "assistant", "content": "Yes"}, user("?")]
    binding = {"thinking": {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}}
    expected = {**binding, "anthropic_beta": ["thinking-binding-controls-2026-08-01"]}
    assert sent(NEWEST, input=asked)["additionalModelRequestFields"] == expected
    assert "additionalModelRequestFields" not in sent(OPUS, input=asked)


def test_reasoning_that_is_turned_off_is_not_sent_back_either() -> None:
    asked = [user("Hi"), reasoning("mine", sign("bedrock", "mine")), {"role": "assistant", "content": "Yes"}, user("?")]
    assert sent(OPUS, input=asked, **NONE)["messages"][1] == {"role": "assistant", "content": [{"text": "Yes"}]}


ADDRESS = "https://example.com/a.png"
CONTENT: list[tuple[str, Any, list[dict[str, Any]]]] = [
    ("parts of text", user("a", "b"), [{"text": "a"}, {"text": "b"}]),
    ("blank text is left out", user("a", " "), [{"text": "a"}]),
    ("nothing but blank text", user(" "), [{"text": "."}]),
    ("an image", user("a", image()), [{"text": "a"}, IMAGE]),
    ("an image alone", user(image()), [IMAGE]),
    (
        "a percent-encoded image",
        user(image("data:image/gif,GIF%38")),
        [{"image": {"format": "gif", "source": {"bytes": base64.b64encode(b"GIF8").decode()}}}],
    ),
    (
        "an image in a bucket",
        user(image("s3://bucket/a.jpg")),
        [{"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.jpg"}}}}],
    ),
    (
        "a video",
        user("a", {"type": "input_video", "video_url": "s3://bucket/a.mp4"}),
        [{"text": "a"}, {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/a.mp4"}}}}],
    ),
    ("a file", user("a", file(filename="a.pdf", file_data=PDF)), [{"text": "a"}, document("a")]),
    (
        "a file without words",
        user(file(filename="a.pdf", file_data=f"data:application/pdf;base64,{PDF}")),
        [document("a"), {"text": "(See what is attached.)"}],
    ),
    (
        "files of one name, or of none",
        user(
            "a", *(file(filename=name, file_data=f"data:application/pdf;base64,{PDF}") for name in ("a.b", "a.c", ""))
        ),
        [{"text": "a"}, document("a"), document("a (2)"), document("document")],
    ),
    (
        "a name that Bedrock refuses",
        user("a", file(filename="John's  r\u00e9sum\u00e9 #1.txt", file_data=f"data:text/plain;base64,{PDF}")),
        [{"text": "a"}, document("John-s r-sum- -1", "txt")],
    ),
    (
        "a file in a bucket",
        user("a", file(file_url="s3://bucket/report.csv")),
        [
            {"text": "a"},
            {
                "document": {
                    "name": "report",
                    "format": "csv",
                    "source": {"s3Location": {"uri": "s3://bucket/report.csv"}},
                }
            },
        ],
    ),
    (
        "source code is text",
        user("a", file(filename="a.py", file_data=PDF)),
        [{"text": "a"}, document("a", "txt")],
    ),
]


@pytest.mark.parametrize(("what", "message", "expected"), CONTENT, ids=[what for what, _, _ in CONTENT])
def test_what_a_user_sends(what: str, message: Any, expected: list[dict[str, Any]]) -> None:
    shared: dict[str, Any] = {"options": {"shared_files": True}} if "s3://" in json.dumps(message) else {}
    assert said(message, **shared) == [{"role": "user", "content": expected}]


AT = "input[0].content[0]"
REFUSED: list[tuple[Any, str, str]] = [
    (user(image(ADDRESS)), f"{AT}.image_url", "a web address: send it as a data URL"),
    (user(image("data:image/tiff;base64,AA==")), f"{AT}.image_url", "data of type 'image/tiff', only ['gif', 'jpeg'"),
    (user(image("data:image/png;base64,?")), f"{AT}.image_url", "data that is not base64"),
    (user(image("data:image/png;base64,")), f"{AT}.image_url", "data that is empty"),
    (user({"type": "input_image", "file_id": "f"}), AT, "'input_image' without its data"),
    (user("a", file(file_url="https://a.example/a.pdf")), "input[0].content[1].file_url", "a web address"),
    (user(file(file_data=PDF)), f"{AT}.file_data", "data of type 'unknown'"),
    (user(file(filename="a.zip", file_data=PDF)), f"{AT}.file_data", "data of type 'application/zip'"),
    (user(file(file_id="f")), AT, "'input_file' without its data"),
    (user({"type": "input_video", "video_url": ADDRESS}), f"{AT}.video_url", "a web address"),
    ({"role": "system", "content": [image()]}, AT, "a part of type 'input_image' in a message of role 'system'"),
    ({"role": "assistant", "content": [image()]}, AT, "a part of type 'input_image' in a message of role 'assistant'"),
    ({"type": "compaction", "encrypted_content": "x"}, "input[0]", "an item of type 'compaction'"),
]


@pytest.mark.parametrize(("item", "where", "why"), REFUSED)
def test_content_that_can_t_be_carried_is_refused_by_its_place(item: Any, where: str, why: str) -> None:
    with pytest.raises(RequestError) as raised:
        encode(turn(input=[item]), settings())
    assert (raised.value.param, raised.value.code) == (where, "unsupported_content")
    assert raised.value.message.startswith(f"This model's provider can't be sent {why}")


def test_where_a_part_is_can_t_be_told_after_what_the_request_doesn_t_hold() -> None:
    outputs = [user("Hi"), call("c1"), output("c1", [{"type": "input_text", "text": "a"}, image(ADDRESS)])]
    for previous, where in ((None, "input[2].output[1].image_url"), ("resp_1", "input")):
        with pytest.raises(RequestError) as raised:
            encode(turn(input=outputs, previous_response_id=previous), settings())
        assert raised.value.param == where


def test_instructions_are_system_blocks_wherever_they_come() -> None:
    body = sent(
        instructions="A",
        input=[user("Hi"), {"role": "developer", "content": "B"}, user("you"), {"role": "system", "content": "C"}],
    )
    assert body == {
        "system": [{"text": "A"}, {"text": "B"}, {"text": "C"}],
        "messages": [{"role": "user", "content": [{"text": "Hi"}, {"text": "you"}]}],
    }


def test_roles_alternate_and_the_user_begins() -> None:
    assistant = {"role": "assistant", "content": "I"}
    assert said(assistant, assistant, user("Hi")) == [
        {"role": "user", "content": [{"text": "."}]},
        {"role": "assistant", "content": [{"text": "I"}, {"text": "I"}]},
        USER,
    ]


def test_a_refusal_is_what_the_model_said() -> None:
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
    assert said(user("Hi"), refusal, user("Hi"))[1] == {"role": "assistant", "content": [{"text": "No."}]}


def test_calls_come_after_text_and_all_their_results_in_the_next_message() -> None:
    items = [
        user("Hi"),
        reasoning("mine", sign("bedrock", "mine")),
        call("c1", arguments='{"at": "x"}'),
        {"role": "assistant", "content": "Looking."},
        call("c2"),
        output("c2", "two"),
        output("c1", "one"),
        user("Thanks"),
    ]
    assert said(*items, tools=[LOOK]) == [
        USER,
        {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "mine", "signature": sign("bedrock", "mine")}}},
                {"text": "Looking."},
                use("c1", given={"at": "x"}),
                use("c2"),
            ],
        },
        {
            "role": "user",
            "content": [result("c1", {"text": "one"}), result("c2", {"text": "two"}), {"text": "Thanks"}],
        },
    ]


def test_a_call_without_an_output_gets_one() -> None:
    assert said(user("Hi"), call("c1"), user("Hi"), tools=[LOOK])[2]["content"][0] == result(
        "c1", {"text": "(no output)"}
    )


def test_an_output_without_a_call_is_refused() -> None:
    with pytest.raises(RequestError, match="No call before it has the output's call_id 'c9'"):
        encode(turn(input=[user("Hi"), output("c9")]), settings())


def test_arguments_that_are_no_object_are_shown_as_such() -> None:
    assert said(user("Hi"), call("c1", arguments="{oops"), output("c1"), tools=[LOOK])[1]["content"] == [
        use("c1", given={"invalid_arguments": "{oops"})
    ]


def hosted(call_id: str, status: str = "completed") -> dict[str, Any]:
    return {
        "type": "serverless:clock",
        "call_id": call_id,
        "name": "clock",
        "arguments": "{}",
        "status": status,
        "output": "noon",
    }


def test_hosted_calls_are_turns_of_their_own_or_of_the_reasoning_before_them() -> None:
    tools = [{"type": "serverless:clock"}]
    thought = reasoning("mine", sign("bedrock", "mine"))
    roles = [message["role"] for message in said(user("Hi"), hosted("a"), hosted("b"), tools=tools)]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    messages = said(user("Hi"), thought, hosted("a"), hosted("b", "failed"), tools=tools)
    assert messages[1]["content"][1:] == [use("a", "clock"), use("b", "clock")]
    assert messages[2]["content"] == [result("a", {"text": "noon"}), result("b", {"text": "noon"}, status="error")]


def test_a_custom_tool_is_a_function_of_one_string() -> None:
    custom = {"type": "custom", "name": "patch", "description": "Patches"}
    body = sent(
        tools=[custom],
        input=[
            user("Hi"),
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
    )
    assert body["messages"][1]["content"] == [use("c1", "patch", {"input": "x"})]
    hint = {"type": "string", "description": "The whole input, as free text."}
    assert body["toolConfig"]["tools"][0]["toolSpec"] == {
        "name": "patch",
        "description": "Patches",
        "inputSchema": {
            "json": {
                "type": "object",
                "properties": {"input": hint},
                "required": ["input"],
                "additionalProperties": False,
            }
        },
    }


@pytest.mark.parametrize("fields", [{}, {"tools": [LOOK], "tool_choice": "none"}])
def test_tools_that_were_called_stand_in_where_none_may_be_called(fields: dict[str, Any]) -> None:
    body = sent(input=[user("Hi"), call("c1", "a.b"), output("c1")], **fields)
    assert body["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "a_b_2e7336dc",
                    "description": "Was called before. It can't be called now.",
                    "inputSchema": {"json": {"type": "object", "properties": {}}},
                }
            }
        ]
    }


HEAR = {"type": "function", "name": "hear"}
HEAR_SPEC = {"name": "hear", "inputSchema": {"json": {"type": "object", "properties": {}}}}
NAMED = {"type": "function", "name": "hear"}
CHOICES: list[tuple[str, Any, list[str], dict[str, Any] | None]] = [
    (SONNET, "auto", ["look", "hear"], None),
    (SONNET, "required", ["look", "hear"], {"any": {}}),
    (SONNET, NAMED, ["hear"], {"tool": {"name": "hear"}}),
    (NOVA, NAMED, ["hear"], {"tool": {"name": "hear"}}),
    (MISTRAL, "required", ["look", "hear"], {"any": {}}),
    (MISTRAL, NAMED, ["hear"], {"any": {}}),
    (LLAMA, "required", ["look", "hear"], None),
    (LLAMA, NAMED, ["hear"], None),
    (NEWEST, "required", ["look", "hear"], None),
    ("cohere.command-r-v1:0", "required", ["look", "hear"], None),
]


@pytest.mark.parametrize(("model", "choice", "names", "expected"), CHOICES)
def test_tool_choices(model: str, choice: Any, names: list[str], expected: dict[str, Any] | None) -> None:
    config = sent(model, tools=[LOOK, HEAR], tool_choice=choice)["toolConfig"]
    specs = {"look": LOOK_SPEC, "hear": HEAR_SPEC}
    assert config["tools"] == [{"toolSpec": specs[name]} for name in names]
    assert config.get("toolChoice") == expected


def test_a_tool_s_strictness_and_schema_are_what_its_model_takes() -> None:
    tool = {**LOOK, "strict": True, "description": "Looks", "parameters": {**SCHEMA, "$defs": {}}}
    spec = {"name": "look", "description": "Looks", "inputSchema": {"json": tool["parameters"]}}

    def of(model: str) -> dict[str, Any]:
        return sent(model, tools=[tool])["toolConfig"]["tools"][0]["toolSpec"]

    assert of(SONNET) == {**spec, "strict": True}
    assert of("us.anthropic.claude-sonnet-5") == spec
    plain = {name: SCHEMA[name] for name in ("type", "properties", "required")}
    assert of(NOVA) == {**spec, "inputSchema": {"json": plain}}


def test_a_json_schema_is_the_text_s_format_or_a_tool_that_must_be_called() -> None:
    structure = {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "number", "description": "A number"}}
    native = {"outputConfig": {"textFormat": {"type": "json_schema", "structure": structure}}}
    answer = {"name": "answer_in_json", "description": "A number", "inputSchema": {"json": SCHEMA}}
    tool = {"toolConfig": {"tools": [{"toolSpec": answer}], "toolChoice": {"any": {}}}}

    def of(model: str, **options: Any) -> dict[str, Any]:
        return {k: v for k, v in sent(model, options, text=FORMAT).items() if k != "messages"}

    assert of(SONNET) == of(KIMI) == of(NEWEST) == of(LLAMA, structured_output="native") == native
    assert of("us.anthropic.claude-opus-4-1-20250805-v1:0") == of(SONNET, structured_output="tool") == tool
    nova = of(NOVA)["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]
    assert nova == {name: SCHEMA[name] for name in ("type", "properties", "required")}
    told = {"text": f"Answer with JSON alone, of this JSON schema:\n{json.dumps(SCHEMA, separators=(',', ':'))}"}
    assert of(LLAMA) == {"system": [told]}


@pytest.mark.parametrize("model", [SONNET, NEWEST])
def test_a_schema_that_can_t_be_enforced_is_a_tool_s_or_told_and_never_refused(model: str) -> None:
    tree = {"type": "object", "properties": {"parts": {"type": "array", "items": {"$ref": "#"}}}}
    tool = {"type": "function", "name": "f", "parameters": tree, "strict": True}
    body = sent(model, tools=[tool], text={"format": {"type": "json_schema", "name": "n", "schema": tree}})
    specs = [tool["toolSpec"] for tool in body["toolConfig"]["tools"]]
    assert "outputConfig" not in body
    assert [spec["name"] for spec in specs] == (["f", "answer_in_json"] if model == SONNET else ["f"])
    assert [(spec["inputSchema"]["json"], "strict" in spec) for spec in specs] == [(tree, False)] * len(specs)
    assert ("parts" in json.dumps(body.get("system", []))) == (model == NEWEST)


def test_the_tool_to_answer_with_has_a_name_of_its_own_and_leaves_others_to_call() -> None:
    config = sent(NOVA, text=FORMAT, tools=[{**LOOK, "name": "answer_in_json"}])["toolConfig"]
    names = [tool["toolSpec"]["name"] for tool in config["tools"]]
    assert (names, config["toolChoice"]) == (["answer_in_json", "answer_in_json_2"], {"any": {}})
    forced = sent(NOVA, text=FORMAT, tools=[LOOK], tool_choice={"type": "function", "name": "look"})["toolConfig"]
    assert forced["toolChoice"] == {"tool": {"name": "look"}}
    only = sent(MISTRAL, text=FORMAT, tools=[LOOK], tool_choice={"type": "function", "name": "look"})["toolConfig"]
    assert [tool["toolSpec"]["name"] for tool in only["tools"]] == ["look"]


def test_json_without_a_schema_is_asked_for_in_words() -> None:
    body = sent(instructions="A", text={"format": {"type": "json_object"}})
    assert body["system"] == [
        {"text": "A"},
        {"text": "Answer with one JSON object, and with nothing before or after it."},
    ]


ATTACHED = [{"text": "[1 attached, see what follows the tools' results]"}]
NOTE = {"text": "Attached by the tool call c1:"}
FILLER = {"role": "assistant", "content": [{"text": "."}]}
PARTS = [{"type": "input_text", "text": "seen"}, image()]
MEDIA: list[tuple[str, Any, list[dict[str, Any]]]] = [
    (SONNET, PARTS, [{"role": "user", "content": [result("c1", {"text": "seen"}, IMAGE)]}]),
    (
        SONNET,
        [file(filename="a.pdf", file_data=PDF)],
        [{"role": "user", "content": [result("c1", document("a"))]}],
    ),
    (
        NOVA,
        [file(filename="a.pdf", file_data=PDF)],
        [{"role": "user", "content": [result("c1", *ATTACHED), NOTE, document("a")]}],
    ),
    (
        "qwen.qwen3-vl-235b-a22b",
        PARTS,
        [{"role": "user", "content": [result("c1", {"text": "seen"}, *ATTACHED), NOTE, IMAGE]}],
    ),
    (
        MISTRAL,
        [image()],
        [
            {"role": "user", "content": [result("c1", {"json": {"output": ATTACHED[0]["text"]}})]},
            FILLER,
            {"role": "user", "content": [NOTE, IMAGE]},
        ],
    ),
    (MISTRAL, '{"a": 1}', [{"role": "user", "content": [result("c1", {"json": {"a": 1}})]}]),
    (SONNET, [], [{"role": "user", "content": [result("c1", {"text": "(no output)"})]}]),
    (SONNET, " ", [{"role": "user", "content": [result("c1", {"text": "(no output)"})]}]),
]


@pytest.mark.parametrize(("model", "of", "expected"), MEDIA)
def test_what_a_tool_gives_is_in_its_result_or_after_it(model: str, of: Any, expected: list[dict[str, Any]]) -> None:
    call_id = "c12345678" if model == MISTRAL else "c1"
    messages = said(user("Hi"), call(call_id), output(call_id, of), model=model, tools=[LOOK])
    assert json.loads(json.dumps(messages[2:]).replace("c12345678", "c1")) == expected


@pytest.mark.parametrize(
    ("model", "item", "split"),
    [
        (SONNET, user("And?"), False),
        (SONNET, user("And?", file(filename="a.pdf", file_data=PDF)), True),
        (NOVA, user("And?", file(filename="a.pdf", file_data=PDF)), False),
        (LLAMA, user("And?"), True),
        ("writer.palmyra-x5-v1:0", user("And?"), True),
    ],
)
def test_what_may_not_share_a_message_with_tool_results_gets_one_of_its_own(model: str, item: Any, split: bool) -> None:
    messages = said(user("Hi"), call("c1"), output("c1"), item, model=model, tools=[LOOK])
    assert len(messages) == (5 if split else 3)
    assert not split or messages[3] == FILLER


def test_reasoning_goes_back_to_the_letter_or_not_at_all() -> None:
    redacted = {"type": "reasoning", "summary": [], "encrypted_content": kept({"redactedContent": "AAEC"})}
    signed = reasoning("mine", sign("bedrock", "mine"))
    foreign = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    answer = {"role": "assistant", "content": "Yes"}
    message = said(user("Hi"), signed, redacted, foreign, reasoning("another's"), answer, user("Hi"))[1]
    assert message["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "mine", "signature": sign("bedrock", "mine")}}},
        {"reasoningContent": {"redactedContent": "AAEC"}},
        {"text": "Yes"},
    ]
    assert said(user("Hi"), signed) == [USER]


def test_reasoning_without_a_signature_goes_back_to_models_that_take_it_so() -> None:
    block = {"reasoningText": {"text": "Hm"}}
    thought = {"type": "reasoning", "summary": [], "encrypted_content": kept(block)}
    messages = said(user("Hi"), thought, {"role": "assistant", "content": "Yes"}, user("?"), model=KIMI)
    assert messages[1]["content"] == [{"reasoningContent": block}, {"text": "Yes"}]


STATES = [
    "",
    "x",
    "[]",
    "{}",
    '{"reasoningText":{"signature":"a"}}',
    '{"redactedContent":1}',
    '{"redactedContent":"","x":1}',
]


@pytest.mark.parametrize("state", [None, *STATES, "[" * 99_999], ids=lambda state: f"{state}"[:9])
def test_state_that_isn_t_ours_is_none(state: str | None) -> None:
    assert restored(state) is None


def test_cache_points_follow_tools_instructions_and_the_last_two_messages_of_the_user() -> None:
    asked: dict[str, Any] = {
        "instructions": "A",
        "tools": [LOOK],
        "input": [user("Hi"), call("c1"), output("c1"), {"role": "assistant", "content": "Seen."}, user("And?")],
    }
    body = sent(options={"cache": "5m"}, **asked)
    assert body["system"] == [{"text": "A"}, POINT]
    assert body["toolConfig"]["tools"] == [{"toolSpec": LOOK_SPEC}, POINT]
    assert [message["content"][-1] == POINT for message in body["messages"]] == [False, False, True, False, True]
    hour = json.dumps(sent(options={"cache": "1h"}, **asked))
    assert hour == json.dumps(body).replace('"default"', '"default", "ttl": "1h"')
    assert "cachePoint" not in json.dumps(sent(options={"cache": "off"}, **asked))
    assert '"type": "default"' in json.dumps(sent(OPUS, options={"cache": "1h"}, **asked))
    assert "ttl" not in json.dumps(sent(OPUS, options={"cache": "1h"}, **asked))
    nova = sent(NOVA, options={"cache": "1h"}, **asked)
    assert nova["toolConfig"]["tools"] == [{"toolSpec": LOOK_SPEC}]
    assert '{"type": "default"}' in json.dumps(nova)
    assert "cachePoint" not in json.dumps(sent(LLAMA, options={"cache": "5m"}, **asked))


def test_a_schema_that_is_enforced_is_put_into_what_bedrock_can_enforce() -> None:
    """As recorded refusals say: every object is closed, and no number or length is bounded."""
    loose = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    number = {"type": "integer", "description": "(minimum: 1)"}
    closed = {"type": "object", "properties": {"n": number}, "required": ["n"], "additionalProperties": False}
    tool = {"type": "function", "name": "f", "parameters": loose, "strict": True}
    body = sent(tools=[tool], text={"format": {"type": "json_schema", "name": "n", "schema": loose}})
    form = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]
    assert [json.loads(form), body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"]] == [closed, closed]


def test_what_the_provider_s_own_tools_did_goes_back_as_it_came() -> None:
    call = {"toolUseId": "c1", "name": "nova_code_interpreter", "type": "server_tool_use", "input": {"snippet": "1"}}
    result = {"toolUseId": "c1", "content": [{"json": {}}]}
    items = [{"type": f"bedrock:{kind}", "block": block} for kind, block in (("toolUse", call), ("toolResult", result))]
    more = [{"role": "assistant", "content": "A"}, {"role": "user", "content": "Hi"}]
    body = encode(turn(NOVA, input=[{"role": "user", "content": "Hi"}, *items, *more]), settings(**OFF))
    kept = [{"toolUse": call}, {"toolResult": result}, {"text": "A"}]
    assert body["messages"] == [USER, {"role": "assistant", "content": kept}, USER]


def test_a_single_question_is_not_worth_a_cache_point_of_its_own() -> None:
    assert sent(options={"cache": "5m"}, instructions="A") == {"messages": [USER], "system": [{"text": "A"}, POINT]}


def test_a_cache_point_comes_before_documents() -> None:
    asked = user("a", file(filename="a.pdf", file_data=PDF))
    messages = sent(options={"cache": "5m"}, tools=[LOOK], input=[asked])["messages"]
    assert messages[0]["content"] == [{"text": "a"}, POINT, document("a")]


def test_options_of_the_settings_and_of_the_request_are_added() -> None:
    extra = {"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"}, **more(top_k=9)}
    mine = {"inferenceConfig": {"stopSequences": ["x"]}, "requestMetadata": {"team": "a"}, **more(foo=1)}
    allowed = ["requestMetadata", "additionalModelRequestFields.foo"]
    body = sent(
        options={"extra_body": extra, "allow_options": allowed}, max_output_tokens=99, provider={"options": {"v": mine}}
    )
    assert body == {
        "messages": [USER],
        "guardrailConfig": extra["guardrailConfig"],
        "inferenceConfig": {"maxTokens": 99, "stopSequences": ["x"]},
        "requestMetadata": {"team": "a"},
        **more(top_k=9, foo=1),
    }


@pytest.mark.parametrize(
    ("option", "where"),
    [
        ({"modelId": "m"}, "modelId"),
        ({"messages": []}, "messages"),
        ({"system": []}, "system"),
        ({"toolConfig": {}}, "toolConfig"),
        ({"inferenceConfig": {"maxTokens": 1}}, "inferenceConfig.maxTokens"),
        (more(thinking={}), "additionalModelRequestFields.thinking"),
    ],
)
def test_options_never_replace_what_is_sent(option: dict[str, Any], where: str) -> None:
    with pytest.raises(RequestError) as raised:
        sent(OPUS, **LOW, max_output_tokens=99, provider={"options": {"v": option}})
    assert raised.value.param == f"provider.options.v.{where}"


def test_a_profile_s_model_is_what_the_settings_say_it_is() -> None:
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
    assert "additionalModelRequestFields" not in encode(turn(arn, **LOW), settings())
    body = encode(turn(arn, **LOW), settings(base_models={arn: OPUS}))
    assert body["additionalModelRequestFields"]["output_config"] == {"effort": "low"}


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"region": "US EAST"}, "region"),
        ({"cache": "2h"}, "cache"),
        ({"structured_output": "yes"}, "structured_output"),
        ({"base_models": {"a": 1}}, "base_models.a"),
        ({"extra_body": "x"}, "extra_body"),
        ({"reigon": "us-east-1"}, "reigon"),
    ],
)
def test_wrong_options_are_told_by_their_names(options: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=rf"^provider 'v': options\.{re.escape(where)}: "):
        connect(settings(**options))


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(ValueError, match="base_url must be an http or https URL"):
        connect(ProviderSettings(name="v", dialect="bedrock", base_url="bedrock-runtime"))


def test_a_tool_that_the_provider_would_have_to_run_is_refused() -> None:
    with pytest.raises(RequestError, match="doesn't run the tool 'file_search'"):
        sent(tools=[{"type": "file_search", "vector_store_ids": ["v"]}])


NAMES = st.text("ab._-", min_size=1, max_size=8) | st.text("abc.", min_size=60, max_size=128)
WIRE_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@given(offered=st.lists(NAMES, unique=True, max_size=8), past=st.lists(NAMES, max_size=4))
def test_names_of_tools_go_out_and_come_back_one_to_one(offered: list[str], past: list[str]) -> None:
    names = Naming(64, offered)
    wire = {name: names.wire(name) for name in [*offered, *past]}
    assert all(WIRE_NAME.fullmatch(each) for each in wire.values())
    assert len(set(wire.values())) == len(wire)
    assert {names.ours(each): each for each in wire.values()} == wire
    assert all(wire[name] == name for name in offered if WIRE_NAME.fullmatch(name))
    assert names.another("a") not in wire.values()


@given(
    ids=st.lists(st.text("ab:._ \u00e9", min_size=1, max_size=4) | st.text("ab", min_size=9, max_size=99), max_size=9)
)
@pytest.mark.parametrize("short", [False, True])
def test_ids_of_calls_fit_and_differ(short: bool, ids: list[str]) -> None:
    pattern = re.compile(r"[a-zA-Z0-9]{9}" if short else r"[a-zA-Z0-9_-]{1,64}")
    first, second = (
        [taking.another(each) for each in ids]
        for taking in (call_ids(Traits(short_ids=short)), call_ids(Traits(short_ids=short)))
    )
    assert first == second
    assert len(set(first)) == len(ids)
    assert all(pattern.fullmatch(each) for each in first)
    unique = [each for each in ids if ids.count(each) == 1 and pattern.fullmatch(each)]
    assert all(each in first for each in unique)


def test_ids_that_other_providers_gave_reach_both_the_call_and_its_result() -> None:
    ids = ["functions.look:0", "x" * 200, "call_1"]
    items = [each for call_id in ids for each in (call(call_id), output(call_id, call_id))]
    again = [call("functions.look:0"), output("functions.look:0", "again")]
    messages = said(user("Hi"), *items, *again, tools=[LOOK])
    used = [block["toolUse"]["toolUseId"] for m in messages for block in m["content"] if "toolUse" in block]
    results = [block["toolResult"] for m in messages for block in m["content"] if "toolResult" in block]
    assert [each["toolUseId"] for each in results] == used
    assert [each["content"][0]["text"] for each in results] == [*ids, "again"]
    assert (len(set(used)), used[2]) == (4, "call_1")


MODELS = [
    (SONNET, {"thinking": "budget", "sampling": 1, "schema": True}),
    ("anthropic.claude-3-haiku-20240307-v1:0", {"thinking": "none", "summarised": False, "caches": "nothing"}),
    ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", {"thinking": "budget", "summarised": False, "caches": "tools"}),
    ("anthropic.claude-sonnet-4-20250514-v1:0", {"thinking": "budget", "summarised": True, "schema": False}),
    ("anthropic.claude-opus-4-1-20250805-v1:0", {"sampling": 1, "schema": False}),
    ("anthropic.claude-instant-v1", {"thinking": "none", "caches": "nothing"}),
    ("anthropic.claude-mythos-preview", {"thinking": "adaptive", "off": "", "force": "auto"}),
    ("global.anthropic.claude-fable-5-1", {"off": "", "bound": True, "force": "auto"}),
    ("global.anthropic.claude-opus-5", {"off": "disabled", "bound": False, "force": "tool", "sampling": 0}),
    (
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-opus-4-6-v1",
        {"thinking": "adaptive", "caches": "tools"},
    ),
    ("us.amazon.nova-micro-v1:0", {"thinking": "none", "caches": "messages"}),
    ("deepseek.v3.2", {"schema": True, "force": "auto"}),
    ("moonshot.kimi-k2-thinking", {"think_tags": True}),
    ("us.openai.gpt-5.6", {"thinking": "none", "sampling": 0}),
]


@pytest.mark.parametrize(("model", "expected"), MODELS)
def test_models_are_known_by_their_ids(model: str, expected: dict[str, Any]) -> None:
    traits = traits_of(model)
    assert {name: getattr(traits, name) for name in expected} == expected


def test_a_model_that_isn_t_known_is_asked_for_nothing_special() -> None:
    assert traits_of("acme.model-v1:0") == Traits()


def test_the_checks_of_these_tests_refuse_what_the_service_does() -> None:
    wrong: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": [{"text": " "}]}]},
        {"messages": [USER, {"role": "assistant", "content": [use("a b")]}]},
        {"messages": [USER, {"role": "assistant", "content": [use("a")]}]},
        {"messages": [USER], "inferenceConfig": {"temperature": 2}},
        {"messages": [USER], "unknown": 1},
        {"messages": [USER], "toolConfig": {"tools": []}},
    ]
    for body in wrong:
        with pytest.raises(Refused):
            check({}, SONNET, body, Rules())
