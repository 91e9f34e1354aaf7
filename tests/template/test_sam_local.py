"""`sam local` with the file that `openresponses dev` writes: what SAM passes on, and what each event is answered."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from openresponses_dev.cli.rie import invoke_through_rie
from openresponses_dev.local.address import KEY_OF_EVENTS
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.private_folder import read_private
from tests.emulator import PATIENCE, PYTHON_OF_SAM, emulator, free_port, wait_for
from tests.template.building import make
from tests.template.image import running
from tests.template.reading import ROOT, Json

pytestmark = [pytest.mark.artifact, pytest.mark.timeout(300), pytest.mark.xdist_group("artifact")]

AUTHORIZERS = ("AuthorizerFunction", "SocketAuthorizerFunction")
FUNCTIONS = ("ApiFunction", "WorkerFunction", "SocketFunction", "SocketWorkerFunction", *AUTHORIZERS)
TEMPLATE = ROOT / "template.yaml"
SAM = [*PYTHON_OF_SAM, str(ROOT / "tests/template/sam_containers.py")]
PROFILE = {"AWS_ACCESS_KEY_ID": "AKIAOFTHEDEVELOPER", "AWS_SECRET_ACCESS_KEY": "of the developer"} | {
    "AWS_SESSION_TOKEN": "of the developer",
    "AWS_DEFAULT_REGION": "eu-west-1",
}
"""A developer's own, which SAM passes on."""
MISSING = "resp_" + "0" * 32
NEW = "a response that was made by an event"
FOUND: dict[str, tuple[int, str]] = {
    "console": (404, "not_found"),
    "console_file": (404, "not_found"),
    "docs": (200, "<title>"),
    "docs_file": (200, ".swagger-ui"),
    "health": (200, '"status":"ok"'),
    "models": (200, '"id":"offline/demo"'),
    "models_custom_domain": (200, '"id":"offline/demo"'),
    "openapi": (200, '"openapi":'),
    "preflight": (204, ""),
    "responses_create": (200, '"status":"completed"'),
    "responses_create_stream": (200, "data: [DONE]"),
    "responses_create_tools": (200, "get_weather"),
    "responses_cancel": (404, MISSING),
    "responses_delete": (404, MISSING),
    "responses_get": (404, MISSING),
    "responses_get_stream": (404, MISSING),
    "responses_input_items": (404, MISSING),
    "unknown_path": (404, "not_found"),
}
"""The status of the answer to each event of the API, and what its body has."""
OTHERS: dict[str, object] = {
    "worker_work": {
        "tenant": "default",
        "response_id": MISSING,
        "generation": 0,
        "step": "over",
        "turns": 0,
        "calls": [],
    },
    "worker_settle": None,
    "worker_answer": None,
    "worker_fail": None,
    "websocket_connect": {"statusCode": 200},
    "websocket_disconnect": {"statusCode": 200},
    "websocket_message": {"statusCode": 200},
    "websocket_worker": None,
}
SOCKETS = {"authorizer": "SocketAuthorizerFunction", "worker": "SocketWorkerFunction"}
EVENTS = sorted(path.stem for path in (ROOT / "events").glob("*.json"))


def read(event: str) -> Json:
    return json.loads((ROOT / f"events/{event}.json").read_text())


def function_of(event: str) -> str:
    if event.startswith("websocket_"):
        return SOCKETS.get(event.partition("_")[2], "SocketFunction")
    return {"authorizer": "AuthorizerFunction", "worker": "WorkerFunction"}.get(event.partition("_")[0], "ApiFunction")


def check(event: str, answer: Json | None) -> None:
    if event in OTHERS:
        assert answer == OTHERS[event]
    elif event.endswith("authorizer"):
        assert answer is not None
        limits = {"models": "", "mcp": "", "reasoning": ""}
        assert answer["context"] == {"tenant": "default", "key_id": "localexample", **limits}
    else:
        assert answer is not None
        status, text = FOUND[event]
        assert (answer["statusCode"], text in answer["body"]) == (status, True), answer


def test_every_event_has_an_answer_to_expect() -> None:
    assert sorted([*FOUND, *OTHERS, "authorizer", "websocket_authorizer"]) == EVENTS


async def test_every_event_is_answered_through_the_emulator_alone() -> None:
    """As `openresponses invoke --rie` does it."""
    program = Path(emulator())
    async with LocalCloud(TEMPLATE, api_key=KEY_OF_EVENTS) as cloud:
        for event in EVENTS:
            payload = await invoke_through_rie(program, cloud, function_of(event), json.dumps(read(event)).encode())
            check(event, json.loads(payload))


@dataclass(frozen=True)
class Sam:
    """`file` is what `openresponses dev` wrote, `access` what it tells its own commands; `containers` what SAM asks
    Docker for, and `addresses` where the functions run.
    """

    base_url: str
    file: Path
    access: Json
    containers: dict[str, Json]
    addresses: dict[str, str]

    def invoke(self, function: str, event: Json) -> Json | None:
        url = f"http://{self.addresses[function]}/2015-03-31/functions/function/invocations"
        with opened(urllib.request.Request(url, json.dumps(event).encode())) as answer:
            return json.load(answer)

    def of_dev(self, response_id: str) -> Json:
        """A response, asked of the running `dev` over HTTP."""
        return json.load(opened(bearing(f"{self.base_url}/responses/{response_id}", KEY_OF_EVENTS)))


def opened(request: urllib.request.Request):
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE)


def bearing(url: str, key: str, body: object = None) -> urllib.request.Request:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return urllib.request.Request(url, body and json.dumps(body).encode(), headers)


def sam_environment() -> dict[str, str]:
    return {**os.environ, **PROFILE, "SAM_CLI_TELEMETRY": "0"}


@pytest.fixture(scope="module")
def sam(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sam]:
    """The functions as `sam local` runs them, beside `openresponses dev`."""
    emulator()
    folder = tmp_path_factory.mktemp("sam")
    authorizer = folder / "AuthorizerFunction"
    authorizer.mkdir()
    make("AuthorizerFunction", authorizer)
    artifacts = {**dict.fromkeys(FUNCTIONS, artifact), **dict.fromkeys(AUTHORIZERS, authorizer)}
    command = [sys.executable, "-m", "openresponses_dev.cli.cli", "dev", "--port", "0", "--api-key", KEY_OF_EVENTS]
    with ExitStack() as stack:
        dev = stack.enter_context(
            subprocess.Popen([*command, "--template", TEMPLATE], cwd=folder, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(dev.terminate)
        assert dev.stdout
        base_url = dev.stdout.readline().strip().removeprefix("export OPENAI_BASE_URL=")
        port = httpx2.URL(base_url).port
        file = folder / ".openresponses/sam-local.json"
        asked = subprocess.run(
            [*SAM, "containers", TEMPLATE, file], env=sam_environment(), check=True, capture_output=True, text=True
        )
        containers = json.loads(asked.stdout)
        addresses = {
            name: stack.enter_context(
                running(artifacts[name], containers[name]["environment"], folder / f"{name} runs")
            )
            for name in FUNCTIONS
        }
        yield Sam(base_url, file, read_private(file.with_name(f"{port}.json")), containers, addresses)


def test_the_file_is_its_users_alone(sam: Sam) -> None:
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (sam.file, sam.file.parent)]
    assert modes == [0o600, 0o700]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sam_passes_on_all_that_the_file_says(sam: Sam, function: str) -> None:
    container = sam.containers[function]
    passed, said = container["environment"], json.loads(sam.file.read_text())[function]
    assert {name: passed[name] for name in said} == said
    # SAM's own variables are the developer's: the way to the local services is in one of ours.
    assert {name: passed[name] for name in PROFILE} == PROFILE
    services = {name: value for name, value in sam.access.items() if name.startswith("AWS_")}
    assert json.loads(said["OPENRESPONSES_LOCAL_AWS"]).items() >= services.items()
    assert {*services} == {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert set(said) <= set(passed)
    assert (container["command"], container["working_dir"]) == ([], "/var/task")
    # Although it was told `--docker-network host`: docs/getting-started.md says what to do instead.
    assert {"network", "network_mode"} & {*container} == set()


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_answered(sam: Sam, event: str) -> None:
    check(event, sam.invoke(function_of(event), read(event)))


def test_a_key_that_dev_does_not_know_is_refused(sam: Sam) -> None:
    event = read("authorizer")
    answer = sam.invoke("AuthorizerFunction", {**event, "authorizationToken": event["authorizationToken"][:-1] + "x"})
    assert answer is not None
    assert answer["errorMessage"] == "Unauthorized"


def test_a_response_of_an_event_is_one_of_the_running_server(sam: Sam) -> None:
    made = sam.invoke("ApiFunction", read("responses_create"))
    assert made is not None
    response = json.loads(made["body"])
    assert sam.of_dev(response["id"]) == response

    def about(event: str, function: str = "ApiFunction") -> Json | None:
        return sam.invoke(function, json.loads(json.dumps(read(event)).replace(MISSING, response["id"])))

    items, stream = about("responses_input_items"), about("responses_get_stream")
    assert items is not None
    assert stream is not None
    assert [item["role"] for item in json.loads(items["body"])["data"]] == ["user"]
    assert re.findall('"sequence_number":([0-9]+)', stream["body"])[0] == "4"
    assert about("worker_work", "WorkerFunction") == {
        **json.loads(json.dumps(OTHERS["worker_work"])),
        "response_id": response["id"],
    }
    assert about("worker_settle", "WorkerFunction") is None
    assert sam.of_dev(response["id"]) == response
    deleted = about("responses_delete")
    assert deleted is not None
    assert json.loads(deleted["body"])["deleted"] is True
    with pytest.raises(urllib.error.HTTPError, match="404"):
        sam.of_dev(response["id"])


def test_the_state_machine_of_dev_goes_on_with_a_response_of_an_event(sam: Sam) -> None:
    event = read("responses_create")
    asked = {**json.loads(event["body"]), "background": True}
    made = sam.invoke("ApiFunction", {**event, "body": json.dumps(asked)})
    assert made is not None
    response = json.loads(made["body"])
    assert response["status"] == "queued"
    until = time.monotonic() + PATIENCE
    while (found := sam.of_dev(response["id"]))["status"] != "completed":
        assert time.monotonic() < until, found
        time.sleep(0.1)


@pytest.fixture(scope="module")
def start_api(sam: Sam, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """SAM's own gateway in front of the functions."""
    port = free_port()
    with (tmp_path_factory.mktemp("start-api") / "output").open("w") as output:
        process = subprocess.Popen(
            [*SAM, "start-api", TEMPLATE, sam.file, str(port)],
            env=sam_environment(),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    assert process.stdin
    with process.stdin as given:
        given.write(json.dumps(sam.addresses).encode())
    try:
        wait_for(f"127.0.0.1:{port}", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # asked to end, it may wait for its clients
        process.wait(PATIENCE)


def test_start_api_answers_with_the_whole_stream_at_once(start_api: str, sam: Sam) -> None:
    asked = {"model": "offline/demo", "input": "Hello", "stream": True}
    with opened(bearing(f"{start_api}/responses", KEY_OF_EVENTS, asked)) as answer:
        body = answer.read().decode()
        assert answer.headers["content-length"] == str(len(body.encode()))
    last = json.loads(re.findall(r"^data: (\{.*)$", body, re.MULTILINE)[-1])
    assert last["type"] == "response.completed"
    assert sam.of_dev(last["response"]["id"]) == last["response"]


def test_start_api_lets_the_keys_of_dev_in_and_no_other(start_api: str) -> None:
    with opened(bearing(f"{start_api}/models", KEY_OF_EVENTS)) as answer:
        assert answer.status == 200
    refused: dict[str, int] = {}
    for key in (f"{KEY_OF_EVENTS[:-1]}x", "mine"):
        with pytest.raises(urllib.error.HTTPError) as error:
            opened(bearing(f"{start_api}/models", key))
        refused[key] = error.value.code
        error.value.close()
    # API Gateway makes a 401 of the authorizer's "Unauthorized", and SAM a failure.
    assert list(refused.values()) == [502, 401]
