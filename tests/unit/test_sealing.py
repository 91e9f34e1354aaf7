"""Provider state: who may open it, and who is never sent it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from openresponses.core import deltas as d
from openresponses.core.errors import RequestError, StorageUnavailable
from openresponses.core.turn import turn_of
from openresponses.routing.cipher import AeadSeal, TenantMarks, kept_in, of_this_process
from openresponses.routing.sealing import check_sealed, opened, sealed
from openresponses.schema.items import Message, Reasoning
from tests.unit.kit import Script, new_run, play


class PlainSeal:
    """Seals nothing, but tells its own from others'."""

    async def seal(self, target: str, state: str) -> str:
        return json.dumps([target, state])

    async def open(self, sealed: str) -> tuple[str, str] | None:
        return tuple(json.loads(sealed)) if sealed.startswith("[") else None


def seal(tenant: str = "acme", keys: Sequence[bytes] = (b"k" * 32,)) -> AeadSeal:
    async def kept() -> Sequence[bytes]:
        return keys

    return AeadSeal(kept, tenant)


async def test_what_was_sealed_opens_for_its_tenant_and_is_not_to_be_read() -> None:
    for state in ("", "state", "ü" * 1000):
        text = await seal().seal("openai/gpt", state)
        assert await seal().open(text) == ("openai/gpt", state)
        assert "state" not in text
        assert text != await seal().seal("openai/gpt", state)


async def test_it_opens_for_no_other_tenant_and_under_no_other_key() -> None:
    text = await seal().seal("openai/gpt", "state")
    assert await seal("intruder").open(text) is None
    assert await seal(keys=[b"x" * 32]).open(text) is None


async def test_no_altered_text_opens() -> None:
    text = await seal().seal("openai/gpt", "state")
    for at in range(len(text)):
        altered = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert await seal().open(altered) in (None, ("openai/gpt", "state"))  # unused bits of the last letter
        assert await seal().open(text[:at]) is None
    for other in ("", "or1.", "or1.!!", "or1." + "A" * 20, "gAAAAAB-of-openai", "or1.ü", "or2." + text[4:]):
        assert await seal().open(other) is None


async def test_a_new_key_seals_and_an_old_one_still_opens() -> None:
    old, new = os.urandom(32), os.urandom(32)
    text = await seal(keys=[old]).seal("t/m", "state")
    both = seal(keys=[new, old])
    assert await both.open(text) == ("t/m", "state")
    assert await seal(keys=[old]).open(await both.seal("t/m", "state")) is None


class Parameter:
    """One that another sandbox may write first."""

    def __init__(self, text: str | None = None, other: str | None = None) -> None:
        self.text, self.other = text, other

    async def get(self, name: str) -> str | None:
        return self.text

    async def create(self, name: str, text: str) -> bool:
        self.text = self.other or text
        return self.other is None


async def test_the_first_sandbox_makes_the_key_and_all_use_it() -> None:
    parameter = Parameter()
    text = await AeadSeal(kept_in(parameter), "acme").seal("t/m", "state")
    assert await AeadSeal(kept_in(parameter), "acme").open(text) == ("t/m", "state")
    late = Parameter(other=parameter.text)
    assert await AeadSeal(kept_in(late), "acme").open(text) == ("t/m", "state")


@pytest.mark.parametrize("text", ["", "not base64!", "c2hvcnQ="])
async def test_a_parameter_that_holds_no_key_seals_nothing(text: str) -> None:
    with pytest.raises(StorageUnavailable, match="holds no key"):
        await kept_in(Parameter(text))()


async def test_without_parameters_each_process_has_a_key_of_its_own() -> None:
    one, other = of_this_process(), of_this_process()
    text = await AeadSeal(one, "t").seal("a/b", "s")
    assert await AeadSeal(one, "t").open(text) == ("a/b", "s")
    assert await AeadSeal(other, "t").open(text) is None


async def test_state_goes_back_only_to_the_target_that_gave_it() -> None:
    mine, other = [Reasoning(id="rs_1", encrypted_content=await seal().seal(n, "state")) for n in ("a/m", "b/m")]
    retired = Reasoning(id="rs_3", encrypted_content="or1.AAAA")
    run = new_run()
    run.context += [mine, other, retired, Message.model_validate({"role": "assistant", "content": "hi"})]
    turn = await opened(seal(), turn_of(run, "m"), "a/m")
    assert [item.encrypted_content for item in turn.items if isinstance(item, Reasoning)] == ["state", None, None]
    assert mine.encrypted_content != "state"


async def test_only_state_is_sealed() -> None:
    text = d.Text(0, "hi")
    assert await sealed(seal(), text, "a/m") is text
    state = await sealed(seal(), d.Opaque(0, "state"), "a/m")
    assert isinstance(state, d.Opaque)
    assert await seal().open(state.data) == ("a/m", "state")


async def test_altered_or_foreign_state_is_refused_and_named() -> None:
    good = Reasoning(encrypted_content=await seal().seal("a/m", "state"))
    await check_sealed(seal(), [good, Reasoning(), Message.model_validate({"role": "user", "content": "x"})])
    for bad in ("gAAAAA", str(good.encrypted_content)[:-2], await seal("other").seal("a/m", "state")):
        with pytest.raises(RequestError) as caught:
            await check_sealed(seal(), [good, Reasoning(encrypted_content=bad)])
        assert (caught.value.param, caught.value.code) == ("input[1].encrypted_content", "invalid_encrypted_content")


REASONED: list[d.Delta] = [
    d.Reasoning("r", "raw"),
    d.Reasoning("r", "short", summary=0),
    d.Opaque("r", "state"),
    d.Text("t", "hello"),
    d.Finish("stop"),
]


@pytest.mark.parametrize(
    ("shown", "content", "summary"),
    [("all", ["raw"], ["short"]), ("summary", [], ["short"]), ("encrypted", [], [])],
)
async def test_a_limit_hides_reasoning_but_never_the_state_to_echo(
    shown: Any, content: list[str], summary: list[str]
) -> None:
    run = new_run()
    run.reasoning = shown
    events = await play(run, Script([REASONED]))
    item = run.response.output[0]
    assert isinstance(item, Reasoning)
    assert ([part.text for part in item.content], [part.text for part in item.summary]) == (content, summary)
    assert item.encrypted_content == "state"
    assert ("raw" in json.dumps(events), "short" in json.dumps(events)) == (bool(content), bool(summary))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


def marks(tenant: str = "acme", keys: Sequence[bytes] = (b"k" * 32,)) -> TenantMarks:
    async def kept() -> Sequence[bytes]:
        return keys

    return TenantMarks(kept, tenant)


async def test_a_mark_is_of_its_text_tenant_and_key() -> None:
    first, former = b"1" * 32, b"2" * 32
    mark, before = await marks(keys=[first, former]).marks()
    assert mark("text") == mark("text")
    found = {mark("text"), mark("text "), before("text")}
    for other in (marks("intruder", [first, former]), marks(keys=[b"3" * 32])):
        found.update(each("text") for each in await other.marks())
    assert len(found) == 6
    assert [each("text") for each in await marks(keys=[former]).marks()] == [before("text")]
