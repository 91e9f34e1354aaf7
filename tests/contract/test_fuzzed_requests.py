"""Requests that nobody would write: not one is answered with a 500, whatever is wrong with it.

Real bodies are changed as structures (values, names, types, depth, length) and as bytes; so are paths, queries and
headers. Providers encode what came through, in all dialects.
"""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from typing import Any

import httpx2
import pytest

from openresponses.schema.request import CreateResponse
from tests.contract.encoding import Encoding
from tests.contract.test_api_problems import SERVED, WRONG, places
from tests.conversations import folded
from tests.openresponses_schema import check_response
from tests.sweeps import Sweep

REQUESTS = 20_000
SAMPLE = 400
SHARES = 8
OF_ONE_HOUSE = 400
Path = tuple[str | int, ...]


def deep(kind: str, levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind == "list" else {"a": value}
    return value


TEXTS = [
    "http://[", "http://[v", "https://a]b", "http://\u2100/", "//", "data:", "data:;base64,\0", "data:,%zz", "s3://", "gs://",
    "data:image/png;base64,!", "[" * 3000, '{"a":' * 400 + "1" + "}" * 400, '{"input":' + "[" * 150 + "]" * 150 + "}",
    '{"n":1e999}', '{"n":NaN}', '{"input":"\\ud800"}', "\0", "\x7f\x1b[31m", "\U0001d4b3", "\u202e", "a" * 3000,
    "serverless:", "serverless:clock", "a:b", "ext_", "ext_1", "resp_1", "__fake_id__", "..", "../../x", "%00", "%ff",
    "0001-01-01T00:00:00Z", "(a+)+$", "\\", "{", "}", "null", "true", "1e999", "-", "${x}", "{0}", "%s", "web_search",
    "9" * 400,
]  # fmt: skip
"""Each is what some parser of text raises an exception of its own at."""
VALUES: list[Any] = [
    *WRONG, *TEXTS, -0.0, 1e308, 5e-324, 2**31, 2**53 + 1, 2**64, -(10**40), 10**400, float("inf"), -float("inf"),
    deep("list", 60), deep("dict", 90), deep("list", 150), deep("dict", 190), ["a"] * 300, [[]] * 50, [{}] * 50,
    {"": ""}, {"__proto__": {}}, {"$ref": "#"}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}, {"type": "message", "role": "user"},
    {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}] * 9},
]  # fmt: skip
ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user"},
    {"type": "message", "role": "assistant", "content": [{"type": "refusal"}]},
    {"type": "function_call", "call_id": "c8", "name": "f", "arguments": "?"},
    {"type": "function_call_output", "call_id": "c1", "output": "?"},
    {"type": "custom_tool_call", "call_id": "c9", "name": "note", "input": "?"},
    {"type": "serverless:clock", "call_id": "c3", "name": "clock", "arguments": "?", "output": "?"},
    {"type": "tool_search_call", "call_id": "c9", "arguments": "?"},
    {"type": "tool_search_call", "call_id": "c9", "arguments": {"query": "?"}},
    {"type": "tool_search_output", "call_id": "c9", "tools": []},
    {"type": "local_shell_call", "call_id": "c9", "action": "?"},
    {"type": "local_shell_call_output", "id": "c9", "output": "?"},
    {"type": "shell_call", "call_id": "c9", "action": {"commands": ["?"]}},
    {"type": "shell_call_output", "call_id": "c9", "output": [{"stdout": "?"}]},
    {"type": "apply_patch_call", "call_id": "c9", "operation": "?"},
    {"type": "apply_patch_call_output", "call_id": "c9", "output": "?"},
    {"type": "computer_call", "call_id": "c9", "actions": "?"},
    {"type": "computer_call_output", "call_id": "c9", "output": {"type": "computer_screenshot", "image_url": "?"}},
    {"type": "reasoning", "encrypted_content": "?", "summary": []},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "?"}]},
    {"type": "compaction", "encrypted_content": "?"},
    {"type": "item_reference", "id": "?"},
    {"type": "additional_tools", "tools": []},
    {"type": "agent_message", "author": "a", "recipient": "b", "content": [{"type": "encrypted_content", "text": "?"}]},
    {"type": "mcp_call", "id": "ext_1", "name": "?", "arguments": "?", "output": "?"},
    {"type": "mcp_call", "server_label": "docs", "name": "?", "arguments": "?", "output": "?", "call_id": "?"},
    {"type": "mcp_call", "id": "?", "server_label": "?", "name": "look", "error": "?", "content": "?"},
    {"type": "mcp_call", "server_label": "bank", "name": "pay", "approval_request_id": "?", "status": "?"},
    {"type": "mcp_list_tools", "server_label": "docs", "tools": [{"name": "?", "input_schema": {"type": "?"}}]},
    {"type": "mcp_list_tools", "server_label": "?", "tools": "?", "error": "?"},
    {"type": "mcp_approval_request", "id": "?", "server_label": "bank", "name": "?", "arguments": "?"},
    {"type": "mcp_approval_response", "approval_request_id": "?", "approve": False, "reason": "?"},
    {"type": "mcp_approval_response", "approval_request_id": "?", "approve": True},
    {"type": "web_search_call", "id": "?", "action": {"type": "search", "query": "?"}},
    {"type": "web_search_call", "action": {"type": "?", "?": "?"}, "results": [{"url": "?", "title": "?"}]},
    {"type": "web_search_call", "action": "?", "results": "?", "error": "?", "status": "failed"},
    {"type": "google:part", "id": "ext_2", "part": {"executableCode": "?"}},
    {"type": "anthropic:block", "id": "ext_3", "block": {"type": "?"}},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "?"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_file", "file_url": "?", "filename": "?"}]},
    {"type": "message", "role": "user", "content": [{"type": "input_file", "file_data": "?", "filename": "a.pdf"}]},
]
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "z", "parameters": {"type": "object", "properties": {"a": "?"}}},
    {"type": "function", "name": "z", "parameters": {"type": "object", "properties": {"a": {"$ref": "?"}}}},
    {"type": "custom", "name": "z", "format": {"type": "grammar", "definition": "?"}},
    {"type": "namespace", "name": "z", "tools": [{"type": "custom", "name": "y", "description": "?"}]},
    {"type": "mcp", "server_label": "docs", "require_approval": "?"},
    {"type": "mcp", "server_label": "odd", "require_approval": {"never": {"tool_names": ["?"]}}, "allowed_tools": "?"},
    {"type": "mcp", "server_label": "bank", "connector_id": "?"},
    {"type": "mcp", "server_label": "?", "server_url": "?"},
    {"type": "mcp", "server_label": "?", "server_url": "?", "headers": "?", "allowed_tools": "?"},
    {"type": "web_search", "filters": "?", "user_location": "?"},
    {"type": "file_search", "vector_store_ids": ["?"]},
    {"type": "tool_search", "execution": "client", "parameters": {"required": "?"}},
    {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "?"},
    {"type": "shell", "environment": "?"},
]
"""A value of `TEXTS` or `VALUES` comes in the place of each question mark."""
CALLS: dict[str, Any] = {
    "model": "offline/demo",
    "input": [
        {"role": "developer", "content": "Be exact."},
        {"role": "user", "content": [{"type": "input_text", "text": "What is 15 * 37?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "content": []},
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"where": "x"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "a place"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "note", "input": "text"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "ok"}]},
        {"role": "assistant", "content": "555", "phase": "final_answer"},
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                {"type": "input_text", "text": "And this?"},
            ],
        },
    ],
    "tools": [
        {
            "type": "function",
            "name": "look",
            "description": "Looks",
            "parameters": {
                "type": "object",
                "properties": {"where": {"type": "string", "enum": ["x", "y"]}, "n": {"anyOf": [{"type": "integer"}]}},
                "required": ["where"],
                "additionalProperties": False,
            },
            "strict": True,
        },
        {"type": "custom", "name": "note", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
        {"type": "serverless:calculator"},
        {"type": "web_search"},
        {"type": "mcp", "server_label": "docs", "require_approval": "never"},
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "tools": [{"type": "mcp", "server_label": "docs", "name": "look"}, {"type": "function", "name": "look"}],
    },
    "instructions": "Answer.",
    "reasoning": {"effort": "high", "summary": "auto"},
    "store": True,
    "metadata": {"a": "b"},
    "provider": {"options": {"anthropic": {"top_k": 5}}},
}
FORMAT: dict[str, Any] = {
    "model": "offline/demo",
    "input": "hello",
    "stream": True,
    "store": False,
    "text": {
        "format": {
            "type": "json_schema",
            "name": "n",
            "strict": True,
            "schema": {
                "type": "object",
                "$defs": {"a": {"type": "array", "items": {"type": "string"}, "minItems": 1}},
                "properties": {"a": {"$ref": "#/$defs/a"}, "b": {"allOf": [{"type": "number", "minimum": 1}]}},
                "required": ["a"],
            },
        }
    },
}
TALK: dict[str, Any] = {
    "model": "offline/demo",
    "conversation": {"id": ""},
    "prompt": {
        "id": "greet",
        "version": "1",
        "variables": {"who": "Ada", "what": {"type": "input_text", "text": "hi"}},
    },
    "context_management": [{"type": "compaction", "compact_threshold": 1000}],
    "truncation": "auto",
    "input": [{"role": "user", "content": "go on"}, {"type": "compaction_trigger"}],
}
PROMPT: dict[str, Any] = {
    "instructions": "You talk to {{who}}.",
    "input": [{"role": "user", "content": "{{what}}"}],
}
NEW_TALK: dict[str, Any] = {
    "metadata": {"topic": "demo"},
    "items": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}],
}
COMPACT: dict[str, Any] = {
    "model": "offline/demo",
    "input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello."}],
    "instructions": "Be short.",
    "prompt_cache_key": "k",
    "reasoning": {"effort": "low"},
}
BODIES = [SERVED, CALLS, FORMAT, {"model": "offline/demo", "input": "hi"}]
FOLLOW: dict[str, Any] = {
    "model": "offline/demo",
    "previous_response_id": "",
    "input": [{"role": "user", "content": "go on"}, {"type": "item_reference", "id": ""}],
    "include": ["reasoning.encrypted_content"],
}


HOOK: dict[str, Any] = {"name": "mine", "url": "https://hooks.test/", "event_types": ["response.failed"]}


class Fuzzer:
    """Makes requests of one seed. `made` are ids of responses, items, conversations and hooks."""

    def __init__(self, seed: str, models: list[str]) -> None:
        self._dice, self._models = random.Random(seed), models
        self.made: list[str] = []

    def request(self) -> dict[str, Any]:
        """What `AsyncClient.request` takes."""
        dice = self._dice.random()
        if dice < 0.6:
            url = "/v1/responses/input_tokens" if dice < 0.1 else "/v1/responses"
            return {"method": "POST", "url": url, "content": self._create(), "headers": self._headers()}
        if dice < 0.75:
            url, body = self._other_body()
            return {"method": "POST", "url": _at(url), "content": self._changed(body), "headers": self._headers()}
        return self._other()

    def _create(self) -> bytes:
        body = copy.deepcopy(self._dice.choice([*BODIES, FOLLOW, TALK]))
        body["model"] = self._dice.choice(self._models)
        if "previous_response_id" in body:
            body["previous_response_id"] = self._id()
            body["input"][1]["id"] = self._id()
        if "conversation" in body:
            body["conversation"] = self._dice.choice([self._talk(), {"id": self._talk()}])
            del body["input"][self._dice.choice([1, 2]) :], body[self._dice.choice(["prompt", "truncation"])]
        if self._dice.random() < 0.3:
            body |= {"stream": True}
        return self._changed(body)

    def _other_body(self) -> tuple[bytes, dict[str, Any]]:
        talk = b"/v1/conversations/" + _quoted(self._talk())
        hook = b"/v1/webhook_endpoints/" + _quoted(self._hook())
        url, body = self._dice.choice(
            [
                (b"/v1/responses/compact", COMPACT | {"model": self._dice.choice(self._models)}),
                (b"/v1/responses/compact", {"model": "offline/demo", "previous_response_id": self._id()}),
                (b"/v1/conversations", NEW_TALK),
                (b"/v1/conversations", {"items": [{"type": "item_reference", "id": self._id()}]}),
                (talk, {"metadata": {"topic": "other"}}),
                (talk + b"/items", {"items": NEW_TALK["items"]}),
                (b"/v1/webhook_endpoints", HOOK),
                (hook, HOOK | {"url": f"https://{self._id()}/"}),
                (hook + b"/test", {"event_type": "response.failed"}),
                (hook + b"/rotate_secret", {"keep_old_secret_active_for_24_hours": True}),
            ]
        )
        return url, copy.deepcopy(body)

    def _talk(self) -> str:
        talks = [each for each in self.made if each.startswith("conv_")]
        return self._dice.choice(talks) if talks and self._dice.random() < 0.8 else self._id()

    def _hook(self) -> str:
        hooks = [each for each in self.made if each.startswith("we_")]
        return self._dice.choice(hooks) if hooks and self._dice.random() < 0.8 else self._id()

    def _changed(self, body: dict[str, Any]) -> bytes:
        for _ in range(self._dice.choice([0, 1, 1, 1, 2, 3])):
            self._change(body)
        text = json.dumps(body, ensure_ascii=self._dice.random() < 0.5).encode(errors="surrogatepass")
        return self._broken(text) if self._dice.random() < 0.2 else text

    def _change(self, body: dict[str, Any]) -> None:
        paths = list(places(body))
        if not paths:
            return
        path = self._dice.choice(paths)
        holder: Any = body
        for step in path[:-1]:
            holder = holder[step]
        value, step = holder[path[-1]], path[-1]
        match self._dice.randrange(15):
            case 0:
                del holder[step]
            case 1 if isinstance(holder, list):
                holder += [copy.deepcopy(value) for _ in range(self._dice.choice([1, 2, 40]))]
            case 2:
                other: Any = body
                for each in self._dice.choice(paths):
                    other = other[each]
                holder[step] = copy.deepcopy(other)
            case 3 if isinstance(value, str):
                at = self._dice.randrange(len(value) + 1)
                holder[step] = value[:at] + self._dice.choice(TEXTS) + value[at:]
            case 4 if isinstance(value, str):
                holder[step] = self._dice.choice(TEXTS)
            case 5 if isinstance(holder, dict):
                holder[self._dice.choice(["type", "id", "name", "", "role", "call_id", "a" * 300, *TEXTS])] = value
            case 6:
                holder[step] = deep(self._dice.choice(["list", "dict"]), self._dice.choice([1, 30, 95, 130]))
            case 7 | 8 | 9 | 10 | 11 if isinstance(body.get("input"), list):
                self._insert(body["input"], ITEMS)
            case 12 | 13:
                body.setdefault("tools", [])
                if isinstance(body["tools"], list):
                    self._insert(body["tools"], TOOLS)
            case _:
                holder[step] = self._value()

    def _insert(self, into: list[Any], kinds: list[dict[str, Any]]) -> None:
        into.insert(self._dice.randrange(len(into) + 1), self._filled(self._dice.choice(kinds)))

    def _filled(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._filled(each) for name, each in value.items()}
            case list():
                return [self._filled(each) for each in value]
            case "?":
                return self._dice.choice(TEXTS) if self._dice.random() < 0.7 else self._value()
            case _:
                return value

    def _value(self) -> Any:
        return copy.deepcopy(self._dice.choice(VALUES))

    def _broken(self, text: bytes) -> bytes:
        at, end = sorted(self._dice.randrange(len(text) + 1) for _ in range(2))
        match self._dice.randrange(6):
            case 0:
                return text[:at]
            case 1:
                return text[:at] + bytes([self._dice.randrange(256)]) + text[at + 1 :]
            case 2:
                return text[:at] + text[end:]
            case 3:
                return text[:at] + text[at:end] * 2 + text[end:]
            case 4:
                marks = [b"NaN", b"1e999", b"\\ud800", b"\xff", b"[" * 500, b'"', b"9" * 5000, b"\0", b"//", b"'"]
                return text[:at] + self._dice.choice(marks) + text[end:]
            case _:
                return text.replace(b'"input"', b'"input":1e999,"input"', 1)

    def _id(self) -> str:
        if self.made and self._dice.random() < 0.8:
            return self._dice.choice(self.made)
        return self._dice.choice(["", "resp_0", "msg_0_0", *TEXTS])

    def _headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", b"application/json")]
        if self._dice.random() < 0.1:
            headers = [
                self._dice.choice(
                    [
                        (b"content-type", self._dice.choice([b"", b";", b"text/html", b"a/json; charset=\xff"])),
                        (b"content-length", self._dice.choice([b"abc", b"-1", b"1e9", b"", b"9" * 5000, b"\xb2"])),
                        (b"content-encoding", self._dice.choice([b"gzip", b"\xff", b"identity"])),
                        (b"idempotency-key", self._dice.choice([b"k", b"\xff\xfe", b"k" * 300, b"", b" "])),
                        (b"openresponses-version", self._dice.choice([b"latest", b"\xff", b"9"])),
                        (b"openresponses-event-names", self._dice.choice([b"openai", b"\xff", b""])),
                        (b"origin", b"http://["), (b"expect", b"x"), (b"range", b"bytes=9-1"), (b"host", b"[::"),
                        (b"sec-websocket-key", b"x"), (b"accept", b"\xff"), (b"cookie", b"a=\xff"),
                    ]
                ),
                *headers[: self._dice.randrange(2)],
            ]  # fmt: skip
        return headers

    def _other(self) -> dict[str, Any]:
        quoted, talk = _quoted(self._id()), b"/v1/conversations/" + _quoted(self._talk())
        path = self._dice.choice(
            [
                b"/v1/responses/" + quoted, b"/v1/responses/" + quoted, b"/v1/responses/" + quoted + b"/cancel",
                b"/v1/responses/" + quoted + b"/input_items", b"/v1/responses/" + quoted + b"/input_items",
                b"/v1/models", b"/v1/models/" + quoted, b"/health", b"/", b"//v1//responses//", b"/v1/responses",
                b"/v1/responses", talk, talk + b"/items", talk + b"/items", talk + b"/items/" + quoted,
                b"/v1/conversations", b"/v1/responses/compact", b"/v1/webhook_endpoints", b"/v1/webhook_dead_letters",
                b"/v1/webhook_endpoints/" + _quoted(self._hook()), b"/v1/webhook_event_types",
                b"/v1/usage", b"/v1/usage",
                b"/v1/responses/input_tokens", b"/%ff/%00", b"/v1/%2e%2e/x", b"/openapi.json",
            ]
        )  # fmt: skip
        method = self._dice.choice(["GET", "GET", "GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "TRACE"])
        names = [
            "stream",
            "starting_after",
            "include",
            "include[]",
            "include_obfuscation",
            "limit",
            "order",
            "after",
            "before",
            "status",
            "model",
            "metadata",
            "metadata[a]",
            "metadata[",
            "metadata[]",
            "from",
            "to",
            "by",
            "",
        ]
        values = [
            "true",
            "",
            "-1",
            "1",
            "9" * 400,
            "9" * 5000,
            "1e999",
            "NaN",
            "asc",
            "%ff",
            "%",
            "%00",
            "a" * 3000,
            "\u0661",
        ]
        asked = [f"{self._dice.choice(names)}={self._dice.choice([*values, self._id()])}" for _ in range(2)]
        query = "&".join(asked).encode(errors="replace") if self._dice.random() < 0.7 else b""
        return {"method": method, "url": _at(path, _plain(query)), "headers": self._headers()}


def _quoted(name: str) -> bytes:
    return b"".join(b"%%%02x" % byte for byte in httpx2.QueryParams({"id": name})["id"].encode(errors="replace"))


def _at(path: bytes, query: bytes = b"") -> httpx2.URL:
    return httpx2.URL("http://api").copy_with(raw_path=path + (b"?" + query if query else b""))


def _plain(query: bytes) -> bytes:
    return b"".join(bytes([byte]) if 32 < byte < 127 and byte != 35 else b"%%%02X" % byte for byte in query)


def check(answer: httpx2.Response, asked: dict[str, Any], *, whole: bool) -> None:
    """It is the standard's error, or what the standard says."""
    assert answer.status_code < 500
    kind = answer.headers.get("content-type", "")
    if asked["method"] == "HEAD" or not answer.content:
        return
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert answer.json().keys() == {"error"}
        assert error.keys() == {"message", "type", "param", "code"}
    elif kind.startswith("text/event-stream"):
        if whole:
            folded(answer.text)
    elif kind == "application/json":
        body = json.loads(answer.content, parse_constant=_no_json)
        if body.get("object") == "response" and whole and "deleted" not in body:
            check_response(body)


def ids_in(answer: httpx2.Response) -> list[str]:
    """Of a response, a conversation or a webhook endpoint, and of the items that it shows."""
    if answer.status_code != 200 or not answer.content or answer.headers["content-type"] != "application/json":
        return []
    body = answer.json()
    items = [*body.get("output", ()), *body.get("data", ())]
    return [each["id"] for each in (body, *items) if "id" in each and "deleted" not in each]


def _no_json(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.mark.parametrize("share", range(SHARES))
async def test_no_request_is_answered_with_a_500(
    share: int, sweep: Sweep, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does one make the server raise once it has begun to answer."""
    count = (REQUESTS if sweep.full else SAMPLE) // SHARES
    encoding = Encoding()
    fuzzer = Fuzzer(f"{request.config.option.sweep_seed} {share}", encoding.models)
    statuses: Counter[int] = Counter()
    for number in range(count):
        if number % OF_ONE_HOUSE == 0:
            tenant, fuzzer.made = f"t{number}", []
            client = encoding.client(tenant)
            prompts = encoding.house(tenant).storage.prompts
            await prompts.add("greet", CreateResponse.model_validate(PROMPT))
        asked = fuzzer.request()
        try:
            answer = await client.request(**asked)
            statuses[answer.status_code] += 1
            check(answer, asked, whole=number % 10 == 0)
        except BaseException as error:
            error.add_note(f"request {number} of {count}: {asked}"[:20_000])
            raise
        fuzzer.made += ids_in(answer)
        capsys.readouterr()
    with capsys.disabled():
        print(f"\n{count} requests, 0 x 500: {dict(sorted(statuses.items()))}")


DEEP = "[" * 3000
NAMED: dict[str, dict[str, Any]] = {
    "an address that is none, of an MCP server": {
        "tools": [{"type": "mcp", "server_label": "s", "server_url": "http://["}]
    },
    "an address that is none, of an image": {
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://["}]}]
    },
    "an address that is none, of a file": {
        "input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://[", "filename": "f"}]}]
    },
    **{
        f"{kind} that is not of ASCII, as {field}": {
            "input": [{"role": "user", "content": [{"type": part, field: data}]}]
        }
        for part, field in (("input_image", "image_url"), ("input_file", "file_data"))
        for kind, data in (
            ("an image", "data:image/png;base64,\u2100"),
            ("a text", "data:text/plain;base64,\u2100"),
            ("an address", "http://\u2100/"),
        )
    },
    "a deep search": {"input": [{"type": "tool_search_call", "call_id": "c", "arguments": DEEP}]},
    "a deep custom call": {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f", "input": DEEP}]},
    "a deep function call": {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": DEEP}]},
    "an infinite search": {"input": [{"type": "tool_search_call", "call_id": "c", "arguments": '{"n":1e999}'}]},
    "references that lead to references": {
        "text": {
            "format": {
                "type": "json_schema",
                "name": "n",
                "schema": {
                    "type": "object",
                    "properties": {"a": {"$ref": "#/$defs/0"}},
                    "$defs": {str(n): {"$ref": f"#/$defs/{n + 1}"} for n in range(3000)},
                },
            }
        }
    },
}


@pytest.mark.parametrize("asked", NAMED.values(), ids=NAMED)
async def test_what_was_answered_with_a_500_once_is_not(asked: dict[str, Any]) -> None:
    encoding = Encoding()
    for model in encoding.models:
        answer = await encoding.client("t").post("/v1/responses", json={"model": model, "input": "hi", **asked})
        assert answer.status_code < 500, (model, answer.text)


async def test_a_model_of_a_long_name_is_none() -> None:
    answer = await Encoding().client("t").get(f"/v1/models/{'m' * 5000}")
    assert answer.status_code == 404


@pytest.mark.parametrize("length", ["abc", "-1", "1e9", "\u00b2", "9" * 5000])
async def test_a_length_that_is_none_is_no_matter(length: str) -> None:
    headers = {"content-type": "application/json", "content-length": length.encode()}
    sent = {"model": "offline/demo", "input": "hi"}
    answer = await Encoding().client("t").post("/v1/responses", content=json.dumps(sent), headers=headers)
    assert answer.status_code == 200
