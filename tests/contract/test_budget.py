"""A request's budget: what is too long, too deep or no number is refused by its place, and what clients send is not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from openresponses.api import headers
from openresponses.api.body import parse_create
from openresponses.core.errors import BodyTooLarge, RequestError
from openresponses.core.json import loads, object_of
from openresponses.parsing import budget
from openresponses.schema import limits
from tests.contract.encoding import Encoding
from tests.unit.kit import Json

LIMITS = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()


def refused(**fields: Any) -> RequestError:
    with pytest.raises(RequestError) as raised:
        parse_create(json.dumps({"model": "m", "input": "hi", **fields}).encode())
    return raised.value


def said(text: str = "hi") -> Json:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"input": [said("a" * 200)] * 8193}, "input", "must have at most 8192 entries"),
        ({"tools": [{"type": "web_search"}] * 1025}, "tools", "must have at most 1024 entries"),
        ({"include": ["a"] * 65}, "include", "must have at most 64 entries"),
        ({"include": ["a" * 65]}, "include[0]", "must have at most 64 characters"),
        ({"model": "m" * 2049}, "model", "must have at most 2048 characters"),
        ({"previous_response_id": "r" * 2049}, "previous_response_id", "must have at most 2048 characters"),
        ({"input": [{**said(), "id": "i" * 2049}]}, "input[0].id", "must have at most 2048 characters"),
        ({"input": [{"type": "acme:" + "n" * 260}]}, "input[0].type", "must have at most 256 characters"),
        ({"metadata": {str(n): 1 for n in range(5000)}}, "metadata", "must have at most 16 entries"),
        (
            {"provider": {"options": {str(n): 1 for n in range(5000)}}},
            "provider.options",
            "must have at most 16 entries",
        ),
        ({"max_output_tokens": 2**31}, "max_output_tokens", "must be at most 2.14748e+09"),
        ({"input": [1] * 6000}, "input[0]", "must be an object"),
        (
            {"input": [said(), *[{"role": "user", "content": [1] * 8000}] * 3]},
            "input[1].content[0]",
            "must be an object",
        ),
    ],
)
def test_what_is_too_long_is_refused_by_its_place(fields: Json, param: str, message: str) -> None:
    error = refused(**fields)
    assert error.param == param
    assert message in error.message


NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", "9" * 400 + ".0"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda each: each[:9])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        ('{"model":"m","temperature":?}', "temperature"),
        ('{"model":"m","max_output_tokens":?}', "max_output_tokens"),
        ('{"model":"m","metadata":{"a":?}}', "metadata.a"),
        ('{"model":"m","tools":[{"type":"function","name":"f","parameters":{"a":[1,{"b":?}]}}]}',
         "tools[0].parameters.a[1].b"),
        ('{"model":"m","provider":{"options":{"a":{"top_k":?}}}}', "provider.options.a.top_k"),
        ('{"model":"m","text":{"format":{"type":"json_schema","name":"n","schema":{"minimum":?}}}}',
         "text.format.schema.minimum"),
        ('{"model":"m","input":[{"type":"acme:note","x":[?]}]}', "input[0].x[0]"),
        ('{"model":"m","unknown":?}', "unknown"),
    ],
)  # fmt: skip
def test_a_number_that_json_does_not_have_is_refused_by_its_place(number: str, body: str, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        parse_create(body.replace("?", number).encode())
    assert (raised.value.param, raised.value.status) == (param, 400)
    assert raised.value.message.startswith(f"'{param}' must be a number that JSON has")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_what_nests_too_deeply_is_refused_by_its_place(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deep = opening * budget.MAX_DEPTH + "1" + closing * budget.MAX_DEPTH
    with pytest.raises(RequestError, match=r"is nested more than 100 levels deep$") as raised:
        parse_create(f'{{"model":"m","prompt":{{"b":{deep}}}}}'.encode())
    assert (raised.value.param or "").startswith("prompt.b")


@pytest.mark.parametrize("each", ["{}", "1", '""', "[]"])
def test_a_body_has_a_budget_of_values(each: str) -> None:
    with pytest.raises(BodyTooLarge, match=r"^A body of \d+ bytes has at most \d+ (values|objects)$"):
        parse_create(('{"model":"m","x":[' + ",".join([each] * 60_000) + "]}").encode())


def test_a_deep_schema_is_stored_and_read_again() -> None:
    deep: Any = {}
    for _ in range(budget.MAX_DEPTH - 5):
        deep = {"not": deep}
    parsed = parse_create(json.dumps({"model": "m", "moderation": deep}).encode())
    assert parse_create(parsed.model_dump_json().encode()) == parsed


LONG: dict[str, Json] = {
    "five thousand items": {
        "input": [
            each
            for n in range(1250)
            for each in (
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": f"question {n} " * 20}]},
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": None},
                {"type": "function_call", "call_id": f"call_{n}", "name": "exec", "arguments": '{"cmd": ["ls"]}'},
                {"type": "function_call_output", "call_id": f"call_{n}", "output": "a file\n" * 20},
            )
        ]
    },
    "a large image": {
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_image", "image_url": "data:image/png;base64," + "QUJD" * 1_300_000}],
            }
        ]
    },
    "five hundred tools": {
        "input": "hi",
        "tools": [
            {
                "type": "namespace",
                "name": f"mcp__{n}__",
                "tools": [
                    {
                        "type": "function",
                        "name": f"tool_{m}",
                        "description": "What it does, and when it is to be used. " * 8,
                        "parameters": {
                            "type": "object",
                            "properties": {f"p{p}": {"type": "string", "description": "Of what."} for p in range(6)},
                            "required": ["p0"],
                        },
                    }
                    for m in range(20)
                ],
            }
            for n in range(25)
        ],
    },
    "a long text with every mark": {"input": '{"a": [1, 2, 3]}, ' * 200_000},
}


@pytest.mark.parametrize("asked", LONG.values(), ids=LONG)
async def test_what_real_clients_send_is_within_it(asked: Json) -> None:
    encoding = Encoding()
    for model in encoding.models:
        answer = await encoding.client("t").post("/v1/responses", json={"model": model, "store": False, **asked})
        assert answer.status_code == 200, answer.text[:500]


async def test_ids_and_names_that_collide_take_no_longer() -> None:
    """Each was compared with all before it once: 3,000 items took 4.5 million steps."""
    file = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,QUJD"}
    items = [{"id": "same", "role": "user", "content": [file]} for _ in range(3000)]
    encoding = Encoding()
    (bedrock,) = (model for model in encoding.models if model.startswith("bedrock"))
    answer = await encoding.client("t").post("/v1/responses", json={"model": bedrock, "store": False, "input": items})
    assert answer.status_code == 200


async def test_a_request_offers_so_many_tools_with_those_in_namespaces() -> None:
    many = [{"type": "custom", "name": f"t{n}"} for n in range(600)]
    spaces = [{"type": "namespace", "name": f"n{n}", "tools": many} for n in range(2)]
    answer = (
        await Encoding()
        .client("t")
        .post("/v1/responses", json={"model": "offline/demo", "input": "hi", "tools": spaces})
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools[1]")


async def test_a_tool_is_chosen_by_a_type_that_it_can_have() -> None:
    """A response shows the choice: another type would be none of the standard's."""
    tools = [{"type": "function", "name": "f"}]
    for kind, status in (("function", 200), ("functnullion", 400)):
        chosen = {"type": "allowed_tools", "tools": [{"type": kind, "name": "f"}]}
        answer = (
            await Encoding()
            .client("t")
            .post("/v1/responses", json={"model": "offline/demo", "input": "hi", "tools": tools, "tool_choice": chosen})
        )
        assert answer.status_code == status


async def test_an_idempotency_key_has_a_length() -> None:
    sent = {"content": b'{"model":"offline/demo","input":"hi"}', "headers": {"content-type": "application/json"}}
    for length, status in ((headers.MAX_KEY, 200), (headers.MAX_KEY + 1, 400)):
        sent["headers"] = {**sent["headers"], "idempotency-key": "k" * length}
        answer = await Encoding().client("t").post("/v1/responses", **sent)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("text", "read"),
    [("", {}), ("{}", {}), ("[]", None), ('{"a":NaN}', None), ('{"a":1e999}', None), ("[" * 9999, None), ("{", None),
     ('{"a":' + "[" * 300 + "]" * 300 + "}", None), ('{"a":"\\ud83d"}', {"a": "\ud83d"}), ("9" * 5000, None)],
    ids=lambda each: str(each)[:12],
)  # fmt: skip
def test_what_a_model_wrote_is_an_object_of_json_or_it_is_not(text: str, read: Json | None) -> None:
    assert object_of(text) == read


def test_what_is_read_can_be_written_again() -> None:
    for surrogate in ("", '"\\ud83d",'):
        with pytest.raises(ValueError, match=r"."):
            loads(f"[{surrogate}" + "[" * 250 + "]" * 250 + "]")


def test_the_page_of_limits_tells_these() -> None:
    told = {int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", LIMITS)}
    fields = {value for name, value in vars(limits).items() if name.startswith("MAX_")}
    body = {budget.VALUES, budget.BYTES_OF_VALUE, budget.OBJECTS, budget.BYTES_OF_OBJECT, budget.MAX_DEPTH}
    assert {*fields, *body, headers.MAX_KEY} <= told
