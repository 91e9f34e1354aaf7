"""The console in Chromium, against a local cloud: each thing that it does, once."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from openresponses.api.console import contents
from tests.browser.console import BIDI, FAST, HOSTILE, MARKED, MEGABYTE, PIXEL, Site, Watched, site
from tests.browser.test_browser import OPENAI, PACKAGES
from tests.npm import npm_install

pytestmark = [
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("console"),
    pytest.mark.timeout(300),
]
SHOTS = Path(__file__).parents[2] / "build/console"
"""Of each view. docs/images has copies of `console-try.png` and `console-look.png`."""
DATA_URL = f"data:image/png;base64,{PIXEL}"
PASTE = """([selector, kind, data]) => {
  const bytes = Uint8Array.from(atob(data), (each) => each.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], `${kind}.png`, {type: "image/png"}));
  const event = kind === "paste"
    ? new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true})
    : new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true});
  document.querySelector(selector).dispatchEvent(event);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def at(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site, None]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with site(tmp_path_factory.mktemp("tools")) as found:
        yield found


async def test_an_answer_comes_item_by_item_and_the_conversation_goes_on(at: Site) -> None:
    async with at.page() as tab:
        page = tab.page
        await page.get_by_label("Instructions").fill("Be brief.")
        await page.get_by_role("button", name="+ Hosted").click()
        await page.get_by_label("Type", exact=True).fill("serverless:calculator")
        await page.get_by_label("Effort").select_option("low")
        await page.get_by_label("Summary").select_option("auto")
        await tab.say("What is 15 * 37?")
        answer = await tab.answered()
        kinds = answer.get_by_role("article").locator("header > .kind")
        await expect(kinds).to_have_text(["Reasoning", "Hosted call", "Reasoning", "Model"])
        await expect(answer.locator("header > code")).to_have_text(["serverless:calculator"])
        await expect(answer.get_by_label("output")).to_have_text("555")
        facts = await answer.locator("footer").inner_text()
        await tab.page.screenshot(path=SHOTS / "console-try.png")
        assert re.search(r"completed\s*Target offline/demo\s*Tokens \d+ in, \d+ out\s*Cost \$0", facts)
        assert re.search(r"First token [\d.]+ m?s\s*Whole [\d.]+ m?s", facts)
        await tab.say("And now?")
        await tab.answered(2)
        first, second = tab.bodies
        assert first == {
            "model": "offline/demo",
            "instructions": "Be brief.",
            "tools": [{"type": "serverless:calculator"}],
            "reasoning": {"effort": "low", "summary": "auto"},
            "input": "What is 15 * 37?",
            "store": True,
            "stream": True,
        }
        assert second == {**first, "input": "And now?", "previous_response_id": second["previous_response_id"]}
        assert second["previous_response_id"].startswith("resp_")
        assert tab.wrong == []


async def test_escape_stops_the_answer_on_the_server(at: Site) -> None:
    async with at.page() as tab:
        await tab.say("[[words 4000]] [[slow 20ms]] go on")
        await expect(tab.answers.get_by_role("article")).to_contain_text("offline demo model")
        await tab.page.keyboard.press("Escape")
        answer = await tab.answered()
        await expect(answer.locator("footer")).to_contain_text("cancelled")
        await expect(tab.page.get_by_role("button", name="Stop")).to_be_hidden()
        href = await answer.get_by_role("link", name="Timeline").get_attribute("href")
        async with at.api() as api:
            kept = (await api.get(f"responses/{str(href).rpartition('/')[2]}")).json()
        assert kept["status"] == "cancelled"
        assert tab.wrong == []


async def test_an_answer_goes_on_after_a_reload(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_label("Instructions").fill("Be long.")
        await tab.say("[[words 50]] [[slow 30ms]] go on")
        await expect(tab.answers.get_by_role("article")).to_contain_text("offline demo model")
        await tab.page.reload()
        await expect(tab.answers.get_by_role("article")).to_contain_text("offline demo model")
        answer = await tab.answered()
        text = await answer.get_by_role("article").locator(".prose").inner_text()
        assert len(text.split()) == 50
        assert await tab.page.get_by_role("article").count() == 2, "the question, and one answer"
        assert await tab.page.get_by_label("Instructions").input_value() == "Be long."
        await tab.say("And then?")
        await tab.answered(2)
        assert tab.bodies[-1]["previous_response_id"]
        assert set(await tab.page.evaluate("Object.keys({...sessionStorage, ...localStorage})")) == {
            "openresponses.key",
            "openresponses.open",
        }
        assert tab.wrong == []


async def _cut(route: Any) -> None:
    """The stream breaks after some deltas."""
    answer = await route.fetch()
    whole = await answer.text()
    await route.fulfill(response=answer, body=whole[: whole.index("event: response.output_text.delta") + 900])


async def test_a_stream_that_breaks_is_resumed_after_its_last_event(at: Site) -> None:
    async with at.page() as tab:
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))

        await tab.page.route("**/v1/responses", _cut)
        await tab.say("[[words 40]] go on")
        answer = await tab.answered()
        assert len((await answer.locator(".prose").inner_text()).split()) == 40
        (resumed,) = [url for url in asked if "starting_after=" in url]
        assert int(resumed.rpartition("=")[2]) > 2
        assert tab.wrong == []


async def test_the_user_answers_a_function_that_the_model_calls(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_role("button", name="+ Function").click()
        await tab.page.get_by_label("Name", exact=True).fill("weather")
        await tab.page.get_by_label("Description").fill("The weather of a city")
        await tab.say("The weather in Oslo?")
        answer = await tab.answered()
        await expect(answer.get_by_role("article").last.locator("header")).to_contain_text("weather")
        await answer.get_by_label("What the function answers").fill("It is 21 degrees.")
        await answer.get_by_role("button", name="Answer the call").click()
        await expect((await tab.answered(2)).locator(".prose")).to_contain_text("It is 21 degrees.")
        (tool,) = tab.bodies[0]["tools"]
        assert (tool["type"], tool["name"], tool["parameters"]["required"]) == ("function", "weather", ["city"])
        (output,) = tab.bodies[1]["input"]
        assert (output["type"], output["output"]) == ("function_call_output", "It is 21 degrees.")
        assert tab.wrong == []


async def test_the_user_approves_or_refuses_calls_of_an_mcp_server(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_role("button", name="+ MCP").click()
        await tab.page.get_by_label("Label", exact=True).fill("fake")
        await tab.page.get_by_label("URL (none").fill(at.mcp.url)
        await tab.page.get_by_label("Allowed tools").fill("echo, add")
        await tab.say('[[call fake__echo {"text": "aloud"}]] [[call fake__add {"numbers": [1, 2]}]]')
        answer = await tab.answered()
        await expect(answer.get_by_role("article").first).to_contain_text("2 tools")
        await answer.get_by_role("group", name="Approval of echo").get_by_role("button", name="Approve").click()
        await answer.get_by_role("group", name="Approval of add").get_by_role("button", name="Refuse").click()
        second = await tab.answered(2)
        await expect(second.get_by_label("output").first).to_have_text("aloud")
        assert [each["approve"] for each in tab.bodies[1]["input"]] == [True, False]
        assert at.mcp.calls == [("echo", {"text": "aloud"})]
        assert tab.wrong == []


async def test_an_answer_has_the_structure_that_was_asked_for(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_label("Format").select_option("json_schema")
        await tab.page.get_by_label("Name of the schema").fill("verdict")
        await tab.page.get_by_label("Temperature").fill("0.5")
        await tab.page.get_by_label("Most output tokens").fill("200")
        await tab.page.get_by_label("Metadata").fill("case=7, by=me")
        await tab.say("Is it so?")
        answer = await tab.answered()
        said = json.loads(await answer.locator(".prose").inner_text())
        assert set(said) == {"answer", "sure"}
        (body,) = tab.bodies
        asked = body["text"]["format"]
        assert (asked["type"], asked["name"], asked["schema"]["required"]) == (
            "json_schema",
            "verdict",
            ["answer", "sure"],
        )
        settings = (body["temperature"], body["max_output_tokens"], body["metadata"])
        assert settings == (0.5, 200, {"case": "7", "by": "me"})
        await tab.page.get_by_label("JSON schema").fill("{")
        await tab.say("Again")
        await expect(tab.page.locator("#form-error")).to_contain_text("The schema is no JSON")
        await expect(tab.page.get_by_label("JSON schema")).to_be_focused()
        assert len(tab.bodies) == 1
        assert tab.wrong == []


async def test_images_are_chosen_pasted_and_dropped(at: Site, tmp_path: Path) -> None:
    import base64

    async with at.page() as tab:
        chosen = {"name": "chosen.png", "mimeType": "image/png", "buffer": base64.b64decode(PIXEL)}
        await tab.page.get_by_label("Image files").set_input_files([chosen])  # pyright: ignore
        await tab.page.evaluate(PASTE, ["#message", "paste", PIXEL])
        await tab.page.evaluate(PASTE, ["#composer", "drop", PIXEL])
        images = tab.page.get_by_role("list", name="Images of the message")
        await expect(images.get_by_role("img")).to_have_count(3)
        await images.get_by_role("button", name="Remove paste.png").click()
        await tab.page.get_by_label("Image files").set_input_files(
            [{"name": "a.txt", "mimeType": "text/plain", "buffer": b"no"}]
        )
        await expect(tab.page.locator("#form-error")).to_contain_text("a.txt is no PNG")
        await tab.say("What is this?")
        await tab.answered()
        (body,) = tab.bodies
        assert body["input"] == [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    *2 * [{"type": "input_image", "image_url": DATA_URL}],
                ],
            }
        ]
        await expect(tab.page.get_by_alt_text("Image of this message")).to_have_count(2)
        await expect(images.get_by_role("img")).to_have_count(0)
        assert tab.wrong == []


async def test_what_fails_is_told_with_its_cause(at: Site) -> None:
    async with at.page() as tab:
        model = tab.page.get_by_label("Model", exact=True)
        await model.fill("nowhere/model")
        await tab.say("Anybody?")
        failed = tab.answers.last
        await expect(failed.locator("footer")).to_contain_text("HTTP 404")
        await expect(failed.locator("footer")).to_contain_text("model_not_found")
        await expect(failed.locator(".problem")).to_contain_text("nowhere/model")
        await expect(tab.page.get_by_label("Message", exact=True)).to_have_value("Anybody?")
        await tab.page.get_by_role("button", name="New", exact=True).click()
        await model.fill("offline/demo")
        await tab.say("[[fail after 3]] go on")
        await expect((await tab.answered()).locator("footer .badge")).to_have_text("failed")
        await expect(tab.answers.last.locator(".problem")).to_contain_text("fails because its script says so")
        await tab.page.get_by_role("button", name="New", exact=True).click()
        await tab.say("[[length 9]] go on")
        await expect((await tab.answered()).locator(".problem")).to_contain_text("Incomplete: max_output_tokens")
        tab.wrong[:] = [each for each in tab.wrong if "Failed to load resource" not in each]
        assert tab.wrong == []


TOLD = """It's "what"! is 15 * 37? $HOME `x` \\ !! !x\n^a^b\n'JSON'\nJSON\n größer"""


async def ran(*command: str, folder: Path, key: str, typed: str = "") -> str:
    """What it prints. `typed` is its standard input."""
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "OPENAI_API_KEY": key, "HISTFILE": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problem = await asyncio.wait_for(child.communicate(typed.encode()), 120)
    assert child.returncode == 0, problem.decode()
    return out.decode()


async def test_the_copied_code_runs(at: Site, tmp_path: Path) -> None:
    async with at.page() as tab:
        page = tab.page
        await page.get_by_label("Instructions").fill(TOLD)
        await page.get_by_role("button", name="+ Hosted").click()
        await page.get_by_label("Type", exact=True).fill("serverless:calculator")
        await page.get_by_role("button", name="+ Function").click()
        await page.get_by_label("Name", exact=True).fill("weather")
        await page.get_by_label("Format").select_option("json_schema")
        await page.evaluate(PASTE, ["#message", "paste", PIXEL])
        await page.get_by_label("Message", exact=True).fill(TOLD)
        await page.get_by_role("button", name="Copy as code").click()
        codes: dict[str, str] = {}
        for language in ("curl", "Python", "JavaScript"):
            await page.get_by_role("tab", name=language).click()
            codes[language] = await page.get_by_label("Code", exact=True).inner_text()
        assert not any(at.cloud.api_key in code for code in codes.values())
        assert tab.wrong == []
    npm_install(PACKAGES, OPENAI)
    (PACKAGES / "copied.mjs").write_text(codes["JavaScript"])
    shell = ["bash", "--norc", "--noprofile", "-i"]  # as one pastes it: with history expansion
    told = await asyncio.gather(
        ran(*shell, folder=tmp_path, key=at.cloud.api_key, typed=f"true\n{codes['curl']}\n"),
        ran(sys.executable, "-c", codes["Python"], folder=tmp_path, key=at.cloud.api_key),
        ran("node", "copied.mjs", folder=PACKAGES, key=at.cloud.api_key),
    )
    assert "data: [DONE]" in told[0]
    assert all(told)
    async with at.api() as api:
        newest = (await api.get("responses?limit=3")).json()["data"]
        whole = [(await api.get(f"responses/{each['id']}")).json() for each in newest]
        inputs = [(await api.get(f"responses/{each['id']}/input_items")).json()["data"] for each in newest]
    assert [each["instructions"] for each in whole] == [TOLD] * 3
    assert [[tool["type"] for tool in each["tools"]] for each in whole] == [["serverless:calculator", "function"]] * 3
    assert [each["text"]["format"]["type"] for each in whole] == ["json_schema"] * 3
    shown = [[part.get("text") or part.get("image_url") for part in each[0]["content"]] for each in inputs]
    assert shown == [[TOLD, DATA_URL]] * 3


async def test_look_lists_filters_and_pages(at: Site) -> None:
    made = [await at.make(metadata={"batch": "look", "number": str(number)}) for number in range(26)]
    await at.make(input="[[length 3]]", metadata={"batch": "look"})
    async with at.page() as tab:
        page = tab.page
        await page.get_by_role("tab", name="Look").click()
        rows = page.locator("tbody tr")
        await expect(rows).to_have_count(25)
        await expect(rows.first.locator("td").first).to_have_text(re.compile(r"resp_\w+…\w+"))
        await page.get_by_label("Metadata", exact=True).last.fill("batch=look")
        await page.get_by_label("Status").select_option("completed")
        await page.get_by_role("button", name="Show").click()
        await expect(page).to_have_url(re.compile(r"#/look\?status=completed&metadata=batch%3Dlook"))
        await expect(rows).to_have_count(25)
        await page.get_by_role("button", name="Older").click()
        await expect(rows).to_have_count(26)
        await expect(page.get_by_role("button", name="Older")).to_be_hidden()
        hrefs = [await link.get_attribute("href") for link in await rows.get_by_role("link").all()]
        assert hrefs == [f"#/look/{each['id']}" for each in reversed(made)]
        await page.reload()
        await expect(page.get_by_label("Status")).to_have_value("completed")
        await expect(rows).to_have_count(25)
        await page.get_by_label("Status").select_option("incomplete")
        await page.get_by_role("button", name="Show").click()
        await expect(rows).to_have_count(1)
        await expect(rows.locator(".badge")).to_have_text("incomplete")
        assert tab.wrong == []


async def test_look_shows_one_response_with_its_items_input_and_events(at: Site) -> None:
    made = await at.make(
        input="What is 15 * 37?", tools=[{"type": "serverless:calculator"}], metadata={"who": "<b>me</b>"}
    )
    async with at.page() as tab:
        page = tab.page
        await page.goto(f"{page.url.partition('#')[0]}#/look/{made['id']}")
        await expect(page.get_by_role("heading", name=made["id"])).to_be_visible()
        await expect(page.locator("#view-look dl")).to_contain_text("<b>me</b>")
        await page.get_by_role("tab", name="Items").click()
        panel = page.locator("#detail-panel")
        await expect(panel.get_by_label("output")).to_have_text("555")
        await page.get_by_role("tab", name="Input").click()
        await expect(panel).to_contain_text("What is 15 * 37?")
        await page.get_by_role("tab", name="Events").click()
        await expect(panel.get_by_role("status")).to_have_text(re.compile(r"^\d+ events$"))
        lines = [json.loads(each) for each in await panel.get_by_role("listitem").all_inner_texts()]
        assert [each["sequence_number"] for each in lines] == list(range(len(lines)))
        assert (lines[0]["type"], lines[-1]["type"]) == ("response.created", "response.completed")
        await page.reload()
        await expect(panel.get_by_role("status")).to_have_text(f"{len(lines)} events")
        await page.go_back()
        await expect(page.get_by_role("tab", name="Input")).to_have_attribute("aria-selected", "true")
        await expect(panel).to_contain_text("What is 15 * 37?")
        await page.get_by_role("link", name="Go on in Try").click()
        await expect(tab.answers.get_by_label("output")).to_have_text("555")
        await tab.say("And 2 + 2?")
        await tab.answered(2)
        assert tab.bodies[-1]["previous_response_id"] == made["id"]
        assert tab.wrong == []


async def test_a_timeline_tells_turns_calls_and_what_was_tried_before(at: Site) -> None:
    made = await at.make(model="shaky", input="What is 15 * 37?", tools=[{"type": "serverless:calculator"}])
    async with at.page() as tab:
        await tab.page.goto(f"{tab.page.url.partition('#')[0]}#/look/{made['id']}")
        steps = tab.page.get_by_role("list", name="Timeline").locator(":scope > li")
        await expect(steps).to_have_count(3)
        told = ["Turn offline/demo", "Call (hosted) calculator", "Turn offline/demo"]
        await expect(steps.locator(".what")).to_have_text(told)
        tried = steps.first.get_by_role("list", name="Attempts before")
        await expect(tried).to_have_text(re.compile("skipped.*nowhere/model.*not configured"))
        await expect(steps.first).to_contain_text("inline")
        await expect(steps.nth(1)).to_contain_text("15 * 37")
        await tab.page.screenshot(path=SHOTS / "console-look.png")
        assert tab.wrong == []


async def test_a_response_in_the_background_is_followed_to_its_execution(at: Site) -> None:
    made = await at.make(input="[[words 20]] [[slow 50ms]] go on", background=True)
    async with at.page() as tab:
        page = tab.page
        await page.goto(f"{page.url.partition('#')[0]}#/try/{made['id']}")
        await expect(tab.answers.locator(".spinner")).to_be_visible()
        await tab.answered()
        await page.get_by_role("link", name="Timeline").click()
        await expect(page.get_by_role("list", name="Timeline")).to_contain_text("in Step Functions")
        await page.get_by_role("tab", name="Execution").click()
        row = page.locator("tbody tr")
        await expect(row).to_contain_text(made["id"])
        await expect(row.locator(".badge")).to_have_text("SUCCEEDED")
        assert tab.wrong == []


async def test_run_tells_what_dev_runs(at: Site) -> None:
    async with at.page() as tab:
        page = tab.page
        await page.get_by_role("button", name="+ Hosted").click()
        await page.get_by_label("Type", exact=True).fill("serverless:broken")
        await tab.say('[[call broken {"word": "moon"}]]')
        answer = await tab.answered()
        await expect(answer.get_by_role("article").first.locator(".badge")).to_have_text("failed")
        await page.get_by_role("tab", name="Run").click()
        problems = page.get_by_role("region", name="Problems")
        await expect(problems).to_contain_text("KeyError")
        await expect(problems.get_by_label("What it says").first).to_contain_text('return {"a": "b"}[word]')
        functions = page.get_by_role("region", name="Functions").locator("tbody tr")
        await expect(functions.filter(has_text="ApiFunction")).to_contain_text(re.compile(r"\d+ ms"))
        await expect(page.get_by_role("region", name="Keys").first).to_contain_text("local cloud")
        providers = page.get_by_role("region", name="Providers").first
        await expect(providers.locator("tbody tr").filter(has_text="hostile").locator(".badge")).to_have_text("closed")
        log = page.get_by_role("list", name="Log")
        await expect(log).to_contain_text("POST /v1/responses")
        before = await log.get_by_role("listitem").count()
        await at.make()
        await expect(log.get_by_role("listitem").nth(before)).to_be_visible()
        await page.get_by_label("Filter").fill("no line has this")
        await expect(log.get_by_role("listitem")).to_have_count(0)
        assert tab.wrong == []


async def test_on_a_deployment_the_page_asks_for_a_key_and_shows_what_it_gives(at: Site) -> None:
    """A key of another tenant: to it the local cloud tells as little as a deployment does."""
    key = await at.other_key()
    made = await at.make()
    async with at.page(path="/console", key=None) as tab:
        page = tab.page
        dialog = page.get_by_role("dialog", name="API key")
        await dialog.get_by_label("Key", exact=True).fill(f"{at.cloud.api_key[:-1]}{'AB'[at.cloud.api_key[-1] == 'A']}")
        await dialog.get_by_role("button", name="Use it").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("does not take this key")
        await dialog.get_by_label("Key", exact=True).fill(key)
        await dialog.get_by_label("Key", exact=True).press("Enter")
        await expect(page.get_by_label("Model", exact=True)).not_to_have_value("")
        await expect(page.get_by_role("tab", name="Run")).to_be_hidden()
        await tab.say("Hello")
        await tab.answered()
        await page.get_by_role("tab", name="Look").click()
        await expect(page.locator("tbody tr")).to_have_count(1)
        await page.goto(f"{page.url.partition('#')[0]}#/look/{made['id']}")
        await expect(page.get_by_role("alert").last).to_contain_text("There is no response")
        await page.get_by_role("button", name="Key", exact=True).click()
        await dialog.get_by_role("button", name="Forget the key").click()
        await expect(dialog.get_by_label("Key", exact=True)).to_be_focused()
        assert await page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]
        assert [each for each in tab.wrong if "Failed to load resource" not in each] == []


async def test_all_of_it_works_with_the_keyboard_alone(at: Site) -> None:
    async with at.page(reduced_motion="reduce") as tab:
        page, keys = tab.page, tab.page.keyboard
        await page.get_by_role("link", name="Skip to the content").focus()
        await keys.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        await page.get_by_role("link", name="Skip to the content").focus()
        await keys.press("Tab")
        await expect(page.get_by_role("tab", name="Try")).to_be_focused()
        shown = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert shown == "solid", "one sees where the focus is"
        await keys.press("ArrowRight")
        await expect(page.get_by_role("tab", name="Look")).to_be_focused()
        await expect(page.get_by_role("heading", name="Responses")).to_be_visible()
        await keys.press("End")
        await expect(page.get_by_role("heading", name="What runs here")).to_be_visible()
        await keys.press("Home")
        seen: list[str] = []
        for _ in range(40):
            await keys.press("Tab")
            seen.append(await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
            if seen[-1] == "message":
                break
        wanted = ["key-button", "model", "instructions", "+ Hosted", "+ Function", "+ MCP", "format", "max-output"]
        wanted += ["temperature", "effort", "summary", "metadata", "copy-open", "new", "conversation"]
        assert [each for each in wanted if each not in seen] == []
        await keys.type("Hello")
        await keys.press("Enter")
        await tab.answered()
        await expect(page.get_by_label("Message", exact=True)).to_be_focused()
        await expect(page.locator("#said")).to_have_text("The answer is completed")
        await page.get_by_role("button", name="Copy as code").focus()
        await keys.press("Enter")
        await page.get_by_role("tab", name="curl").focus()
        await keys.press("ArrowRight")
        await expect(page.get_by_label("Code", exact=True)).to_contain_text("from openai import OpenAI")
        await keys.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(page.get_by_role("button", name="Copy as code")).to_be_focused()
        assert tab.wrong == []


async def test_it_is_small_and_soon_usable(at: Site, record_property: Any) -> None:
    files = contents().values()
    raw, packed = sum(map(len, files)), sum(len(gzip.compress(each)) for each in files)
    told: dict[str, float] = {}
    async with at.page() as tab:
        for name in ("cold", "warm"):
            if name == "warm":
                await tab.page.reload()
                await expect(tab.page.get_by_label("Model", exact=True)).not_to_have_value("")
            told[name] = await tab.page.evaluate("performance.getEntriesByName('usable')[0].startTime")
        first = await tab.page.evaluate(
            "performance.getEntriesByType('resource').filter((each) => each.name.includes('/console/')).length"
        )
    print(f"console: {len(files)} files, {raw} bytes, {packed} in gzip; {first} files at first; usable after {told} ms")
    assert raw < 150_000
    assert packed < 50_000


async def struck(tab: Watched) -> object:
    return await tab.page.evaluate(
        "[window.struck ?? null, document.querySelectorAll('main b, main script, img[src=x]').length]"
    )


async def test_what_means_harm_does_none(at: Site) -> None:
    async with at.page() as tab:
        page = tab.page
        await page.get_by_label("Model", exact=True).fill("hostile/model")
        await page.get_by_role("button", name="+ Function").click()
        await page.get_by_label("Name", exact=True).fill("act")
        await tab.say(HOSTILE)
        answer = await tab.answered()
        shown = HOSTILE.replace("\u202e", r"\u202e").replace("\u202c", r"\u202c")
        await expect(answer.locator(".prose").last).to_have_text(shown)
        call = answer.get_by_label("arguments")
        await expect(call).to_contain_text(r"\u202egnp.exe\u202c")
        assert BIDI not in await page.locator("main").inner_text()
        links = answer.get_by_role("list", name="Sources").get_by_role("link")
        assert [await each.get_attribute("href") for each in await links.all()] == ["https://good.example/page"]
        assert await links.first.get_attribute("rel") == "noopener noreferrer"
        await page.get_by_role("link", name="Timeline").click()
        for name in ("Timeline", "Items", "Input", "Events"):
            await page.get_by_role("tab", name=name, exact=True).click()
            await expect(page.locator("#detail-panel")).to_contain_text(re.compile("onerror|hostile/model"))
            assert await struck(tab) == [None, 0]
        assert tab.wrong == []


RAISES = "Object.defineProperty(window, 'sessionStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
STREAMED = """async ([text, hostile]) => {
  const { Markdown } = await import("/console/markdown.js");
  const made = new Markdown("");
  let kept = null;
  for (const character of text) {
    made.text += character;
    made.draw(true);
    kept ??= made.element.children.length > 1 ? made.element.firstChild : null;
  }
  made.draw(false);
  const same = made.element.innerHTML === new Markdown(text).element.innerHTML;
  const took = hostile.map((each) => {
    const began = performance.now();
    new Markdown(each.repeat(50_000 / each.length));
    return performance.now() - began;
  });
  return [same, kept === made.element.firstChild, Math.max(...took)];
}"""
GENERATED = """async (result) => {
  const { Answer } = await import("/console/answer.js");
  const { ItemView } = await import("/console/items.js");
  const answer = new Answer();
  const item = {type: "image_generation_call", id: "ig_1", status: "in_progress"};
  answer.apply({type: "response.output_item.added", output_index: 0, item});
  const view = new ItemView(answer.items[0]);
  const before = view.element.textContent;
  answer.apply({type: "response.image_generation_call.partial_image", output_index: 0, partial_image_b64: result});
  view.draw(answer.items[0]);
  return [before, view.element.querySelector("img").src];
}"""
SLOW = [
    "*a ",
    "**a",
    "_a ",
    "[",
    "[a](",
    "![a](a(",
    "`a",
    "``a`",
    "> ",
    "- ",
    "  - a\n",
    "|",
    "a|b\n-|-\n",
    "#",
    " #",
    "* *",
    "\\",
    "http://a",
]


async def test_an_answer_is_shown_as_markdown_and_as_it_was_written(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_label("Model", exact=True).fill("hostile/marked")
        await tab.say("Show all of it")
        answer = await tab.answered()
        shown = answer.locator(".marked")
        await expect(shown.get_by_role("heading", name="Heading")).to_have_attribute("aria-level", "3")
        assert await shown.locator("strong").all_inner_texts() == ["bold", "one", "1", "نص"]
        assert await shown.locator("em").all_inner_texts() == ["italic"]
        assert await shown.locator("ol > li > ul > li").all_inner_texts() == ["nested one"]
        assert [await each.get_attribute("href") for each in await shown.get_by_role("link").all()] == [
            "https://good.example/page",
            "mailto:a@good.example",
        ]
        await expect(shown).to_contain_text('bad and <b onclick="x">no HTML</b>.')
        await expect(shown.locator("pre")).to_have_text('def f(x: int) -> str:\n    return "**not bold**"')
        assert await shown.locator("tr").all_inner_texts() == ["Name\tValue", "a\t1", "b\t2"]
        await expect(answer.get_by_alt_text("dot")).to_have_attribute("src", DATA_URL)
        await tab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await shown.get_by_role("button", name="Copy").click()
        await expect(shown.get_by_role("button", name="Copied")).to_be_visible()
        assert await tab.page.evaluate("navigator.clipboard.readText()") == (
            'def f(x: int) -> str:\n    return "**not bold**"'
        )
        await tab.page.screenshot(path=SHOTS / "console-markdown.png")
        await answer.get_by_role("button", name="Raw").click()
        assert await answer.locator(".prose").text_content() == MARKED.replace("PIXEL", PIXEL)
        await expect(answer.get_by_role("button", name="Raw")).to_be_focused()
        before, source = await tab.page.evaluate(GENERATED, PIXEL)
        assert "No image yet" in before
        assert source == DATA_URL
        same, stayed, slowest = await tab.page.evaluate(STREAMED, [MARKED, SLOW])
        assert same, "what was streamed looks like what came at once"
        assert stayed, "a block that is complete is not drawn again"
        assert slowest < 2000, "milliseconds, for 50,000 characters that mean harm"
        print(f"console: the slowest 50,000 characters take {slowest:.0f} ms")
        assert tab.wrong == []


async def test_the_page_stays_usable_under_very_many_deltas(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.evaluate(
            "(window.long = [], new PerformanceObserver((list) => window.long.push(...list.getEntries().map("
            "(each) => each.duration))).observe({type: 'longtask'}))"
        )
        await tab.page.get_by_label("Model", exact=True).fill("hostile/fast")
        await tab.say("As fast as you can")
        await tab.answered()
        long = await tab.page.evaluate("window.long")
        print(f"console: {FAST} deltas, {len(long)} tasks of more than 50 ms, the longest {max(long, default=0)} ms")
        assert max(long, default=0) < 1000
        assert tab.wrong == []


async def test_a_browser_that_keeps_nothing_can_use_the_page(at: Site) -> None:
    async with at.page(script=RAISES) as tab:
        await tab.say("Hello")
        await tab.answered()
        await tab.page.goto(f"{tab.page.url.partition('#')[0]}#/look/%E0%A4%A")
        await expect(tab.page.get_by_role("alert").last).to_contain_text("There is no response")
        assert [each for each in tab.wrong if "Failed to load resource" not in each] == []


async def test_what_the_user_decided_is_kept_until_the_server_took_it(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_role("button", name="+ Function").click()
        await tab.page.get_by_label("Name", exact=True).fill("weather")
        await tab.say("The weather in Oslo?")
        answer = await tab.answered()
        limited = {"error": {"message": "Too many requests", "code": "rate_limit_exceeded"}}
        await tab.page.route("**/v1/responses", lambda route: route.fulfill(status=429, json=limited))
        await answer.get_by_label("What the function answers").fill('{"not": json')
        await answer.get_by_role("button", name="Answer the call").click()
        await expect(tab.answers.last.locator("footer")).to_contain_text("HTTP 429")
        await expect(tab.page.locator("#progress")).to_have_text("Send tries again")
        await tab.page.unroute("**/v1/responses")
        await tab.page.get_by_role("button", name="Send").click()
        await expect(tab.answers.last.locator(".prose")).to_contain_text("not")
        assert tab.bodies[-1]["input"] == tab.bodies[-2]["input"]
        assert [each for each in tab.wrong if "Failed to load resource" not in each] == []


async def test_a_server_that_is_away_and_a_key_that_ends_are_told_and_got_over(at: Site) -> None:
    made = await at.make()
    async with at.page() as tab:
        page = tab.page
        await page.route("**/v1/responses?*", lambda route: route.abort())
        await page.get_by_role("tab", name="Look").click()
        alert = page.locator("#view-look").get_by_role("alert")
        await expect(alert).to_contain_text("The server cannot be reached")
        await page.unroute("**/v1/responses?*")
        await alert.get_by_role("button", name="Try again").click()
        await expect(page.locator("tbody tr").first).to_be_visible()
        await page.route(f"**/{made['id']}?*", lambda route: route.abort())
        await page.goto(f"{page.url.partition('#')[0]}#/look/{made['id']}")
        await expect(alert).to_contain_text("Trying again")
        await page.unroute(f"**/{made['id']}?*")
        await expect(page.get_by_role("list", name="Timeline")).to_be_visible()
        await page.get_by_role("tab", name="Try", exact=True).click()
        ended = {"error": {"message": "The key is revoked", "code": "invalid_api_key"}}
        await page.route("**/*starting_after=*", lambda route: route.fulfill(status=401, json=ended))
        await page.route("**/v1/responses", _cut)
        await tab.say("[[words 40]] go on")
        dialog = page.get_by_role("dialog", name="API key")
        await expect(dialog.get_by_role("alert")).to_contain_text("does not take this key")
        await page.unroute("**/*starting_after=*")
        await dialog.get_by_label("Key", exact=True).fill(at.cloud.api_key)
        await dialog.get_by_label("Key", exact=True).press("Enter")
        answer = tab.answers.last
        await expect(answer.locator("footer")).to_contain_text("completed")
        assert len((await answer.locator(".prose").inner_text()).split()) == 40
        assert [each for each in tab.wrong if "Failed to load resource" not in each] == []


async def test_a_megabyte_of_text_is_shown_in_part(at: Site) -> None:
    async with at.page() as tab:
        await tab.page.get_by_label("Model", exact=True).fill("hostile/long")
        await tab.say("Say much.")
        answer = await tab.answered()
        prose = answer.locator(".prose")
        assert 40_000 < len(await prose.text_content() or "") < 60_000
        await answer.get_by_role("button", name=re.compile("Show all 1,0..,... characters")).click()
        assert len(await prose.text_content() or "") > MEGABYTE * 0.95
        assert tab.wrong == []


VIEWS = {
    "try": ("#/try/{id}", "First token"),
    "look": ("#/look", "offline/demo"),
    "timeline": ("#/look/{id}", "its provider is not configured"),
    "items": ("#/look/{id}/items", "Hosted call"),
    "events": ("#/look/{id}/events", "response.completed"),
    "execution": ("#/look/{id}/execution", "one invocation made all of it"),
    "run": ("#/run", "ApiFunction"),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
async def test_each_view_is_usable_by_everybody_and_fits(at: Site, scheme: Any, width: int) -> None:
    """axe-core's rules of WCAG; in the dark its elements are the same, so only their colors are looked at. See https://github.com/dequelabs/axe-core/blob/develop/doc/rule-descriptions.md"""
    tools = [{"type": "serverless:calculator"}]
    metadata = {"k" * 64: "v" * 90}
    made = await at.make(
        model="shaky", input="What is 15 * 37?", tools=tools, reasoning={"effort": "low"}, metadata=metadata
    )
    found: dict[str, list[Any]] = {}
    async with at.page(width=width, height=844 if width == 390 else 800, color_scheme=scheme) as tab:
        for name, (fragment, shown) in VIEWS.items():
            await tab.page.goto(f"{tab.page.url.partition('#')[0]}{fragment.format(id=made['id'])}")
            await expect(tab.page.get_by_role("main")).to_contain_text(shown)
            found[name] = await faults(tab, scheme)
            await tab.page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}.png")
        await tab.page.get_by_role("tab", name="Try").click()
        await expect(tab.answers).to_have_count(1)
        await tab.page.get_by_role("button", name="Copy as code").click()
        found["copy"] = await faults(tab, scheme)
        await tab.page.screenshot(path=SHOTS / f"copy-{width}-{scheme}.png")
        await tab.page.keyboard.press("Escape")
        await tab.page.get_by_role("button", name="Key").click()
        found["key"] = await faults(tab, scheme)
        await tab.page.screenshot(path=SHOTS / f"key-{width}-{scheme}.png")
        assert tab.wrong == []
    assert {name: each for name, each in found.items() if each} == {}


async def faults(tab: Watched, scheme: str) -> list[Any]:
    """What axe finds that is serious, and how much wider than the window the page is."""
    if not await tab.page.evaluate("'axe' in window"):
        await tab.page.evaluate(Axe().axe_script)
    only = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
    found = await tab.page.evaluate("(how) => axe.run(how)", {"resultTypes": ["violations"], "preload": False, **only})
    serious = [
        (each["id"], [node["html"][:200] for node in each["nodes"]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    wider = await tab.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return serious + ([("wider than the window", wider)] if wider > 0 else [])
