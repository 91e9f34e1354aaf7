"""Connections at rest: one suite, on memory and on AWS as emulators play it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from openresponses.core.errors import Superseded
from openresponses.routing.cipher import Box, of_this_process
from openresponses.socket.ports import Sockets
from openresponses.storage.dynamodb import sockets as dynamo
from openresponses.storage.memory.sockets import Desk, MemorySockets
from tests.contract.storage_suite import BACKENDS, BUCKET, TABLE, UNICODE, AwsBackend, MemoryBackend, opened, text

KEYS = of_this_process()
ABOUT = b'{"connected": 1}'


class Desks:
    """The connections of a backend. `time` can be set."""

    def __init__(self, backend: MemoryBackend | AwsBackend) -> None:
        self.backend, self.time = backend, 1_700_000_000.0
        self._desks: dict[tuple[str, str], Desk] = {}

    def of(self, connection_id: str = "abc=/d", tenant: str = "tenant", keys: Any = KEYS) -> Sockets:
        if isinstance(self.backend, MemoryBackend):
            return MemorySockets(self._desks.setdefault((tenant, connection_id), Desk()), lambda: self.time)
        return dynamo.dynamo_sockets(
            self.backend.aws,
            table=TABLE["TableName"],
            bucket=BUCKET,
            tenant=tenant,
            connection_id=connection_id,
            box_of=partial(Box, keys),
            now=lambda: self.time,
        )


@pytest.fixture(params=BACKENDS)
def desks(request: pytest.FixtureRequest) -> Iterator[Desks]:
    with opened(request.param) as backend:
        yield Desks(backend)


@pytest.fixture
async def sockets(desks: Desks) -> Sockets:
    """Of a connection that is open."""
    sockets = desks.of()
    await sockets.open(ABOUT)
    return sockets


async def test_a_connection_is_known_until_it_closes(desks: Desks, sockets: Sockets) -> None:
    assert await sockets.about() == ABOUT
    assert (await desks.of("other").about(), await desks.of(tenant="other").about()) == (None, None)
    await sockets.add("", "000000000000001#m", b"{}", "h1")
    await sockets.close()
    assert await sockets.about() is None
    assert await sockets.add("", "000000000000002#m", b"{}", "h2") == "gone"
    with pytest.raises(Superseded):
        await sockets.begin("", "h1", resumes=False)


async def test_a_lane_has_one_holder_and_keeps_its_order(sockets: Sockets) -> None:
    said = UNICODE.encode()
    assert [await sockets.add("ü/#", f"{n:015d}#m", said, f"h{n}") for n in range(3)] == ["held", "queued", "queued"]
    assert await sockets.add("other", "000000000000009#m", b"", "h9") == "held"
    assert await sockets.begin("ü/#", "h0", resumes=False) == "in_order"
    with pytest.raises(Superseded):
        await sockets.begin("ü/#", "h0", resumes=False)
    for holder in ("h1", "h9", ""):
        with pytest.raises(Superseded):
            await sockets.next("ü/#", holder)
    for n in range(3):
        assert await sockets.next("ü/#", "h0") == (f"{n:015d}#m", said)
        assert await sockets.message(f"{n:015d}#m") == said
        await sockets.settle("ü/#", "h0")
    assert await sockets.next("ü/#", "h0") is None
    with pytest.raises(Superseded):
        await sockets.renew("ü/#", "h0")
    assert [await sockets.message(f"{n:015d}#m") for n in range(3)] == [None] * 3
    assert await sockets.add("ü/#", "000000000000004#m", b"", "h4") == "held"


async def test_a_holder_whose_lease_ends_is_replaced_and_its_message_is_told_of_once(
    desks: Desks, sockets: Sockets
) -> None:
    await sockets.add("", "000000000000001#m", b"1", "h1")
    await sockets.begin("", "h1", resumes=False)
    await sockets.next("", "h1")
    desks.time += 29
    await sockets.renew("", "h1")
    desks.time += 29
    assert await sockets.add("", "000000000000002#m", b"2", "h2") == "queued"
    desks.time += 2
    assert await sockets.add("", "000000000000003#m", b"3", "h3") == "held"
    assert await sockets.begin("", "h3", resumes=False) == "died"
    for use in (sockets.settle("", "h1", "resp_1", b"{}"), sockets.renew("", "h1"), sockets.next("", "h1")):
        with pytest.raises(Superseded):
            await use
    assert await sockets.recall("resp_1") is None
    assert [await sockets.next("", "h3"), await sockets.next("", "h3")] == [
        ("000000000000002#m", b"2"),
        ("000000000000003#m", b"3"),
    ]


async def test_a_lane_is_passed_on_with_what_it_answers(sockets: Sockets) -> None:
    await sockets.add("", "000000000000001#m", b"1", "h1")
    await sockets.begin("", "h1", resumes=False)
    await sockets.next("", "h1")
    await sockets.pass_on("", "h1", "h2")
    assert await sockets.begin("", "h2", resumes=True) == "in_order"
    assert await sockets.message("000000000000001#m") == b"1"
    await sockets.pass_on("", "h2", "h3", died=True)
    assert await sockets.begin("", "h3", resumes=False) == "died"
    await sockets.settle("", "h3")
    assert await sockets.next("", "h3") is None
    assert await sockets.message("000000000000001#m") is None


async def test_a_last_frame_is_in_doubt_until_its_holder_goes_on(sockets: Sockets) -> None:
    for n in range(2):
        await sockets.add("", f"{n:015d}#m", b"", f"h{n}")
    assert await sockets.begin("", "h0", resumes=False) == "in_order"
    await sockets.pass_on("", "h0", "h1", died=True)
    assert await sockets.begin("", "h1", resumes=False) == "in_order"
    await sockets.next("", "h1")
    await sockets.settle("", "h1", "resp_1")
    await sockets.pass_on("", "h1", "h2", died=True)
    assert await sockets.begin("", "h2", resumes=False) == "doubtful"
    await sockets.next("", "h2")
    await sockets.pass_on("", "h2", "h3", died=True)
    assert await sockets.begin("", "h3", resumes=False) == "died"
    await sockets.settle("", "h3")
    await sockets.pass_on("", "h3", "h4")
    assert await sockets.begin("", "h4", resumes=False) == "in_order"
    await sockets.settle("", "h4")
    assert await sockets.next("", "h4") is None
    assert await sockets.add("", "000000000000005#m", b"", "h5") == "held"
    assert await sockets.begin("", "h5", resumes=False) == "in_order"


async def test_a_lane_has_room_for_so_many_messages_and_a_connection_for_so_many_lanes(sockets: Sockets) -> None:
    added = [await sockets.add("", f"{n:015d}#m", b"", f"h{n}") for n in range(18)]
    assert added == ["held", *["queued"] * 15, "full", "full"]
    assert await sockets.message("000000000000017#m") is None
    lanes = [await sockets.add(f"l{n}", f"n{n}", b"", f"i{n}") for n in range(16)]
    assert lanes == [*["held"] * 15, "full"]
    assert await sockets.withdraw("", "h1") == []
    assert await sockets.withdraw("", "h0") == [f"{n:015d}#m" for n in range(16)]
    assert await sockets.add("", "000000000000020#m", b"", "h20") == "held"


async def test_messages_that_come_at_once_have_one_holder_and_all_are_kept(sockets: Sockets) -> None:
    added = await asyncio.gather(*(sockets.add("", f"{n:015d}#m", b"", f"h{n}") for n in range(12)))
    assert sorted(added) == ["held", *["queued"] * 11]
    holder = f"h{added.index('held')}"
    await sockets.begin("", holder, resumes=False)
    taken = {(await sockets.next("", holder) or ("", b""))[0] for _ in range(12)}
    assert taken == {f"{n:015d}#m" for n in range(12)}


async def test_messages_are_taken_as_they_came_to_the_gateway(sockets: Sockets) -> None:
    for n in (2, 1, 3):
        await sockets.add("", f"{n:015d}#{9 - n}", b"", f"h{n}")
    await sockets.begin("", "h2", resumes=False)
    taken = [(await sockets.next("", "h2") or ("", b""))[0][14] for _ in range(3)]
    assert taken == ["1", "2", "3"]


async def test_a_lane_remembers_its_newest_response(desks: Desks, sockets: Sockets) -> None:
    large = text(400_000).encode()
    for lane in ("", "b"):
        await sockets.add(lane, f"1#{lane}", b"", f"h{lane}")
        await sockets.begin(lane, f"h{lane}", resumes=False)
    await sockets.settle("", "h", "resp_1", large)
    await sockets.settle("b", "hb", "resp_b", b"b")
    assert [await sockets.recall("resp_1"), await sockets.recall("resp_b")] == [large, b"b"]
    assert await desks.of("other").recall("resp_1") is None
    assert await desks.of(tenant="other").recall("resp_1") is None
    await sockets.settle("", "h")
    assert await sockets.recall("resp_1") == large
    await sockets.settle("", "h", "resp_2")
    assert [await sockets.recall(each) for each in ("resp_1", "resp_2", "resp_b")] == [None, None, b"b"]
    await sockets.forget("resp_b")
    await sockets.forget("resp_never")
    assert await sockets.recall("resp_b") is None


async def test_what_a_client_said_is_sealed_and_goes_with_the_connection(desks: Desks, sockets: Sockets) -> None:
    backend = desks.backend
    await sockets.add("", "000000000000001#m", b"secret words", "h1")
    await sockets.begin("", "h1", resumes=False)
    await sockets.settle("", "h1", "resp_1", b"secret memory" + text(300_000).encode())
    if isinstance(backend, MemoryBackend):
        return
    assert "secret" not in repr(
        [backend.items(), [backend.s3.get_object(Bucket=BUCKET, Key=k) for k in backend.objects()]]
    )
    assert len(backend.objects()) == 1
    assert {item["pk"]["S"] for item in backend.items()} == {"tenant/socket/abc%3D%2Fd"}
    assert all(0 < float(item["ttl"]["N"]) - desks.time <= 3 * 3600 for item in backend.items())
    assert await desks.of(keys=of_this_process()).recall("resp_1") is None
    assert await sockets.recall("resp_1") is not None
    await sockets.close()
    assert (backend.objects(), [item for item in backend.items() if float(item["ttl"]["N"])]) == ([], [])
    assert all("value" not in item for item in backend.items())


async def test_nothing_outlives_its_hours(desks: Desks, sockets: Sockets) -> None:
    if isinstance(desks.backend, MemoryBackend):
        return
    await sockets.add("", "000000000000001#m", b"1", "h1")
    desks.time += 3 * 3600 + 1
    assert [await sockets.about(), await sockets.message("000000000000001#m")] == [None, None]
    assert await sockets.add("", "000000000000002#m", b"", "h2") == "gone"
