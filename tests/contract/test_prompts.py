"""`prompt` in a create: what a request asks for that begins with a stored prompt."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from openai.types.responses import ResponsePrompt

from openresponses.core import deltas as d
from openresponses.core.turn import Turn
from openresponses.schema.request import CreateResponse
from tests.contract.machine import House
from tests.contract.served import client_of, sdk_of
from tests.unit.kit import Json, Script, usage

ANSWER = [d.Text("0", "an answer"), d.End("0"), usage(3), d.Finish("stop")]
CALL = [d.ToolCall("0", "{}", "c1", "calculator"), d.End("0"), usage(3), d.Finish("stop")]
GREET: Json = {
    "model": "m",
    "instructions": "You are {{who}}.",
    "input": [
        {"role": "user", "content": "Hello from {{place}}"},
        {"role": "assistant", "content": "Hello, {{place}}."},
    ],
    "temperature": 0.25,
    "tools": [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}],
}
VARIABLES = {"who": "a host", "place": "Ulm"}


class Prompted:
    """A house with a prompt in two versions, and the provider's script."""

    def __init__(self, *turns: list[d.Delta], **settings: Any) -> None:
        self.script = Script([*turns] or [ANSWER] * 9)
        self.house = House(self.script, **settings)

    async def add(self, prompt_id: str = "greet", **changes: Any) -> None:
        body = {name: value for name, value in {**GREET, **changes}.items() if value is not None}
        assert self.house.storage
        await self.house.storage.prompts.add(prompt_id, CreateResponse.model_validate(body))

    async def post(self, **fields: Any) -> httpx2.Response:
        prompt = {"id": "greet", "variables": VARIABLES, **fields.pop("prompt", {})}
        async with client_of(self.house) as http:
            return await http.post("/responses", json={"prompt": prompt, **fields})

    async def ask(self, **fields: Any) -> tuple[Json, Turn]:
        answer = await self.post(**fields)
        assert answer.status_code == 200, answer.text
        return answer.json(), self.script.asked[-1]

    async def refusal(self, **fields: Any) -> tuple[int, str | None, str]:
        answer = await self.post(**fields)
        error = answer.json()["error"]
        return answer.status_code, error["param"], error["code"]


def said(turn: Turn) -> list[tuple[str, str]]:
    return [(item.role, item.content[0].text) for item in turn.items]  # pyright: ignore


GREETED = [("user", "Hello from Ulm"), ("assistant", "Hello, Ulm.")]


async def test_a_request_begins_with_its_prompt() -> None:
    at = Prompted()
    await at.add()
    response, turn = await at.ask(input="How are you?")
    assert said(turn) == [*GREETED, ("user", "How are you?")]
    assert turn.request.instructions == "You are a host."
    assert [each.name for each in turn.tools] == ["get_weather"]
    assert (turn.request.model, turn.request.temperature) == ("m", 0.25)
    shown = {name: response[name] for name in ("model", "instructions", "temperature", "prompt")}
    assert shown == {
        "model": "m",
        "instructions": "You are a host.",
        "temperature": 0.25,
        "prompt": {"id": "greet", "version": "1", "variables": VARIABLES},
    }
    assert [each["name"] for each in response["tools"]] == ["get_weather"]


async def test_what_the_request_says_counts() -> None:
    at = Prompted()
    await at.add()
    response, turn = await at.ask(input="x", model="n", instructions="", temperature=1.5, tools=[])
    assert (turn.request.model, turn.request.instructions, turn.request.temperature) == ("n", "", 1.5)
    assert (response["model"], response["instructions"], response["tools"]) == ("n", "", [])
    assert said(turn) == [*GREETED, ("user", "x")]


async def test_messages_may_be_all_that_is_said() -> None:
    at = Prompted()
    await at.add()
    assert said((await at.ask())[1]) == GREETED
    assert said((await at.ask(input=""))[1]) == GREETED
    assert said((await at.ask(input=[]))[1]) == GREETED
    await at.add("bare", input=None)
    assert await at.refusal(prompt={"id": "bare"}) == (400, "input", "missing_required_parameter")


async def test_a_text_as_a_prompts_input_is_what_a_user_says() -> None:
    at = Prompted()
    await at.add(input="Hi from {{place}}")
    assert said((await at.ask(input="x"))[1]) == [("user", "Hi from Ulm"), ("user", "x")]


async def test_the_newest_version_counts_unless_one_is_named() -> None:
    at = Prompted()
    await at.add(instructions="one")
    await at.add(instructions="two")
    found = [await at.ask(input="x", prompt={"version": version}) for version in (None, "1", "2")]
    assert [turn.request.instructions for _, turn in found] == ["two", "one", "two"]
    assert [response["prompt"]["version"] for response, _ in found] == ["2", "1", "2"]


@pytest.mark.parametrize(
    ("prompt", "param", "code"),
    [
        ({"id": "nobody"}, "prompt.id", "prompt_not_found"),
        ({"id": "nobody", "version": "1"}, "prompt.id", "prompt_not_found"),
        ({"version": "2"}, "prompt.version", "prompt_not_found"),
        ({"version": "latest"}, "prompt.version", "prompt_not_found"),
        ({"variables": {"place": "Ulm"}}, "prompt.variables.who", "missing_required_parameter"),
        ({"variables": None}, "prompt.variables.who", "missing_required_parameter"),
        ({"variables": {**VARIABLES, "who": {"type": "input_file", "file_data": "QQ=="}}}, "prompt.variables.who",
         "invalid_value"),
        ({"variables": {str(n): "x" for n in range(257)}}, "prompt.variables", "invalid_value"),
        ({"variables": {"x" * 257: "x"}}, f"prompt.variables.{'x' * 64}", "invalid_value"),
        ({"variables": {"x": {"type": "input_audio"}}}, "prompt.variables.x.type", "invalid_value"),
        ({"id": ""}, "prompt.id", "invalid_value"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(prompt: Json, param: str, code: str) -> None:
    at = Prompted()
    await at.add()
    assert await at.refusal(input="x", prompt=prompt) == (400, param, code)
    assert at.script.asked == []


async def test_a_misspelt_prompt_gets_the_nearest_name() -> None:
    at = Prompted()
    await at.add()
    answer = await at.post(input="x", prompt={"id": "gret"})
    assert answer.json()["error"]["message"] == "There is no prompt 'gret': did you mean 'greet'?"


async def test_a_model_is_said_by_one_of_them() -> None:
    at = Prompted()
    await at.add(model=None)
    assert await at.refusal(input="x") == (400, "model", "missing_required_parameter")
    assert (await at.ask(input="x", model="n"))[0]["model"] == "n"


async def test_an_error_in_the_input_names_the_clients_own_item() -> None:
    at = Prompted()
    await at.add()
    reference = [{"role": "user", "content": "x"}, {"type": "item_reference", "id": "msg_nowhere"}]
    assert await at.refusal(input=reference) == (404, "input[1].id", "item_not_found")


async def test_what_a_variable_says_is_no_prompt() -> None:
    at = Prompted()
    await at.add()
    variables = {"who": "{{place}} {{secret}}", "place": "Ulm"}
    response, _ = await at.ask(input="{{who}}", prompt={"variables": variables})
    assert response["instructions"] == "You are {{place}} {{secret}}."
    assert said(at.script.asked[-1])[-1] == ("user", "{{who}}")


async def test_an_image_is_in_the_input_and_not_in_the_echo() -> None:
    at = Prompted()
    await at.add(input="Look: {{photo}}", instructions=None)
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    response, turn = await at.ask(prompt={"variables": {"photo": image, "more": {"type": "input_text", "text": "x"}}})
    assert [part.model_dump() for part in turn.items[0].content] == [  # pyright: ignore
        {"type": "input_text", "text": "Look: "},
        image,
    ]
    assert response["prompt"]["variables"] == {"more": {"type": "input_text", "text": "x"}}


async def test_what_was_asked_is_listed_and_a_follow_up_goes_on_from_it() -> None:
    at = Prompted()
    await at.add()
    first, _ = await at.ask(input="x")
    async with client_of(at.house) as http:
        items = (await http.get(f"/responses/{first['id']}/input_items?order=asc")).json()["data"]
        assert [each["content"][0]["text"] for each in items] == ["Hello from Ulm", "Hello, Ulm.", "x"]
        assert len({each["id"] for each in items}) == 3
        await http.post("/responses", json={"model": "m", "input": "y", "previous_response_id": first["id"]})
    turn = at.script.asked[-1]
    assert said(turn) == [*GREETED, ("user", "x"), ("assistant", "an answer"), ("user", "y")]
    assert turn.request.instructions is None


async def test_a_run_that_is_handed_off_keeps_what_was_resolved() -> None:
    at = Prompted([*CALL], [*ANSWER], inline_turns=1)
    await at.add(tools=[{"type": "serverless:calculator"}])
    answer = await at.post(input="x", background=True)
    await at.add(instructions="another")
    await at.house.storage.prompts.remove("greet")
    await at.house.idle()
    async with client_of(at.house) as http:
        response = (await http.get(f"/responses/{answer.json()['id']}")).json()
    assert response["status"] == "completed"
    assert [each.request.instructions for each in at.script.asked] == ["You are a host."] * 2
    assert said_first(at.script.asked[-1]) == "Hello from Ulm"
    assert (response["prompt"]["version"], response["model"]) == ("1", "m")


def said_first(turn: Turn) -> str:
    return turn.items[0].content[0].text  # pyright: ignore


async def test_a_request_that_comes_again_gets_the_first_answer_though_the_prompt_has_changed() -> None:
    at = Prompted()
    await at.add()
    body = {"prompt": {"id": "greet", "variables": VARIABLES}, "input": "x"}
    async with client_of(at.house) as http:
        first = await http.post("/responses", json=body, headers={"idempotency-key": "k"})
        await at.add(instructions="another")
        again = await http.post("/responses", json=body, headers={"idempotency-key": "k"})
    assert first.json()["id"] == again.json()["id"]
    assert len(at.script.asked) == 1


async def test_the_sdk_reads_the_echo_and_needs_no_model() -> None:
    at = Prompted()
    await at.add()
    async with sdk_of(at.house) as client:
        response = await client.responses.create(prompt={"id": "greet", "variables": {**VARIABLES}}, input="x")
        assert response.prompt == ResponsePrompt(id="greet", version="1", variables={**VARIABLES})
        stream = await client.responses.create(prompt={"id": "greet", "variables": {**VARIABLES}}, stream=True)
        events = [each async for each in stream]
    assert events[-1].type == "response.completed"
    assert events[-1].response.prompt == response.prompt
