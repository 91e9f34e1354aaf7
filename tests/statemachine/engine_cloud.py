"""The whole deployment in the local cloud, watched: what a sandbox asks of AWS can be seen, changed, refused, or be its
last act.

The watch is a layer in front of moto's server. Each sandbox tells who it is in its user agent, so that the layer knows
which process to kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import threading
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx2

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.sandbox.functions import Function
from openresponses_dev.local.sandbox.lambda_api import Target
from openresponses_dev.local.sandbox.sandbox import Sandbox
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION
from openresponses_dev.local.template.template import FunctionSpec

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
OVER = ("completed", "incomplete", "failed", "cancelled")
LIMIT_S = 100.0
_ATTEMPT = re.compile(r"attempt=(\d+)")
_WHO = re.compile(r"app/(\w+-\d+)")
_RESPONSE = re.compile(r"resp_[0-9a-f]{32}")


@dataclass
class AwsCall:
    """A call that a sandbox makes. `who` is its function's name and a number, empty for anyone else.

    S3 has a path in place of a `body`, and perhaps `content`. `attempt` counts the client's own retries.
    """

    service: str
    operation: str
    who: str
    body: bytes = field(repr=False)
    content: bytes = field(default=b"", repr=False)
    attempt: int = 0

    @property
    def role(self) -> str:
        return self.who.partition("-")[0]

    @property
    def response_id(self) -> str:
        """Of the response that the call is about; empty where it names none."""
        found = _RESPONSE.search(self.body.decode("latin-1"))
        return found[0] if found else ""


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b"{}"


class Watch:
    """Sees each call before and after it takes effect, in the thread that serves it. This one lets everything pass."""

    def before(self, call: AwsCall) -> Reply | None:
        """What to answer in place of AWS. May change the call's body."""

    def after(self, call: AwsCall) -> None:
        """The call has taken effect, and its answer isn't out yet."""


class WatchedCloud(LocalCloud):
    """`timeouts` are in seconds, by function, in place of the template's. `more` is what new sandboxes get beside
    their environment.
    """

    def __init__(self, *, timeouts: Mapping[str, int], **options: Any) -> None:
        self.watch, self._timeouts = Watch(), timeouts
        self.more: dict[str, str] = {}
        super().__init__(TEMPLATE, **options)

    def _function(self, spec: FunctionSpec, concurrency: int) -> Function:
        return super()._function(replace(spec, timeout_s=self._timeouts.get(spec.name, spec.timeout_s)), concurrency)

    def environment(self, spec: FunctionSpec, runtime_api: str) -> dict[str, str]:
        named = {"AWS_SDK_UA_APP_ID": f"{spec.name}-{runtime_api.rpartition(':')[2]}"}
        return {**super().environment(spec, runtime_api), **self.more, **named}

    def add_function(self, name: str, target: Target) -> None:
        """A function that runs in this process."""
        self._invoker.targets[name] = target

    def listen(self) -> None:
        server = self.aws._server._server  # type: ignore[union-attr]
        server.app.application = _layer(server.app.application, self)

    async def kill(self, who: str) -> None:
        """SIGKILL the sandbox, if it lives, and see it dead."""
        for sandbox in self.functions[who.partition("-")[0]].sandboxes:
            if _is(sandbox, who):
                os.killpg(sandbox.pid, signal.SIGKILL)
                while sandbox.alive:
                    await asyncio.sleep(0.001)


def _is(sandbox: Sandbox, who: str) -> bool:
    try:
        return f"AWS_SDK_UA_APP_ID={who}\0".encode() in Path(f"/proc/{sandbox.pid}/environ").read_bytes()
    except OSError:  # another one that dies
        return False


def _layer(application: Any, cloud: WatchedCloud) -> Any:
    def watched(environ: Json, start: Callable[..., Any]) -> Iterable[bytes]:
        call = _call_of(environ)
        if call.who and (reply := cloud.watch.before(call)):
            kind = "application/xml" if call.service == "s3" else "application/x-amz-json-1.0"
            start(f"{reply.status} Refused", [("content-type", kind), ("content-length", str(len(reply.body)))])
            return [reply.body]
        sent = call.content if call.service == "s3" else call.body
        if environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(sent), str(len(sent))
        answer = [*application(environ, start)]
        if call.who:
            cloud.watch.after(call)
        return answer

    return watched


def _call_of(environ: Json) -> AwsCall:
    scope = environ.get("HTTP_AUTHORIZATION", "").split("/")
    service = scope[3] if len(scope) > 3 else ""
    named = _WHO.search(environ.get("HTTP_USER_AGENT", ""))
    who = named[1] if named else ""
    retried = _ATTEMPT.search(environ.get("HTTP_AMZ_SDK_REQUEST", ""))
    attempt = int(retried[1]) - 1 if retried else 0
    operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2] or environ["REQUEST_METHOD"]
    sent = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])) if environ.get("CONTENT_LENGTH") else b""
    if service == "s3":
        path = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
        return AwsCall(service, operation, who, path.encode(), sent, attempt)
    return AwsCall(service, operation, who, sent, attempt=attempt)


class Deployment:
    """The local cloud on a loop of its own, in a thread, so that a test may block or have a loop of its own."""

    def __init__(self, timeouts: Mapping[str, int] | None = None, **options: Any) -> None:
        options = {"retry_scale": 0.01, "concurrency": 12, **options}
        self.cloud = WatchedCloud(timeouts=timeouts or {}, **options)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="deployment", daemon=True)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(LIMIT_S)

    def start(self) -> None:
        self._thread.start()
        self.do(self.cloud.__aenter__())
        self.cloud.listen()
        self.dynamodb = self.cloud.aws.client("dynamodb")

    def stop(self) -> None:
        self.do(self.cloud.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def reconfigure(self, function: str, **variables: str) -> None:
        """Give the function these variables, in new sandboxes."""
        self.cloud.more = variables
        self.do(self.cloud.functions[function].replace())

    def kill(self, who: str) -> None:
        self.do(self.cloud.kill(who))

    def http(self) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {self.cloud.api_key}"}
        return httpx2.AsyncClient(base_url=self.cloud.base_url, headers=headers, timeout=LIMIT_S)

    def item(self, response_id: str, sk: str) -> Json:
        key = {"pk": {"S": f"default/{response_id}"}, "sk": {"S": sk}}
        return self.dynamodb.get_item(TableName="ResponsesTable", Key=key).get("Item", {})

    def configure(self, name: str, value: object) -> None:
        """Write a parameter, which a sandbox reads that has not read it yet."""
        ssm, path = self.cloud.aws.client("ssm"), f"/openresponses/local/{name}"
        ssm.put_parameter(Name=path, Value=json.dumps(value), Type="SecureString", Overwrite=True)

    def history(self, execution: str) -> list[Json]:
        """The events of the execution of this name."""
        machine = f"{self.cloud.aws.executions()[0].state_machine}:{execution}"
        arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}"
        sfn = self.cloud.aws.client("stepfunctions")
        return sfn.get_execution_history(executionArn=arn, maxResults=1000)["events"]

    def running(self) -> set[str]:
        """The names of the executions that go on."""
        return {execution.name for execution in self.cloud.aws.executions() if execution.status == "RUNNING"}


@contextmanager
def deployed(**options: Any) -> Iterator[Deployment]:
    deployment = Deployment(**options)
    deployment.start()
    try:
        yield deployment
    finally:
        deployment.stop()


def packed(value: object) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def unpacked(value: bytes | str) -> Any:
    """What is kept under an attribute, which JSON has in base64."""
    return json.loads(zlib.decompress(b64decode(value) if isinstance(value, str) else value))


def log_events(call: AwsCall) -> list[Json] | None:
    """The events of a batch that `call` writes to the log; None if it does something else."""
    item = _batch_of(json.loads(call.body)) if call.operation in ("PutItem", "TransactWriteItems") else None
    return unpacked(item["events"]["B"]) if item else None


def _batch_of(request: Json) -> Json | None:
    """The batch that is written alone, or with the run."""
    puts = [each.get("Put", {}) for each in request.get("TransactItems", [])] or [request]
    items = [put["Item"] for put in puts if "Item" in put]
    return next((item for item in items if item["sk"]["S"].startswith("log#")), None)


def shorten(call: AwsCall, last: int) -> None:
    """Let the batch end with event number `last`: what a worker writes whose timer came earlier."""
    request = json.loads(call.body)
    item = _batch_of(request)
    assert item
    events = unpacked(item["events"]["B"])
    kept = [event for event in events if event["sequence_number"] <= last]
    item["events"], item["last"] = {"B": b64encode(packed(kept)).decode()}, {"N": str(last)}
    if "TransactItems" in request and len(kept) < len(events):  # the run is saved with all of them, or not yet
        request["TransactItems"] = [
            each for each in request["TransactItems"] if each.get("Put", {}).get("Item") is item
        ]
    call.body = json.dumps(request).encode()


async def frames(lines: Any, *, limit: int | None = None) -> list[Json]:
    """The events of an SSE body, `limit` of them at most."""
    events: list[Json] = []
    async for line in lines:
        if line.startswith("data: {"):
            events.append(json.loads(line.removeprefix("data: ")))
            if len(events) == limit:
                break
    return events


async def stream(
    http: httpx2.AsyncClient, method: str, path: str, *, limit: int | None = None, **options: Any
) -> list[Json]:
    """The events that a request is answered with; the connection is dropped after `limit`."""
    async with http.stream(method, path, **options) as answer:
        if answer.status_code != 200:
            raise AssertionError(f"{answer.status_code}: {(await answer.aread()).decode()}")
        return await frames(answer.aiter_lines(), limit=limit)


async def followed(http: httpx2.AsyncClient, response_id: str, after: int = -1) -> list[Json]:
    query: Json = {"stream": "true", "include_obfuscation": "false"} | ({"starting_after": after} if after >= 0 else {})
    return await stream(http, "GET", f"/responses/{response_id}", params=query)


async def finished(http: httpx2.AsyncClient, response_id: str) -> Json:
    until = time.monotonic() + LIMIT_S
    while True:
        answer = await http.get(f"/responses/{response_id}")
        if answer.status_code != 200 or answer.json()["status"] in OVER:
            return answer.json()
        assert time.monotonic() < until, "it does not end"
        await asyncio.sleep(0.1)


def without_ids(value: Any, replaced: Mapping[str, str] = {}) -> Any:
    """`value` without what differs between two runs: ids, times, and the nonces of what is sealed."""
    text = json.dumps(value)
    for found, by in replaced.items():
        text = text.replace(found, by)
    text = re.sub(r"(?<=[a-z]_)[0-9a-f]{32}", "0" * 32, text)
    text = re.sub(r"or1\.[\w-]+", "or1.sealed", text)
    return _timeless(json.loads(text))


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            times = ("created_at", "completed_at", "obfuscation")
            return {key: _timeless(each) for key, each in value.items() if key not in times}
        case list():
            return [_timeless(each) for each in value]
        case _:
            return value
