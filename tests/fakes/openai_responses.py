"""A fake upstream that speaks the Responses API as OpenAI does.

Directives know two values more: `names=open`, raw reasoning by the names that the Open Responses schema gives its
events, from a server that encrypts nothing; `search=1`, a search of the web before all else, if that is offered.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from tests.fakes.openai_responses_rules import CALLS, DIALECT, OUTPUTS, check, reasons
from tests.fakes.server import main
from tests.fakes.wire import Asked, Body, Reason, Received, Script, Stream, Tool, Wire, need, sign, tokens_of

INCOMPLETE = {"length": "max_output_tokens", "filter": "content_filter"}
ERRORS = {429: "rate_limit_exceeded", 400: "invalid_prompt"}
COUNTED = {*("model", "input", "instructions", "previous_response_id", "conversation", "tools", "tool_choice", "text")}
COUNTED |= {"reasoning", "truncation", "parallel_tool_calls", "personality"}
COMPACTED = {"model", "input", "instructions", "previous_response_id", "image", "service_tier"}
COMPACTED |= {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}


class Responses(Wire):
    model = "gpt-5.1"
    settings = {
        "options": {
            "custom_tools": True,
            "upstream_tools": ["web_search", "file_search", "code_interpreter", "image_generation", "mcp"],
            "omit": ["presence_penalty", "frequency_penalty"],
        }
    }

    def serves(self, path: str) -> bool:
        return path.endswith("/responses")

    def check(self, request: Received) -> None:
        check(request.headers, request.body, self.rules)

    def read(self, request: Received) -> Asked:
        body, items = request.body, request.body["input"]
        start = max((i for i, item in enumerate(items) if item.get("role") == "user"), default=-1)
        since = items[start + 1 :]
        form = (body.get("text") or {}).get("format") or {"type": "text"}
        return Asked(
            model=body["model"],
            user=_text(items[start]["content"]) if start >= 0 else "",
            tools=[Tool(t["name"], t.get("parameters", INPUT)) for t in body.get("tools", ()) if "name" in t],
            outputs=[_text(item["output"]) for item in since if item["type"] in OUTPUTS],
            calls=sum(item["type"] in CALLS for item in since),
            all_calls=sum(item.get("type") in CALLS for item in items),
            limit=body.get("max_output_tokens"),
            schema=None if form["type"] == "text" else form.get("schema", {}),
            thinks=reasons(body["model"]) and (body.get("reasoning") or {}).get("effort") != "none",
        )

    def stream(self, request: Received, asked: Asked, script: Script) -> Stream:
        return Events(request, asked, script)

    def counts(self, path: str) -> bool:
        return path.endswith(("/responses/input_tokens", "/responses/compact"))

    def count(self, request: Received) -> Body:
        """The fields of openai.types.responses.InputTokenCountParams; the answer is its InputTokenCountResponse."""
        if request.path.endswith("/responses/compact"):
            return self._compacted(request)
        for name in request.body:
            need(name in COUNTED, f"Unknown parameter: '{name}'.", code="unknown_parameter")
        check(request.headers, {**request.body, "stream": True, "store": False}, self.rules)
        return {"object": "response.input_tokens", "input_tokens": tokens_of(request.body)}

    def _compacted(self, request: Received) -> Body:
        """The fields of openai.types.responses.ResponseCompactParams; the answer is its CompactedResponse: the user's
        messages, then the item.
        """
        body = request.body
        for name in body:
            need(name in COMPACTED, f"Unknown parameter: '{name}'.", code="unknown_parameter")
        check(request.headers, {**body, "stream": True, "store": False}, self.rules)
        facts = " ".join(dict.fromkeys(re.findall(r"fact-\w+", json.dumps(body))))
        item = {"type": "compaction", "id": "cmp_fake", "encrypted_content": f"{sign(DIALECT, facts)}.{facts}"}
        said = [each for each in body["input"] if each.get("role") == "user"]
        usage = {"input_tokens": 100, "output_tokens": 7, "total_tokens": 107}
        details = {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 2}}
        made = {"id": "resp_fake", "object": "response.compaction", "created_at": 1700000000}
        return {**made, "output": [*said, item], "usage": {**usage, **details}}

    def too_long(self, tokens: int, window: int) -> tuple[int, str, str | None]:
        """dyad-sh/dyad#1672."""
        message = "Your input exceeds the context window of this model. Please adjust your input and try again."
        return 400, message, "context_length_exceeded"

    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        kind = "requests" if status == 429 else "invalid_request_error" if status < 500 else "server_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Events(Stream):
    def __init__(self, request: Received, asked: Asked, script: Script) -> None:
        super().__init__(request, asked, script)
        self._sequence = 0
        self._output: list[Body] = []
        self._open: Body | None = None
        self._words: list[str] = []
        self._thought = ""
        self._token = f"{asked.all_calls:06x}{len(request.body['input']):06x}"
        settings = request.body.get("reasoning") or {}
        self._raw = script.values.get("names") == "open"
        self._summarized = bool(settings.get("summary")) and not self._raw
        self._encrypted = "reasoning.encrypted_content" in request.body.get("include", ()) and not self._raw
        self._custom = {tool["name"] for tool in request.body.get("tools", ()) if tool["type"] == "custom"}

    def begin(self) -> bytes:
        response = self._response("in_progress")
        opening = self._event("response.created", response=response)
        opening += self._event("response.in_progress", response=response)
        offered = any(tool["type"] == "web_search" for tool in self.request.body.get("tools", ()))
        return opening + (self._search() if offered and self.script.number("search", 0) else b"")

    def think(self, word: str) -> bytes:
        item = {"id": f"rs_{self._token}", "type": "reasoning", "summary": []}
        opened = self._begin("reasoning", item)
        self._words.append(word)
        if self._raw:
            return opened + self._about("response.reasoning.delta", content_index=0, delta=word)
        if not self._summarized:
            return opened
        if len(self._words) == 1:
            part = {"type": "summary_text", "text": ""}
            opened += self._about("response.reasoning_summary_part.added", summary_index=0, part=part)
        return opened + self._about("response.reasoning_summary_text.delta", summary_index=0, delta=word)

    def say(self, word: str) -> bytes:
        opened = self._message({"type": "output_text", "text": "", "annotations": [], "logprobs": []})
        self._words.append(word)
        return opened + self._about("response.output_text.delta", content_index=0, delta=word, logprobs=[])

    def refuse(self, word: str) -> bytes:
        opened = self._message({"type": "refusal", "refusal": ""})
        self._words.append(word)
        return opened + self._about("response.refusal.delta", content_index=0, delta=word)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        closed = self._close()
        kind = "custom_tool_call" if name in self._custom else "function_call"
        field = "input" if kind == "custom_tool_call" else "arguments"
        events = f"response.{kind}_input" if field == "input" else "response.function_call_arguments"
        said = json.loads(arguments)["input"] if field == "input" else arguments
        call_id += f"_rs{self._token}" if self._thought else ""
        item = {"id": f"fc_{self._token}{index}", "type": kind, "call_id": call_id, "name": name, field: ""}
        yield closed + self._begin(kind, item | ({} if field == "input" else {"status": "in_progress"}))
        for start in range(0, len(said), 8):
            yield self._about(f"{events}.delta", delta=said[start : start + 8])
        self._words = [said]
        named = {} if field == "input" else {"name": name}
        yield self._about(f"{events}.done", **{field: said}, **named) + self._close()

    def end(self, reason: Reason) -> bytes:
        cut = INCOMPLETE.get(reason)
        last = self._close("incomplete" if cut else "completed")
        usage = {
            "input_tokens": self.prompt,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": self.words,
            "output_tokens_details": {"reasoning_tokens": self.thoughts},
            "total_tokens": self.prompt + self.words,
        }
        status = "incomplete" if cut else "completed"
        response = self._response(status, usage=usage, incomplete_details={"reason": cut} if cut else None)
        return last + self._event(f"response.{status}", response=response)

    def fail(self, code: int, message: str) -> bytes:
        return self._event("error", code=ERRORS.get(code, "server_error"), message=message, param=None)

    def garbage(self) -> bytes:
        return b"event: response.output_text.delta\ndata: {not json\n\n"

    def _search(self) -> bytes:
        item = {
            "id": f"ws_{self._token}",
            "type": "web_search_call",
            "status": "in_progress",
            "action": {"type": "search", "query": ""},
        }
        action = {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://a.test/"}]}
        asked = "web_search_call.action.sources" in self.request.body.get("include", ())
        events = self._begin("web_search_call", item)
        for word in ("in_progress", "searching", "completed"):
            events += self._about(f"response.web_search_call.{word}")
        self._open = {**item, "action": action if asked else {"type": "search", "query": "q"}}
        return events + self._close()

    def _message(self, part: Body) -> bytes:
        if self._open and self._open["type"] == "message":
            return b""
        item = {"id": f"msg_{self._token}", "type": "message", "role": "assistant", "content": []}
        opened = self._begin("message", {**item, "status": "in_progress"})
        self._part = part
        return opened + self._about("response.content_part.added", content_index=0, part=part)

    def _begin(self, kind: str, item: Body) -> bytes:
        if self._open and self._open["type"] == kind == "reasoning":
            return b""
        closed = self._close()
        self._open, self._words = item, []
        return closed + self._event("response.output_item.added", output_index=len(self._output), item=item)

    def _close(self, status: str = "completed") -> bytes:
        if not self._open:
            return b""
        item, said = dict(self._open), "".join(self._words)
        events = b""
        match item["type"]:
            case "reasoning":
                events, item = self._close_reasoning(item, said)
            case "message":
                field = "text" if self._part["type"] == "output_text" else "refusal"
                part = {**self._part, field: said}
                more: Body = {"logprobs": []} if field == "text" else {}
                done = f"response.{'output_text' if field == 'text' else 'refusal'}.done"
                events = self._about(done, content_index=0, **{field: said}, **more)
                events += self._about("response.content_part.done", content_index=0, part=part)
                item |= {"content": [part], "status": status}
            case "custom_tool_call":
                item["input"] = said
            case "web_search_call":
                item["status"] = status
            case _:
                item |= {"arguments": said, "status": status}
        events += self._event("response.output_item.done", output_index=len(self._output), item=item)
        self._output.append(item)
        self._open = None
        return events

    def _close_reasoning(self, item: Body, said: str) -> tuple[bytes, Body]:
        events, summary = b"", list[Body]()
        if self._raw:
            events = self._about("response.reasoning.done", content_index=0, text=said)
            item["content"] = [{"type": "reasoning_text", "text": said}]
        elif self._summarized:
            summary = [{"type": "summary_text", "text": said}]
            events = self._about("response.reasoning_summary_text.done", summary_index=0, text=said)
            events += self._about("response.reasoning_summary_part.done", summary_index=0, part=summary[0])
        if self._encrypted:
            self._thought = item["id"]
            texts = json.dumps([part["text"] for part in summary])
            item["encrypted_content"] = f"{sign(DIALECT, item['id'], texts)}.{item['id']}"
        return events, {**item, "summary": summary}

    def _about(self, kind: str, **fields: Any) -> bytes:
        assert self._open
        return self._event(kind, item_id=self._open["id"], output_index=len(self._output), **fields)

    def _event(self, kind: str, **fields: Any) -> bytes:
        event = {"type": kind, "sequence_number": self._sequence, **fields}
        self._sequence += 1
        return f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()

    def _response(self, status: str, **fields: Any) -> Body:
        head = {"id": "resp_fake", "object": "response", "created_at": 1700000000, "model": self.asked.model}
        settings = {"error": None, "incomplete_details": None, "tools": [], "tool_choice": "auto", "usage": None}
        return {**head, **settings, "parallel_tool_calls": True, "status": status, "output": self._output, **fields}


def _text(content: str | list[Body]) -> str:
    return content if isinstance(content, str) else " ".join(part["text"] for part in content if "text" in part)


WIRE = Responses

if __name__ == "__main__":
    main(Responses)
