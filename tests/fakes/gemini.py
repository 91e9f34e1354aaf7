"""A fake upstream that speaks Gemini's `streamGenerateContent` over SSE.

It signs the first call of each step, as Gemini 3 does. Directives know more values: `signed_text=1` signs an answer
too, on an empty text at its end; `ids=0` leaves out the calls' ids, as earlier models did.
"""

import json
from collections.abc import Iterable, Mapping
from typing import ClassVar

from tests.fakes.gemini_rules import check, having, known, model_of, signed
from tests.fakes.server import main
from tests.fakes.wire import Asked, Body, Reason, Received, Script, Stream, Tool, Wire, need, sign, tokens_of

FINISH = {"stop": "STOP", "tools": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}
STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
STATUS |= {429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}


class Gemini(Wire):
    base: ClassVar[str] = "/v1beta"
    model: ClassVar[str] = "gemini-3.8-flash"

    def serves(self, path: str) -> bool:
        return path.startswith("/v1beta/models/") and path.endswith(":streamGenerateContent")

    def check(self, request: Received) -> None:
        check(request, self.rules)

    def read(self, request: Received) -> Asked:
        contents = request.body["contents"]
        said = [i for i, each in enumerate(contents) if each["role"] == "user" and not any(having(each, "Response"))]
        start = said[-1] if said else -1
        since = contents[start + 1 :]
        config = request.body.get("generationConfig", {})
        declared = [each for tool in request.body.get("tools", ()) for each in tool.get("functionDeclarations", ())]
        responses = [part["functionResponse"]["response"] for each in since for part in having(each, "Response")]
        level = config.get("thinkingConfig", {})
        return Asked(
            model=model_of(request.path),
            user=_text(contents[start]) if said else "",
            tools=[Tool(each["name"], each.get("parametersJsonSchema", {})) for each in declared],
            outputs=[response.get("output") or response.get("error", "") for response in responses],
            calls=sum(1 for each in since for _ in having(each, "Call")),
            all_calls=sum(1 for each in contents for _ in having(each, "Call")),
            limit=config.get("maxOutputTokens"),
            schema=config.get("responseJsonSchema", {}) if config.get("responseMimeType") else None,
            thinks=level.get("thinkingBudget") != 0,
        )

    def stream(self, request: Received, asked: Asked, script: Script) -> Stream:
        return Chunks(request, asked, script)

    def counts(self, path: str) -> bool:
        return path.startswith("/v1beta/models/") and path.endswith(":countTokens")

    def count(self, request: Received) -> Body:
        """`models.countTokens` at ai.google.dev/api/tokens: the contents, or a whole request, which names its model."""
        known(request.body, {"contents", "generateContentRequest"}, "")
        whole = dict(request.body.get("generateContentRequest", request.body))
        if "generateContentRequest" in request.body:
            model = f"models/{model_of(request.path)}"
            need(
                whole.pop("model", "") == model, "* CountTokensRequest.generate_content_request.model: unexpected model"
            )
        stream = request.path.replace(":countTokens", ":streamGenerateContent") + "?alt=sse"
        check(Received(request.headers, whole, stream), self.rules)
        return {"totalTokens": tokens_of(request.body)}

    def too_long(self, tokens: int, window: int) -> tuple[int, str, str | None]:
        """google-gemini/gemini-cli#6678."""
        return 400, f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({window}).", None

    def error(self, status: int, message: str, code: str | int | None = None) -> Body:
        details: list[Body] = []
        if code == "KEY":
            info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
            details.append({**info, "domain": "googleapis.com"})
        if status == 429:
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"})
        error = {"code": status, "message": message, "status": STATUS.get(status, "UNKNOWN"), "details": details}
        return {"error": error}

    def models(self) -> Body:
        return {"models": [{"name": f"models/{self.model}", "supportedGenerationMethods": ["generateContent"]}]}


class Chunks(Stream):
    """A word is written from a template that is encoded once. The last chunk has the reason, and the usage."""

    def __init__(self, request: Received, asked: Asked, script: Script) -> None:
        super().__init__(request, asked, script)
        self._calls = 0
        head = {"responseId": "fake", "modelVersion": asked.model, "candidates": []}
        self._head = json.dumps(head)[:-2].encode()

    def begin(self) -> bytes:
        return b""

    def think(self, word: str) -> bytes:
        return self._word(b'"thought":true,', word)

    def say(self, word: str) -> bytes:
        return self._word(b"", word)

    def refuse(self, word: str) -> bytes:
        return self.say(word)

    def call(self, index: int, call_id: str, name: str, arguments: str) -> Iterable[bytes]:
        part: Body = {"functionCall": {"name": name, "args": json.loads(arguments)}}
        if self.script.number("ids", 1):
            part["functionCall"]["id"] = f"gemini_{call_id}"
        if self._calls == 0:
            part["thoughtSignature"] = sign("gemini", *signed(part, self.asked.all_calls))
        self._calls += 1
        yield self._chunk({"content": {"parts": [part], "role": "model"}, "index": 0})

    def end(self, reason: Reason) -> bytes:
        candidate: Body = {"content": {"parts": [{"text": ""}], "role": "model"}}
        if reason == "stop" and self.script.number("signed_text", 0):
            candidate["content"]["parts"][0]["thoughtSignature"] = sign("gemini", "text", "")
        if reason in ("tools", "filter"):
            del candidate["content"]
        usage = {
            "promptTokenCount": self.prompt,
            "candidatesTokenCount": self.words - self.thoughts,
            "thoughtsTokenCount": self.thoughts,
            "totalTokenCount": self.prompt + self.words,
        }
        return self._chunk({**candidate, "finishReason": FINISH[reason], "index": 0}, {"usageMetadata": usage})

    def fail(self, code: int, message: str) -> bytes:
        error = {"code": code, "message": message, "status": STATUS.get(code, "UNKNOWN")}
        return b"data: " + json.dumps({"error": error}).encode() + b"\r\n\r\n"

    def garbage(self) -> bytes:
        return b"data: {not json\r\n\r\n"

    def _word(self, about: bytes, word: str) -> bytes:
        return b'data: %b{"content":{"parts":[{%b"text":%b}],"role":"model"},"index":0}]}\r\n\r\n' % (
            self._head,
            about,
            json.dumps(word).encode(),
        )

    def _chunk(self, candidate: Body, more: Mapping[str, object] | None = None) -> bytes:
        chunk = b"data: " + self._head + json.dumps(candidate).encode() + b"]"
        return chunk + (b"," + json.dumps(more)[1:-1].encode() if more else b"") + b"}\r\n\r\n"


def _text(content: Body) -> str:
    return " ".join(part["text"] for part in content["parts"] if part.get("text"))


WIRE = Gemini

if __name__ == "__main__":
    main(Gemini)
