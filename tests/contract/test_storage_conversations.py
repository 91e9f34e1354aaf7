"""Conversations at rest: one suite, on memory and on AWS as two emulators play it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import pytest

from openresponses.core.conversations import Conversation, Lock, Piece
from openresponses.core.errors import ContextTooLong, ConversationLocked, Superseded
from openresponses.core.loading import Allowance
from openresponses.core.records import Claim, Record
from openresponses.core.storage import Storage
from openresponses.schema.items import Item, Message
from tests.contract.storage_suite import (
    BACKENDS,
    EMULATORS,
    UNICODE,
    AwsBackend,
    MemoryBackend,
    new_batch,
    new_record,
    new_response,
    new_run,
    opened,
    opened_aws,
    rid,
    text,
)

BIG = 400_000
"""Characters, which compress to more than an item holds."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[MemoryBackend | AwsBackend]:
    with opened(request.param) as backend:
        yield backend


@pytest.fixture
def storage(backend: MemoryBackend | AwsBackend) -> Storage:
    return backend.storage()


def said(name: str, words: str = UNICODE) -> Item:
    return Message.model_validate({"id": f"msg_{name}", "role": "user", "content": words})


def cid(n: int) -> str:
    return f"conv_{n:032x}"


def lock_of(n: int, version: int, instead_of: str = "") -> Lock:
    return Lock(conversation_id=cid(n), version=version, instead_of=instead_of)


async def made(storage: Storage, n: int = 1, *names: str) -> Conversation:
    conversation = Conversation(id=cid(n), created_at=1_700_000_000, metadata={"naïve": UNICODE})
    await storage.conversations.create(conversation, [said(name) for name in names])
    return conversation


async def names_in(storage: Storage, n: int = 1, until: int = 10**9) -> list[str]:
    return [item.id.removeprefix("msg_") for item in await storage.conversations.items(cid(n), until)]


def held_record(n: int, lock: Lock) -> Record:
    return new_record(n).model_copy(update={"lock": lock, "chain": []})


async def hold(storage: Storage, n: int, lock: Lock) -> None:
    """Store response `n`, which holds a conversation."""
    await storage.store.create(held_record(n, lock), new_run(n))


async def settle(storage: Storage, n: int, lock: Lock, *added: str, status: str = "completed") -> None:
    await storage.store.settle(new_response(n, status=status), [], lock, [said(name) for name in added])


@pytest.mark.parametrize("names", [(), ("a", "b")])
async def test_a_conversation_comes_back_as_it_was(storage: Storage, names: Sequence[str]) -> None:
    conversation = await made(storage, 1, *names)
    expected = conversation.model_copy(update={"version": 1 if names else 0})
    assert await storage.conversations.load(cid(1)) == expected
    assert await storage.conversations.items(cid(1), 10) == [said(name) for name in names]


@pytest.mark.parametrize("missing", [cid(9), "", "nope", "../x", "a/b", "x" * 5000, "key/é\u0000", "conv_#"])
async def test_an_id_that_stands_for_nothing_gives_nothing(storage: Storage, missing: str) -> None:
    await made(storage, 1, "a")
    lock = Lock(conversation_id=missing, version=0)
    assert await storage.conversations.load(missing) is None
    assert await storage.conversations.items(missing, 10) == []
    assert await storage.conversations.pieces(missing, None, newest_first=True) == []
    assert not await storage.conversations.describe(missing, {})
    assert not await storage.conversations.delete(lock)
    for change in (
        storage.conversations.append(lock, [said("b")]),
        storage.conversations.hold(lock, rid(1), 1.0),
        storage.store.create(held_record(1, lock), new_run(1)),
    ):
        with pytest.raises(ConversationLocked):
            await change
    assert await storage.conversations.load(missing) is None
    assert await storage.store.load([rid(1)]) == [None]


async def test_a_response_is_no_conversation(storage: Storage) -> None:
    await storage.store.create(new_record(1), new_run(1))
    lock = Lock(conversation_id=rid(1), version=0)
    assert await storage.conversations.load(rid(1)) is None
    assert not await storage.conversations.describe(rid(1), {"a": "b"})
    with pytest.raises(ConversationLocked):
        await storage.conversations.append(lock, [said("b")])
    assert not await storage.conversations.delete(lock)
    assert await storage.store.load([rid(1)]) == [new_record(1)]


async def test_its_metadata_is_replaced_also_while_it_is_held(storage: Storage) -> None:
    conversation = await made(storage)
    await hold(storage, 1, lock_of(1, 0))
    assert await storage.conversations.describe(cid(1), {"a": "b"})
    changed = {"metadata": {"a": "b"}, "holder": rid(1)}
    assert await storage.conversations.load(cid(1)) == conversation.model_copy(update=changed)


async def test_what_is_appended_comes_last(storage: Storage) -> None:
    await made(storage, 1, "a")
    await storage.conversations.append(lock_of(1, 1), [said("b"), said("c")])
    await storage.conversations.append(lock_of(1, 2), [said("d")])
    assert await names_in(storage) == ["a", "b", "c", "d"]
    assert await names_in(storage, until=2) == ["a", "b", "c"]


async def test_of_two_changes_at_once_one_succeeds(storage: Storage) -> None:
    await made(storage, 1, "a")
    changes = [storage.conversations.append(lock_of(1, 1), [said(name)]) for name in "bcd"]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert len(await names_in(storage)) == 2


async def test_an_item_is_removed_from_its_piece(storage: Storage) -> None:
    await made(storage, 1, "a", "b")
    await storage.conversations.append(lock_of(1, 1), [said("c")])
    await storage.conversations.rewrite(lock_of(1, 2), Piece(1, [said("b")]))
    assert await names_in(storage) == ["b", "c"]
    await storage.conversations.append(lock_of(1, 3), [said("d")])
    assert await names_in(storage) == ["b", "c", "d"]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_its_pieces_are_read_in_both_directions(storage: Storage, newest_first: bool) -> None:
    await made(storage)
    for n in range(5):
        await storage.conversations.append(lock_of(1, n), [said(f"{n}")])
    read, beyond = list[Piece](), None
    while pieces := await storage.conversations.pieces(cid(1), beyond, newest_first=newest_first):
        read, beyond = [*read, *pieces], pieces[-1].place
    expected = [Piece(n + 1, [said(f"{n}")]) for n in range(5)]
    assert read == (expected[::-1] if newest_first else expected)


async def test_a_response_that_is_stored_holds_its_conversation(storage: Storage) -> None:
    await made(storage, 1, "a")
    await hold(storage, 1, lock_of(1, 1))
    assert await storage.store.load([rid(1)]) == [held_record(1, lock_of(1, 1))]
    for change in (
        hold(storage, 2, lock_of(1, 1)),
        storage.conversations.append(lock_of(1, 1), [said("b")]),
        storage.conversations.rewrite(lock_of(1, 1), Piece(1, [])),
        storage.conversations.hold(lock_of(1, 1), rid(2), 1.0),
        storage.conversations.delete(lock_of(1, 1)),
    ):
        with pytest.raises(ConversationLocked):
            await change
    assert await storage.store.load([rid(2)]) == [None]
    assert await names_in(storage) == ["a"]
    loaded = await storage.conversations.load(cid(1))
    assert loaded is not None
    assert (loaded.version, loaded.holder, loaded.lease) == (1, rid(1), None)


async def test_it_is_appended_once_and_at_once_with_its_end(storage: Storage) -> None:
    await made(storage, 1, "a")
    await hold(storage, 1, lock_of(1, 1))
    await settle(storage, 1, lock_of(1, 1), "b", "c")
    with pytest.raises(Superseded):
        await settle(storage, 1, lock_of(1, 1), "b", "c")
    assert await names_in(storage) == ["a", "b", "c"]
    await hold(storage, 2, lock_of(1, 2))
    with pytest.raises(Superseded):
        await settle(storage, 1, lock_of(1, 1), "b", "c")
    await settle(storage, 2, lock_of(1, 2), status="failed")
    assert await names_in(storage) == ["a", "b", "c"]
    loaded = await storage.conversations.load(cid(1))
    assert loaded is not None
    assert (loaded.version, loaded.holder) == (2, "")


async def test_of_several_ends_at_once_one_is_appended(storage: Storage) -> None:
    await made(storage)
    await hold(storage, 1, lock_of(1, 0))
    outcomes = await asyncio.gather(
        *(settle(storage, 1, lock_of(1, 0), name) for name in "abcd"), return_exceptions=True
    )
    assert [outcome for outcome in outcomes if outcome is None] == [None]
    assert len(await names_in(storage)) == 1


async def test_a_response_ends_without_a_conversation_that_is_no_longer_its_own(storage: Storage) -> None:
    await made(storage)
    await hold(storage, 1, lock_of(1, 0))
    await hold(storage, 2, lock_of(1, 0, instead_of=rid(1)))
    await settle(storage, 1, lock_of(1, 0), "a")
    (record,) = await storage.store.load([rid(1)])
    assert record is not None
    assert record.over
    await settle(storage, 2, lock_of(1, 0), "b")
    assert await names_in(storage) == ["b"]


async def test_the_claim_of_a_key_comes_before_the_lock(storage: Storage) -> None:
    """Whoever sends a request again gets its response, though that holds the conversation."""
    await made(storage)
    claim = Claim("key", rid(1), "hash")
    assert await storage.store.create(held_record(1, lock_of(1, 0)), new_run(1), new_batch(0), claim) is None
    again = Claim("key", rid(2), "hash")
    assert await storage.store.create(held_record(2, lock_of(1, 0)), new_run(2), claim=again) == claim
    assert await storage.claims.held("key") == claim
    assert await storage.claims.held("other") is None
    with pytest.raises(ConversationLocked):
        await storage.store.create(held_record(3, lock_of(1, 0)), new_run(3), claim=Claim("new", rid(3), "hash"))
    assert await storage.claims.held("new") is None


async def test_a_response_that_is_not_stored_holds_it_by_a_lease(storage: Storage) -> None:
    await made(storage, 1, "a")
    await storage.conversations.hold(lock_of(1, 1), rid(1), 5.5)
    with pytest.raises(ConversationLocked):
        await storage.conversations.hold(lock_of(1, 1), rid(2), 5.5)
    await storage.conversations.renew(lock_of(1, 1), rid(1), 7.5)
    loaded = await storage.conversations.load(cid(1))
    assert loaded is not None
    assert (loaded.holder, loaded.lease) == (rid(1), 7.5)
    await storage.conversations.hold(lock_of(1, 1, instead_of=rid(1)), rid(2), 9.5)
    for late in (
        storage.conversations.renew(lock_of(1, 1), rid(1), 8.5),
        storage.conversations.release(lock_of(1, 1), rid(1), [said("b")]),
    ):
        with pytest.raises(Superseded):
            await late
    await storage.conversations.release(lock_of(1, 1), rid(2), [said("c")])
    with pytest.raises(Superseded):
        await storage.conversations.release(lock_of(1, 1), rid(2), [said("c")])
    assert await names_in(storage) == ["a", "c"]


async def test_nothing_of_a_deleted_conversation_is_left(backend: MemoryBackend | AwsBackend) -> None:
    storage = backend.storage()
    await made(storage, 1, "a", "b")
    await storage.conversations.append(lock_of(1, 1), [said("big", text(BIG))])
    assert await storage.conversations.delete(lock_of(1, 2))
    assert not await storage.conversations.delete(lock_of(1, 2))
    with pytest.raises(ConversationLocked):
        await storage.conversations.append(lock_of(1, 2), [said("c", text(BIG))])
    assert await storage.conversations.load(cid(1)) is None
    assert await storage.conversations.items(cid(1), 10) == []
    if isinstance(backend, AwsBackend):
        assert backend.items() == []
        assert backend.objects() == []


async def test_another_tenant_finds_and_changes_nothing(backend: MemoryBackend | AwsBackend) -> None:
    ours, theirs = backend.storage("ours"), backend.storage("theirs")
    await made(ours, 1, "a")
    assert await theirs.conversations.load(cid(1)) is None
    assert await theirs.conversations.items(cid(1), 10) == []
    assert not await theirs.conversations.delete(lock_of(1, 1))
    with pytest.raises(ConversationLocked):
        await theirs.conversations.append(lock_of(1, 1), [said("b")])
    with pytest.raises(ConversationLocked):
        await hold(theirs, 1, lock_of(1, 1))
    assert await names_in(ours) == ["a"]


async def test_large_items_are_read_within_an_allowance(storage: Storage) -> None:
    await made(storage)
    for n in range(3):
        await storage.conversations.append(lock_of(1, n), [said(f"{n}", text(BIG, n))])
    assert await storage.conversations.items(cid(1), 3, Allowance(BIG * 4)) == [
        said(f"{n}", text(BIG, n)) for n in range(3)
    ]
    with pytest.raises(ContextTooLong):
        await storage.conversations.items(cid(1), 3, Allowance(BIG * 2))


@pytest.fixture(params=EMULATORS)
def aws(request: pytest.FixtureRequest) -> Iterator[AwsBackend]:
    with opened_aws(request.param) as backend:
        yield backend


async def test_reading_two_hundred_turns_is_one_call(aws: AwsBackend) -> None:
    storage = aws.storage()
    await made(storage)
    for n in range(200):
        await storage.conversations.append(lock_of(1, n), [said(f"{n}", "hello " * 50)])
    aws.aws.forget()
    assert len(await names_in(storage)) == 200
    assert [call.operation for call in aws.aws.calls] == ["Query"]


async def test_a_large_piece_that_is_rewritten_leaves_no_object(aws: AwsBackend) -> None:
    storage = aws.storage()
    await made(storage)
    await storage.conversations.append(lock_of(1, 0), [said("a", text(BIG)), said("b", text(BIG, 1))])
    await storage.conversations.rewrite(lock_of(1, 1), Piece(1, [said("b", text(BIG, 1))]))
    assert len(aws.objects()) == 1
    assert aws.objects()[0].startswith(f"conversation/tenant/{cid(1)}/")
    await storage.conversations.rewrite(lock_of(1, 2), Piece(1, []))
    assert aws.objects() == []
    assert await names_in(storage) == []


async def test_who_loses_leaves_no_object(aws: AwsBackend) -> None:
    storage = aws.storage()
    await made(storage)
    await hold(storage, 1, lock_of(1, 0))
    with pytest.raises(ConversationLocked):
        await storage.conversations.append(lock_of(1, 0), [said("a", text(BIG))])
    await settle(storage, 1, lock_of(1, 0))
    with pytest.raises(Superseded):
        await storage.store.settle(new_response(1, status="completed"), [], lock_of(1, 0), [said("b", text(BIG))])
    assert aws.objects() == []


async def test_nothing_of_a_conversation_expires(aws: AwsBackend) -> None:
    """Its items have no `ttl`, and no rule of the bucket's is for its objects."""
    await made(aws.storage(), 1, "a")
    assert [item for item in aws.items() if "ttl" in item] == []
