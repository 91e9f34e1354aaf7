"""What goes upstream for what is asked: tables of requests and Gemini's bodies made of them."""

import json
import re
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openresponses.core.errors import RequestError
from openresponses.core.settings import ProviderSettings
from openresponses.core.turn import Turn
from openresponses.dialects import connect, gemini
from openresponses.dialects.gemini.messages import tool_names
from openresponses.dialects.gemini.models import GeminiModel, GeminiOptions
from openresponses.dialects.gemini.request import translated
from openresponses.dialects.gemini.thinking import thinking
from openresponses.schema.request import ReasoningSettings
from tests.contract import turns
from tests.contract.gemini_types import check_request
from tests.contract.turns import call, clock, encode, output
from tests.fakes.gemini_rules import check
from tests.fakes.network import Answered
from tests.fakes.wire import Received, Rules

MODEL = "gemini-3-flash-preview"
SKIP = "skip_thought_signature_validator"
S, U = "c2lnbmVk", "YWdhaW4="
USER = {"role": "user", "content": "Hi"}
SENT_USER = {"role": "user", "parts": [{"text": "Hi"}]}


def turn(model: str = MODEL, **fields: Any) -> Turn:
    return turns.turn(model, **fields)


def settings(base_url: str = "http://vendor.test/v1beta", **options: Any) -> ProviderSettings:
    return ProviderSettings(name="v", dialect="gemini", base_url=base_url, options=options)


def body(fields: dict[str, Any], *, accepted: bool = True, base_url: str = "", **options: Any) -> dict[str, Any]:
    """What is sent: it fits the types of Google's SDK, and the fake upstream's rules."""
    made = encode(turn(**fields), settings(**({"base_url": base_url} if base_url else {}), **options))
    check_request(made)
    if accepted:
        path = f"/v1beta/models/{fields.get('model', MODEL)}:streamGenerateContent?alt=sse"
        check(Received({}, json.loads(json.dumps(made)), path), Rules())
    return made


def sent(fields: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What is sent beside the question."""
    return {name: value for name, value in body(fields, **options).items() if name != "contents"}


def contents(items: list[Any], model: str = MODEL, **fields: Any) -> Any:
    foreign = any("encrypted_content" in item for item in items)
    return body({"input": items, "model": model, **fields}, accepted=not foreign)["contents"]


def thought(text: str = "T", **state: Any) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text}]
    kept = {"encrypted_content": json.dumps(state)} if state else {}
    return {"type": "reasoning", "summary": summary, "content": [], **kept}


def said(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts]}


def model(*parts: Any) -> dict[str, Any]:
    return {**user(*parts), "role": "model"}


def made(call_id: str, signature: str | None = None, name: str = "f", **args: Any) -> dict[str, Any]:
    part = {"functionCall": {"id": call_id, "name": name, "args": args}}
    return {**part, "thoughtSignature": signature} if signature else part


def answer(call_id: str, text: str = "ok", name: str = "f", key: str = "output", **more: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": call_id, "name": name, "response": {key: text}, **more}}


def config(**fields: Any) -> dict[str, Any]:
    return {"generationConfig": fields}


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
KNOBS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sampling": (
        {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": -1},
        config(temperature=0.0, topP=0.5, presencePenalty=1.0, frequencyPenalty=-1.0),
    ),
    "no penalties, which some models refuse": ({"presence_penalty": 0, "frequency_penalty": 0}, {}),
    "limit": ({"max_output_tokens": 99}, config(maxOutputTokens=99)),
    "top logprobs": ({"top_logprobs": 3}, config(responseLogprobs=True, logprobs=3)),
    "logprobs": ({"include": ["message.output_text.logprobs"]}, config(responseLogprobs=True)),
    "tier": ({"service_tier": "flex"}, {"serviceTier": "flex"}),
    "instructions": (
        {
            "instructions": "A",
            "input": [{"role": "developer", "content": "B"}, USER, {"role": "system", "content": ""}],
        },
        {"systemInstruction": {"parts": [{"text": "A"}, {"text": "B"}]}},
    ),
    "JSON": ({"text": {"format": {"type": "json_object"}}}, config(responseMimeType="application/json")),
    "plain text": ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {}),
    "schema": (
        {"text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": SCHEMA}}},
        config(responseMimeType="application/json", responseJsonSchema={**SCHEMA, "description": "d"}),
    ),
    "not sent": (
        {
            "metadata": {"a": "b"},
            "store": True,
            "truncation": "auto",
            "parallel_tool_calls": True,
            "service_tier": "default",
            "user": "u",
            "safety_identifier": "s",
            "prompt_cache_key": "k",
            "top_logprobs": 0,
        },
        {},
    ),
    "own options": (
        {"temperature": 1, "provider": {"options": {"v": {"generationConfig": {"topK": 40}}}}},
        config(temperature=1.0, topK=40),
    ),
}


@pytest.mark.parametrize(("fields", "expected"), KNOBS.values(), ids=KNOBS)
def test_a_setting_of_the_request_is_sent_by_the_name_it_has_upstream(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    if "provider" in fields:
        made = encode(turn(**fields), settings())
        assert {**made, "contents": None} == {**expected, "contents": None}
    else:
        assert sent(fields) == expected


@pytest.mark.parametrize(
    "options",
    [{"contents": []}, {"generationConfig": {"temperature": 1}}, {"generationConfig": {"candidateCount": 2}}],
)
def test_an_option_of_the_request_never_replaces_what_the_server_sets(options: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="is not an option"):
        encode(turn(temperature=0, provider={"options": {"v": options}}), settings())


def test_extra_fields_are_sent_for_every_request() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    assert sent({}, extra_body={"safetySettings": safety}) == {"safetySettings": safety}


@pytest.mark.parametrize("name", ["gemini-3.6-flash", "gemini-3.5-flash-lite", "gemini-4-pro"])
def test_later_models_get_no_sampling_settings(name: str) -> None:
    fields = {"temperature": 0, "top_p": 0.5, "presence_penalty": 1, "frequency_penalty": 1, "max_output_tokens": 99}
    assert sent({"model": name, **fields}) == config(maxOutputTokens=99)


@pytest.mark.parametrize(
    ("name", "effort", "config"),
    [
        ("gemini-3.8-flash", "max", {"thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", "max", {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", "enormous", {}),
    ],
)
def test_an_effort_that_gemini_does_not_know_becomes_the_nearest(
    name: str, effort: str, config: dict[str, Any]
) -> None:
    reasoning = ReasoningSettings(effort=effort)
    model = GeminiModel.of(name, GeminiOptions())
    assert thinking(reasoning, model, False) == ({"thinkingConfig": config} if config else {})


JSON_FORMATS: dict[str, tuple[Any, str]] = {
    "JSON": ({"type": "json_object"}, "Answer with JSON alone."),
    "a schema": (
        {"type": "json_schema", "name": "n", "schema": SCHEMA},
        'Answer with JSON alone, of this JSON schema:\n{"type":"object","properties":{"a":{"type":"string"}}}',
    ),
}


@pytest.mark.parametrize("tools", [[{"type": "function", "name": "f"}], [{"type": "web_search"}]])
@pytest.mark.parametrize(("form", "told"), JSON_FORMATS.values(), ids=JSON_FORMATS)
def test_a_format_beside_tools_is_told_to_models_that_refuse_it(form: Any, told: str, tools: list[Any]) -> None:
    asked = {"text": {"format": form}, "tools": tools, "instructions": "A"}
    made = sent({"model": "gemini-2.5-flash", **asked})
    assert made["systemInstruction"] == {"parts": [{"text": f"A\n\n{told}"}]}
    assert "generationConfig" not in made
    assert sent({"model": MODEL, **asked})["generationConfig"]["responseMimeType"] == "application/json"
    alone = sent({"model": "gemini-2.5-flash", "text": {"format": form}})
    assert alone["generationConfig"]["responseMimeType"] == "application/json"


THOUGHTS: dict[str, tuple[str, dict[str, Any] | None, dict[str, Any], dict[str, Any] | None]] = {
    "nothing asked": (MODEL, None, {}, None),
    "always": (MODEL, None, {"include_thoughts": True}, {"includeThoughts": True}),
    "never": (MODEL, {"effort": "low"}, {"include_thoughts": False}, {"thinkingLevel": "LOW"}),
    "a summary": (MODEL, {"summary": "auto"}, {}, {"includeThoughts": True}),
    "none": (MODEL, {"effort": "none"}, {}, {"thinkingLevel": "MINIMAL"}),
    "none of a later model": ("gemini-3.8-flash", {"effort": "none"}, {}, {"thinkingLevel": "LOW"}),
    "none of a later small model": ("gemini-3.5-flash-lite", {"effort": "none"}, {}, {"thinkingLevel": "MINIMAL"}),
    "none of an alias": ("gemini-flash-latest", {"effort": "none"}, {}, {"thinkingLevel": "LOW"}),
    "a model of images": ("gemini-3-pro-image", {"effort": "low"}, {}, {"includeThoughts": True}),
    "none of a pro": ("gemini-3.1-pro-preview", {"effort": "none"}, {}, {"thinkingLevel": "LOW"}),
    "medium": (MODEL, {"effort": "medium"}, {}, {"includeThoughts": True, "thinkingLevel": "MEDIUM"}),
    "most": (MODEL, {"effort": "xhigh"}, {}, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
    "medium of the first pro": (
        "gemini-3-pro-preview",
        {"effort": "medium"},
        {},
        {"includeThoughts": True, "thinkingLevel": "HIGH"},
    ),
    "an alias": ("gemini-flash-latest", {"effort": "low"}, {}, {"includeThoughts": True, "thinkingLevel": "LOW"}),
    "a budget": ("gemini-2.5-flash", {"effort": "medium"}, {}, {"includeThoughts": True, "thinkingBudget": 8192}),
    "no budget": ("gemini-2.5-flash", {"effort": "none"}, {}, {"thinkingBudget": 0}),
    "least budget of a pro": ("gemini-2.5-pro", {"effort": "none"}, {}, {"thinkingBudget": 128}),
    "a model that can't": ("gemini-2.0-flash", {"effort": "high"}, {}, None),
    "another model": ("gemma-3-27b-it", {"effort": "high"}, {}, None),
    "a tuned model of a known generation": (
        "tunedModels/mine",
        {"effort": "low"},
        {"generation": 2.5},
        {"includeThoughts": True, "thinkingBudget": 1024},
    ),
}


@pytest.mark.parametrize(("name", "reasoning", "options", "expected"), THOUGHTS.values(), ids=THOUGHTS)
def test_effort_is_a_level_or_a_budget_as_the_model_takes_it(
    name: str, reasoning: Any, options: dict[str, Any], expected: Any
) -> None:
    alias = name.startswith("tunedModels") or name == "gemini-flash-latest"
    made = sent({"model": name, "reasoning": reasoning}, accepted=not alias, **options)
    assert made == ({} if expected is None else config(thinkingConfig=expected))


FREE_TEXT = {"type": "string", "description": "The whole input, as free text."}
F = {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None}
SENT_F = {"tools": [{"functionDeclarations": [{"name": "f"}]}]}
SEARCH = {"type": "web_search"}
MIXED = {"toolConfig": {"includeServerSideToolInvocations": True}}


def mode(name: str, **more: Any) -> dict[str, Any]:
    return {"toolConfig": {"functionCallingConfig": {"mode": name, **more}}}


TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nulls are dropped": ({"tools": [F]}, SENT_F),
    "an empty list": ({"tools": []}, {}),
    "no parameters": ({"tools": [{**F, "parameters": {"type": "object", "properties": {}}}]}, SENT_F),
    "a whole function": (
        {"tools": [{**F, "description": "d", "parameters": SCHEMA, "strict": False}]},
        {
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parametersJsonSchema": SCHEMA}]},
            ]
        },
    ),
    "a hosted tool": (
        {"tools": [{"type": "serverless:clock"}]},
        {"tools": [{"functionDeclarations": [{"name": "clock"}]}]},
    ),
    "a namespace": (
        {"tools": [{"type": "namespace", "name": "mcp__x", "tools": [F]}]},
        {"tools": [{"functionDeclarations": [{"name": "mcp__x__f"}]}]},
    ),
    "a free-text tool": (
        {"tools": [{"type": "custom", "name": "say", "description": "Say."}]},
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "say",
                            "description": "Say.",
                            "parametersJsonSchema": {
                                "required": ["input"],
                                "properties": {"input": FREE_TEXT},
                                "type": "object",
                                "additionalProperties": False,
                            },
                        }
                    ]
                }
            ]
        },
    ),
    "a name that begins with a digit": (
        {"tools": [{**F, "name": "3d"}]},
        {"tools": [{"functionDeclarations": [{"name": tool_names([]).wire("3d")}]}]},
    ),
    "auto": ({"tools": [F], "tool_choice": "auto"}, SENT_F),
    "none": ({"tools": [F], "tool_choice": "none", "parallel_tool_calls": True}, {}),
    "required": ({"tools": [F], "tool_choice": "required"}, {**SENT_F, **mode("ANY")}),
    "strict": ({"tools": [{**F, "strict": True}]}, {**SENT_F, **mode("VALIDATED")}),
    "one by name": (
        {"tools": [F, {"type": "serverless:clock"}], "tool_choice": {"type": "function", "name": "f"}},
        {**SENT_F, **mode("ANY", allowedFunctionNames=["f"])},
    ),
    "Google's search": ({"tools": [SEARCH]}, {"tools": [{"googleSearch": {}}]}),
    "Google's search beside functions": (
        {"tools": [F, SEARCH]},
        {"tools": [*SENT_F["tools"], {"googleSearch": {}}], **MIXED},
    ),
    "Google's search where it isn't for now": ({"tools": [F, SEARCH], "model": "gemini-2.5-flash"}, SENT_F),
    "a search that must not leave OpenAI's cache": ({"tools": [{**SEARCH, "external_web_access": False}]}, {}),
    "Google's sandbox": ({"tools": [{"type": "code_interpreter"}]}, {"tools": [{"codeExecution": {}}]}),
}


@pytest.mark.parametrize(("fields", "expected"), TOOLS.values(), ids=TOOLS)
def test_tools_are_offered_as_functions(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(fields) == expected


HISTORIES: dict[str, tuple[list[Any], list[Any]]] = {
    "messages of the user are one content": ([USER, {"role": "user", "content": "Ho"}], [user("Hi", "Ho")]),
    "an empty message is none": (
        [USER, said("Yes."), {"role": "user", "content": ""}, said("?"), USER],
        [user("Hi"), model("Yes.", "?"), user("Hi")],
    ),
    "text and calls of a step are one content, its outputs the next": (
        [USER, said("I look."), call("a"), call("b", arguments='{"x":1}'), output("b", "2"), output("a", "1")],
        [user("Hi"), model("I look.", made("a", SKIP), made("b", x=1)), user(answer("a", "1"), answer("b", "2"))],
    ),
    "a message of the user after the outputs is its own content": (
        [USER, call("a"), output("a"), USER],
        [user("Hi"), model(made("a", SKIP)), user(answer("a")), user("Hi")],
    ),
    "steps stay apart": (
        [USER, call("a"), output("a"), said("So."), call("b"), output("b"), call("c"), output("c")],
        [
            user("Hi"),
            model(made("a", SKIP)),
            user(answer("a")),
            model("So.", made("b", SKIP)),
            user(answer("b")),
            model(made("c", SKIP)),
            user(answer("c")),
        ],
    ),
    "interleaved calls and outputs of a reasoning model's step are one content": (
        [USER, thought(), call("a"), output("a"), call("b"), output("b")],
        [user("Hi"), model(made("a", SKIP), made("b")), user(answer("a"), answer("b"))],
    ),
    "an unanswered call gets an output": (
        [USER, call("a"), USER],
        [user("Hi"), model(made("a", SKIP)), user(answer("a", "(no output)")), user("Hi")],
    ),
    "an output that comes late moves to its call": (
        [USER, call("a"), USER, output("a")],
        [user("Hi"), model(made("a", SKIP)), user(answer("a")), user("Hi")],
    ),
    "ids may come again": (
        [USER, call("a"), output("a", "1"), call("a"), output("a", "2")],
        [user("Hi"), model(made("a", SKIP)), user(answer("a", "1")), model(made("a", SKIP)), user(answer("a", "2"))],
    ),
    "a hosted call has its output, or what went wrong": (
        [USER, clock("a", "noon"), clock("b", "it broke", "failed"), clock("c", None, "incomplete")],
        [
            user("Hi"),
            model(made("a", SKIP, "clock")),
            user(answer("a", "noon", "clock")),
            model(made("b", SKIP, "clock")),
            user(answer("b", "it broke", "clock", "error")),
            model(made("c", SKIP, "clock")),
            user(answer("c", "(no output)", "clock")),
        ],
    ),
    "a hosted call among the client's stays with them": (
        [USER, call("a"), clock("b", "noon"), call("c"), output("a"), output("c")],
        [
            user("Hi"),
            model(made("a", SKIP), made("b", name="clock"), made("c")),
            user(answer("a"), answer("b", "noon", "clock"), answer("c")),
        ],
    ),
    "a custom call is a function call": (
        [
            USER,
            {"type": "custom_tool_call", "call_id": "a", "name": "say", "input": 'é "q"'},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "said"},
        ],
        [user("Hi"), model(made("a", SKIP, "say", input='é "q"')), user(answer("a", "said", "say"))],
    ),
    "a call in a namespace has the name that the model knows": (
        [USER, call("a", namespace="mcp__"), output("a")],
        [user("Hi"), model(made("a", SKIP, "mcp__f")), user(answer("a", name="mcp__f"))],
    ),
    "another provider's names and ids": (
        [USER, call("functions.x:0/é", name="-x." * 40), output("functions.x:0/é")],
        [
            user("Hi"),
            model(made("functions.x:0/é", SKIP, tool_names([]).wire("-x." * 40))),
            user(answer("functions.x:0/é", name=tool_names([]).wire("-x." * 40))),
        ],
    ),
    "arguments are always an object": (
        [USER, call("a", arguments=""), call("b", arguments='{"x'), call("c", arguments="[" * 9999)],
        [
            user("Hi"),
            model(made("a", SKIP)),
            user(answer("a", "(no output)")),
            model(made("b", SKIP, invalid_arguments='{"x')),
            user(answer("b", "(no output)")),
            model(made("c", SKIP, invalid_arguments="[" * 9999)),
            user(answer("c", "(no output)")),
        ],
    ),
    "a tool's text is joined": (
        [USER, call("a"), output("a", [{"type": "input_text", "text": "1"}, {"type": "input_text", "text": "2"}])],
        [user("Hi"), model(made("a", SKIP)), user(answer("a", "1\n2"))],
    ),
    "a tool's image is in its response": (
        [
            USER,
            call("a"),
            output(
                "a",
                [
                    {"type": "input_text", "text": "1"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
                ],
            ),
        ],
        [
            user("Hi"),
            model(made("a", SKIP)),
            user(answer("a", "1", parts=[{"inlineData": {"mimeType": "image/png", "data": "AA=="}}])),
        ],
    ),
    "a tool's image of the web follows": (
        [
            USER,
            call("a"),
            call("b"),
            output("a", [{"type": "input_image", "image_url": "https://x.test/i.png"}]),
            output("b"),
            {"role": "user", "content": "And?"},
        ],
        [
            user("Hi"),
            model(made("a", SKIP), made("b")),
            user(answer("a", "[1 attached in the user's turn that follows]"), answer("b")),
            user(
                "Attached by the tool call a:",
                {"fileData": {"fileUri": "https://x.test/i.png", "mimeType": "image/png"}},
                "And?",
            ),
        ],
    ),
    "the user has the first word and the last": (
        [said("Hello."), USER, said("Yes.")],
        [user("(go on)"), model("Hello."), user("Hi"), model("Yes."), user("(go on)")],
    ),
    "instructions alone": ([{"role": "developer", "content": "Say it."}], [user("(go on)")]),
    "calls first": (
        [call("a"), output("a")],
        [user("(go on)"), model(made("a", SKIP)), user(answer("a"))],
    ),
    "a refusal is what the model said": (
        [USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, USER],
        [user("Hi"), model("No."), user("Hi")],
    ),
    "thoughts are not sent": ([USER, thought(), said("Yes."), USER], [user("Hi"), model("Yes."), user("Hi")]),
    "another's state is not sent": (
        [USER, {**thought(), "encrypted_content": "gAAAA"}, said("Yes."), USER],
        [user("Hi"), model("Yes."), user("Hi")],
    ),
    "other implementors' items are not sent": ([USER, {"type": "acme:thing", "part": {"x": 1}}], [user("Hi")]),
}


@pytest.mark.parametrize(("items", "expected"), HISTORIES.values(), ids=HISTORIES)
def test_the_history_becomes_contents(items: list[Any], expected: list[Any]) -> None:
    assert contents(items) == expected


CODE = {"executableCode": {"language": "PYTHON", "code": "1"}}
SIGNED: dict[str, tuple[list[Any], list[Any]]] = {
    "the signature is on the call that follows": (
        [USER, thought(next=S), call("a"), output("a")],
        [user("Hi"), model(made("a", S)), user(answer("a"))],
    ),
    "only the first of parallel calls is signed": (
        [USER, thought(next=S), call("a"), call("b"), output("a"), output("b")],
        [user("Hi"), model(made("a", S), made("b")), user(answer("a"), answer("b"))],
    ),
    "parallel hosted calls stay one step": (
        [USER, thought(next=S), clock("a", "1"), clock("b", "2"), thought(next=U), clock("c", "3")],
        [
            user("Hi"),
            model(made("a", S, "clock"), made("b", name="clock")),
            user(answer("a", "1", "clock"), answer("b", "2", "clock")),
            model(made("c", U, "clock")),
            user(answer("c", "3", "clock")),
        ],
    ),
    "a second signature in a step": (
        [USER, thought(next=S), clock("a", "1"), thought(next=U, calls=1), clock("b", "2")],
        [
            user("Hi"),
            model(made("a", S, "clock"), made("b", U, "clock")),
            user(answer("a", "1", "clock"), answer("b", "2", "clock")),
        ],
    ),
    "text before a signed call": (
        [USER, thought(), said("I look."), thought(next=S), call("a"), output("a")],
        [user("Hi"), model("I look.", made("a", S)), user(answer("a"))],
    ),
    "a text's signature on an empty text": (
        [USER, said("Yes."), thought(spoken=[[4, "", S]], length=4), USER],
        [user("Hi"), model("Yes.", {"text": "", "thoughtSignature": S}), user("Hi")],
    ),
    "a text's signature on its end": (
        [USER, said("Yes, so."), thought(spoken=[[4, " so.", S]], length=8), USER],
        [user("Hi"), model("Yes,", {"text": " so.", "thoughtSignature": S}), user("Hi")],
    ),
    "a text's signatures within it": (
        [USER, said("abcd"), thought(spoken=[[0, "a", S], [2, "c", U]], length=4), USER],
        [
            user("Hi"),
            model({"text": "a", "thoughtSignature": S}, "b", {"text": "c", "thoughtSignature": U}, "d"),
            user("Hi"),
        ],
    ),
    "a signed empty text of its own": (
        [USER, call("a"), thought(spoken=[[0, "", S]], length=0), output("a")],
        [user("Hi"), model(made("a", SKIP), {"text": "", "thoughtSignature": S}), user(answer("a"))],
    ),
    "a text that was changed is unsigned": (
        [USER, said("No."), thought(spoken=[[0, "Yes.", S]], length=4), USER],
        [user("Hi"), model("No."), user("Hi")],
    ),
    "a signed thought": (
        [USER, thought("seen", thought="T", signature=S), said("Yes."), USER],
        [user("Hi"), model({"text": "T", "thought": True, "thoughtSignature": S}, "Yes."), user("Hi")],
    ),
    "a signature whose part was dropped": (
        [USER, thought(next=S), said("Yes."), call("a"), output("a")],
        [user("Hi"), model("Yes.", made("a", SKIP)), user(answer("a"))],
    ),
    "what another model's Google ran itself": (
        [
            USER,
            {"type": "google:executable_code", "part": CODE},
            {"type": "google:tool_call", "part": {"toolCall": {}}},
            thought(spoken=[[0, "", S]], length=0),
            USER,
        ],
        [user("Hi"), model(CODE, {"text": "", "thoughtSignature": S}), user("Hi")],
    ),
    "what Google ran itself": (
        [USER, thought(next=S), {"type": "google:executable_code", "part": CODE}, said("1"), USER],
        [user("Hi"), model({**CODE, "thoughtSignature": S}, "1"), user("Hi")],
    ),
}


@pytest.mark.parametrize(("items", "expected"), SIGNED.values(), ids=SIGNED)
def test_a_signature_goes_back_on_the_part_it_came_on(items: list[Any], expected: list[Any]) -> None:
    assert contents(items) == expected


def test_earlier_models_get_no_dummy_signature_and_no_media_in_responses() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    assert contents([USER, call("a"), output("a", [image])], "gemini-2.5-flash") == [
        user("Hi"),
        model(made("a")),
        user(answer("a", "[1 attached in the user's turn that follows]")),
        user("Attached by the tool call a:", {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
    ]


def file(uri: str, mime_type: str | None = None) -> dict[str, Any]:
    return {"fileData": {"fileUri": uri, **({"mimeType": mime_type} if mime_type else {})}}


def inline(mime_type: str, data: str = "AA==") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": data}}


USER_PARTS = {
    "texts": ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], ["a", "b"]),
    "an image": (
        [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "original"}],
        [inline("image/png")],
    ),
    "an image of the web": (
        [{"type": "input_image", "image_url": "https://x.test/a.jpg?s=1"}],
        [file("https://x.test/a.jpg?s=1", "image/jpeg")],
    ),
    "an image without a known type": (
        [{"type": "input_image", "image_url": "https://x.test/a"}],
        [file("https://x.test/a")],
    ),
    "a data URL": (
        [{"type": "input_file", "file_data": "data:text/plain;charset=utf-8;base64,AA=="}],
        [inline("text/plain")],
    ),
    "bare data": ([{"type": "input_file", "filename": "x.pdf", "file_data": "AA=="}], [inline("application/pdf")]),
    "a file of the web": (
        [{"type": "input_file", "filename": "x.pdf", "file_url": "https://x.test/1"}],
        [file("https://x.test/1", "application/pdf")],
    ),
    "a file in Cloud Storage": (
        [{"type": "input_file", "file_url": "gs://b/x.pdf"}],
        [file("gs://b/x.pdf", "application/pdf")],
    ),
    "a video": ([{"type": "input_video", "video_url": "https://youtu.be/x"}], [file("https://youtu.be/x")]),
}


@pytest.mark.parametrize(("content", "expected"), USER_PARTS.values(), ids=USER_PARTS)
def test_a_user_s_parts_are_sent(content: list[Any], expected: list[Any]) -> None:
    made = body({"input": [{"role": "user", "content": content}]}, shared_files="gs://" in json.dumps(content))
    assert made["contents"] == [user(*expected)]


def asked(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"input": [{"role": role, "content": [*parts]}]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "'input_image' without 'image_url'": (asked({"type": "input_image", "file_id": "f"}), "input"),
    "'input_image' with a URL": (asked({"type": "input_image", "image_url": "ftp://x"}), "input"),
    "'input_image' with a data URL": (asked({"type": "input_image", "image_url": "data:image/svg,<svg/>"}), "input"),
    "'input_file' without 'file_data' or": (asked({"type": "input_file", "file_id": "f"}), "input"),
    "'input_file' with 'file_data' whose type": (asked({"type": "input_file", "file_data": "AA=="}), "input"),
    "'input_image' in a message of role 'system'": (
        asked({"type": "input_image", "image_url": "https://x"}, role="system"),
        "input",
    ),
    "compaction": ({"input": [USER, {"type": "compaction", "encrypted_content": "e"}]}, "input"),
    "call_id 'z'": ({"input": [USER, output("z")]}, "input"),
    "'file_search'": ({"tools": [{"type": "file_search"}]}, "tools"),
    "'code_interpreter'": ({"tools": [F, {"type": "code_interpreter"}], "model": "gemini-2.5-pro"}, "tools"),
    "its own tools": ({"tools": [SEARCH], "tool_choice": "required"}, "tool_choice"),
    "the tool 'f'": ({"tools": [{**F, "parameters": {"$ref": "https://x.test/schema"}}]}, "tools"),
    "the tool 'f' are no object's": ({"tools": [{**F, "parameters": {"type": "array"}}]}, "tools"),
    "schema of the answer": (
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"$ref": "x.json"}}}},
        "text.format.schema",
    ),
}


@pytest.mark.parametrize(("what", "case"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_sent_is_refused(what: str, case: tuple[dict[str, Any], str]) -> None:
    fields, param = case
    with pytest.raises(RequestError) as raised:
        encode(turn(**fields), settings())
    assert (what in raised.value.message, raised.value.param) == (True, param), raised.value.message


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


TEXT = {"type": "string"}
SCHEMAS: dict[str, tuple[Any, Any]] = {
    "what is known stays": (
        {**obj(a={"type": ["string", "null"], "format": "date"}), "required": ["a"], "additionalProperties": False},
        {**obj(a={"type": ["string", "null"], "format": "date"}), "required": ["a"], "additionalProperties": False},
    ),
    "a property may have a keyword's name": (obj(title=TEXT, default=TEXT), obj(title=TEXT, default=TEXT)),
    "annotations are dropped": ({"$schema": "s", "$comment": "c", "title": "t", "examples": [1], **TEXT}, TEXT),
    "constants": (
        obj(a={"const": "x"}, b={"const": 1}, c={"const": True}, d={"enum": ["x", None]}, e={"enum": [1, 2]}),
        obj(
            a={"type": "string", "enum": ["x"]},
            b={"type": "integer", "enum": [1]},
            c={"type": "boolean"},
            d={"type": ["string", "null"], "enum": ["x"]},
            e={"type": "integer", "enum": [1, 2]},
        ),
    ),
    "nullable": ({**TEXT, "nullable": True}, {"type": ["string", "null"]}),
    "unknown limits are said in words": (
        {**TEXT, "description": "A zip.", "pattern": "^[0-9]+$", "maxLength": 5, "format": "zip"},
        {**TEXT, "description": 'A zip. (format: "zip", pattern: "^[0-9]+$", maxLength: 5)'},
    ),
    "unions": ({"oneOf": [TEXT, {"const": 1}]}, {"anyOf": [TEXT, {"type": "integer", "enum": [1]}]}),
    "definitions": (
        {**obj(a={"$ref": "#/definitions/A", "description": "d"}), "definitions": {"A": {"const": "x"}}},
        {**obj(a={"$ref": "#/$defs/A"}), "$defs": {"A": {"type": "string", "enum": ["x"]}}},
    ),
    "one schema of all": (obj(a={"allOf": [{"$ref": "#/$defs/A"}], "default": 1}), obj(a={"$ref": "#/$defs/A"})),
    "all of some": (
        {**obj(a=TEXT), "required": ["a"], "allOf": [{**obj(b=TEXT), "required": ["b"]}, {"description": "d"}]},
        {"description": "d", "required": ["a", "b"], **obj(a=TEXT, b=TEXT)},
    ),
    "tuples": (
        {"type": "array", "items": [TEXT, {"const": 1}], "minItems": 2},
        {"minItems": 2, "type": "array", "prefixItems": [TEXT, {"type": "integer", "enum": [1]}]},
    ),
    "lists and maps": (
        {"type": "object", "additionalProperties": {"type": "array", "items": {"const": "x"}, "uniqueItems": True}},
        {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string", "enum": ["x"]}}},
    ),
}


@pytest.mark.parametrize(("schema", "expected"), SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_is_said_in_the_keywords_that_gemini_knows(schema: Any, expected: Any) -> None:
    assert translated(schema) == expected


def test_a_schema_with_several_references_in_all_of_is_refused() -> None:
    with pytest.raises(ValueError, match="'allOf' with references"):
        translated({"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]})


names = st.from_regex(r"[a-zA-Z0-9_.-]{1,128}", fullmatch=True)


@given(names)
def test_a_function_s_name_is_always_one_that_gemini_takes(name: str) -> None:
    (declared,) = body({"tools": [{**F, "name": name}]})["tools"][0]["functionDeclarations"]
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,63}", declared["name"])


@given(st.lists(names, unique=True, max_size=20))
def test_different_names_stay_different(each: list[str]) -> None:
    known = tool_names([])
    assert len({known.wire(name) for name in each}) == len(each)


texts = st.sampled_from(["", "a", "b"])
images = st.sampled_from(["data:image/png;base64,AA==", "https://x.test/i.png"])
outputs = texts | st.lists(images.map(lambda url: {"type": "input_image", "image_url": url}), max_size=2)
pieces = st.one_of(
    st.tuples(st.sampled_from(["user", "assistant", "developer"]), texts).map(
        lambda m: {"role": m[0], "content": m[1]}
    ),
    st.sampled_from([thought(), {**thought(), "encrypted_content": "another's"}, {"type": "acme:thing"}]),
    st.builds(clock, st.just("h"), st.none() | texts, st.sampled_from(["completed", "failed", "incomplete"])),
    st.lists(st.tuples(names, st.none() | st.tuples(st.integers(0, 3), outputs)), min_size=1, max_size=3),
)


def unrolled(each: list[Any]) -> list[Any]:
    """Calls, and their outputs some items later, or never."""
    items, later = list[Any](), list[tuple[int, Any]]()
    for place, piece in enumerate(each):
        items += [late for due, late in later if due == place]
        for index, made in enumerate(piece if isinstance(piece, list) else ()):
            name, answered = made
            items.append(call(f"functions.{name}:{place}.{index}", name))
            if answered:
                later.append((place + 1 + answered[0], output(items[-1]["call_id"], answered[1])))
        items += [] if isinstance(piece, list) else [piece]
    return items + [late for due, late in later if due >= len(each)]


@given(st.lists(pieces, max_size=8), st.sampled_from(["gemini-2.5-flash", MODEL, "gemini-3.8-flash"]))
def test_any_history_of_other_providers_is_accepted(each: list[Any], name: str) -> None:
    sent = body({"input": [*unrolled(each), {"role": "developer", "content": "Be quick."}], "model": name})
    assert sent["contents"][0]["role"] == "user"


def test_the_start_of_the_prompt_stays_the_same_from_turn_to_turn() -> None:
    items = [USER, clock("a", "1"), clock("b", "2"), clock("c", "3"), said("So."), USER, clock("d", "4")]
    whole = contents(items)
    made = [contents(items[:count]) for count in (1, 2, 3, 4, 6)]
    assert [whole[: len(each)] for each in made] == made


URLS = {
    "a model": (
        "https://generativelanguage.googleapis.com/v1beta",
        "gemini-3-flash-preview",
        "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
    ),
    "a base URL with a query": (
        "https://proxy.test/v1beta/?tenant=1",
        "models/gemini-3-flash-preview",
        "/v1beta/models/gemini-3-flash-preview:streamGenerateContent?tenant=1&alt=sse",
    ),
    "a tuned model": (
        "https://x.test/v1beta",
        "tunedModels/a b?",
        "/v1beta/tunedModels/a%20b%3F:streamGenerateContent?alt=sse",
    ),
    "Vertex": (
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global",
        "publishers/google/models/gemini-3-flash-preview",
        "/v1/projects/p/locations/global/publishers/google/models/gemini-3-flash-preview:streamGenerateContent?alt=sse",
    ),
}


@pytest.mark.parametrize(("base_url", "name", "path"), URLS.values(), ids=URLS)
async def test_the_model_is_in_the_path_and_the_key_in_a_header(base_url: str, name: str, path: str) -> None:
    requests: list[httpx2.Request] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(200, content=b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n')

    configured = ProviderSettings(name="v", dialect="gemini", base_url=base_url, api_key=" secret-key\n")
    provider = gemini.connect(configured, Answered(answered))
    assert len([delta async for delta in provider.stream(turn(name))]) == 1
    await provider.aclose()
    assert (requests[0].url.raw_path.decode(), requests[0].headers["x-goog-api-key"]) == (path, "secret-key")


@pytest.mark.parametrize("name", ["../files/x", "models/../x", "models//x", "models/.", "/x", "x/"])
async def test_a_model_s_name_never_leads_to_another_address(name: str) -> None:
    provider = gemini.connect(settings(), Answered(lambda _: httpx2.Response(200)))
    with pytest.raises(RequestError, match="model's name"):
        await anext(provider.stream(turn(name)))
    await provider.aclose()


@pytest.mark.parametrize(
    ("base_url", "options"),
    [
        ("", {}),
        ("ftp://x.test", {}),
        ("x.test/v1beta", {}),
        ("http://x.test", {"unknown": 1}),
        ("http://x.test", {"generation": "latest"}),
    ],
)
def test_settings_that_cannot_work_are_refused(base_url: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="provider 'v'"):
        connect(settings(base_url, **options))


def test_on_vertex_google_s_own_tools_are_not_offered_beside_functions() -> None:
    vertex = "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"
    assert sent({"tools": [F, SEARCH]}, base_url=vertex) == SENT_F
