"""Streams that no vendor sent: recorded ones with something wrong in them, as values and as bytes.

A number names a mutation: the same number gives the same bytes. Long runs of the same event are shortened, so that many
streams can be tried.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from functools import cache
from itertools import groupby
from typing import Any
from zlib import crc32

from botocore.eventstream import EventStreamBuffer

from tests.recordings.recordings import Recording, recordings

ALIKE = 4
"""How many of a run of events of one shape are kept."""
RAW = {
    "@infinite": "1e999",
    "@deep list": "[" * 900 + "]" * 900,
    "@deep message": '{"message":' * 900 + "1" + "}" * 900,
}
"""What `json` can't write: a number that is too large for a float, and values that are nested too deeply."""


@dataclass
class Event:
    """`value` is None for what holds no object, such as `[DONE]`, which is `raw`."""

    name: str
    value: Any
    raw: str = ""


@dataclass(frozen=True)
class Mutation:
    recording: Recording
    what: str
    chunks: list[bytes]


def mutation(dialect: str, number: int) -> Mutation:
    chance = random.Random(f"{dialect} {number}")
    place = chance.randrange(len(recordings(dialect)))
    stream, done = [Event(*each) for each in json.loads(_events(dialect, place))], list[str]()
    if chance.random() < 0.8:
        for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
            mutate = chance.choice(_OF_EVENTS if chance.random() < 0.3 else _OF_VALUES)
            if stream:
                mutate(stream, chance)
                done.append(mutate.__name__)
    body = _framed(stream) if dialect == "bedrock" else _written(stream)
    if chance.random() < 0.3 or not done:
        change = chance.choice(_OF_BYTES)
        body = change(body, chance)
        done.append(change.__name__)
    return Mutation(recordings(dialect)[place], " ".join(done), _cut(body, chance))


@cache
def _events(dialect: str, place: int) -> str:
    """As JSON, of which each mutation has a copy of its own."""
    recording = recordings(dialect)[place]
    whole = _unframed(recording.body) if recording.dialect == "bedrock" else [*_read(recording.body.decode())]
    runs = (list(run) for _, run in groupby(whole, lambda event: (event.name, _shape(event.value))))
    return json.dumps([astuple(event) for run in runs for event in run[:ALIKE]])


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return tuple((name, each if name == "type" else _shape(each)) for name, each in value.items())
        case list():
            return tuple(map(_shape, value))
        case _:
            return type(value)


def _read(body: str) -> Iterator[Event]:
    for block in body.replace("\r\n", "\n").split("\n\n"):
        lines = [line.partition(":")[::2] for line in block.split("\n")]
        name = next((value.strip() for field, value in lines if field == "event"), "")
        data = "\n".join(value.removeprefix(" ") for field, value in lines if field == "data")
        try:
            yield Event(name, json.loads(data))
        except ValueError:
            if block.strip():
                yield Event(name, None, block)


def _written(events: list[Event]) -> bytes:
    return "".join(map(_block, events)).encode(errors="surrogatepass")


def _block(event: Event) -> str:
    named = f"event: {event.name}\n" if event.name else ""
    return f"{event.raw}\n\n" if event.raw else f"{named}data: {_json(event.value)}\n\n"


def _json(value: Any) -> str:
    written = json.dumps(value)
    for word, raw in RAW.items():
        written = written.replace(f'"{word}"', raw) if word in written else written
    return written


def _unframed(body: bytes) -> list[Event]:
    buffer: Any = EventStreamBuffer()
    buffer.add_data(body)
    return [Event(each.headers[":event-type"], json.loads(each.payload)) for each in buffer]


def _framed(events: list[Event]) -> bytes:
    """Right in all that is checked of a frame: only what is in it may be wrong."""
    return b"".join(map(frame_of, events))


def frame_of(event: Event) -> bytes:
    payload = _json(event.value).encode()
    kind = "exception" if event.name.endswith("Exception") else "event"
    named = {":message-type": kind, f":{kind}-type": event.name, ":content-type": "application/json"}
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(value)) + value
        for name, value in ((name, value.encode()[:60_000]) for name, value in named.items())
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    begun = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return begun + struct.pack("!I", crc32(begun))


def _cut(body: bytes, chance: random.Random) -> list[bytes]:
    size = chance.choice((1 << 20, 1 << 20, 4096, 100, 7)) if len(body) < 20_000 else 1 << 16
    return [body[start : start + size] for start in range(0, len(body), size)]


def _nested(depth: int, *, fields: bool) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = {"message": value} if fields else [value]
    return value


def _wrong(chance: random.Random) -> Any:
    """A value that is not what anybody expects."""
    number = chance.choice((0, -1, 1, 2, 7, 0.5, -0.5, 1e308, 2**31, 2**63, -(2**63), 10**400, float("nan")))
    words = chance.choice(("", "x", "0", "\ud83d", "a\ude00", "\0\r\n", "é" * 300, "9" * 5000, "error", "null", "{"))
    deep = _nested(chance.choice((10, 60, 70, 150)), fields=chance.random() < 0.5)
    holds = chance.choice(([], {}, [None], [[]], {"": ""}, [{}], [1, "x"], {"type": {}}, {"text": []}, {"0": None}))
    return chance.choice((None, True, False, number, number, words, words, holds, holds, deep, chance.choice([*RAW])))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in `value`: what holds it, and the key there."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _place(stream: list[Event], chance: random.Random) -> tuple[Any, Any]:
    for _ in range(20):
        places = [*_places(chance.choice(stream).value)]
        if places:
            return chance.choice(places)
    return {"x": None}, "x"


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def replace(stream: list[Event], chance: random.Random) -> None:
    holder, key = _place(stream, chance)
    holder[key] = _wrong(chance)


def leave_out(stream: list[Event], chance: random.Random) -> None:
    holder, key = _place(stream, chance)
    del holder[key]


def rename(stream: list[Event], chance: random.Random) -> None:
    holder, key = _place(stream, chance)
    if isinstance(holder, dict):
        holder[chance.choice(("", "type", "error", "x", "\ud83d", "id", "index", "delta"))] = holder.pop(key)


def transplant(stream: list[Event], chance: random.Random) -> None:
    (holder, key), (other, its) = _place(stream, chance), _place(stream, chance)
    holder[key] = _copied(other[its])


def multiply(stream: list[Event], chance: random.Random) -> None:
    holder, key = _place(stream, chance)
    times = chance.choice((2, 3, 40))
    holder[key] = [_copied(holder[key]) for _ in range(times)]


def renumber(stream: list[Event], chance: random.Random) -> None:
    """One number in place of every index, or of every id."""
    name = chance.choice(("index", "output_index", "content_index", "summary_index", "contentBlockIndex", "id", "type"))
    value = chance.choice((0, -1, 1, 10**12, "0", 1.5, None, "same", {}, []))
    for event in stream:
        for holder, key in [*_places(event.value)]:
            if key == name:
                holder[key] = _copied(value)


def drop(stream: list[Event], chance: random.Random) -> None:
    del stream[chance.randrange(len(stream))]


def repeat(stream: list[Event], chance: random.Random) -> None:
    event = chance.choice(stream)
    at = chance.randrange(len(stream) + 1)
    copies = [Event(event.name, _copied(event.value), event.raw) for _ in range(chance.choice((1, 1, 5)))]
    stream[at:at] = copies


def swap(stream: list[Event], chance: random.Random) -> None:
    a, b = chance.randrange(len(stream)), chance.randrange(len(stream))
    stream[a], stream[b] = stream[b], stream[a]


def call_otherwise(stream: list[Event], chance: random.Random) -> None:
    names = [event.name for event in stream] + ["error", "ping", "\ud83d", "x" * 300, "throttlingException"]
    event = chance.choice(stream)
    event.name = chance.choice(names).encode(errors="replace").decode()


def hold_no_object(stream: list[Event], chance: random.Random) -> None:
    event = chance.choice(stream)
    event.value, event.raw = _wrong(chance), ""


def end_with_an_error(stream: list[Event], chance: random.Random) -> None:
    stream.insert(chance.randrange(len(stream) + 1), Event("", {"error": _wrong(chance), "code": _wrong(chance)}))


def cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def double(body: bytes, chance: random.Random) -> bytes:
    a, b = sorted((chance.randrange(len(body) + 1), chance.randrange(len(body) + 1)))
    return body[:b] + body[a:]


def flip(body: bytes, chance: random.Random) -> bytes:
    flipped = bytearray(body)
    for _ in range(chance.choice((1, 1, 3, 20)) if flipped else 0):
        flipped[chance.randrange(len(flipped))] = chance.randrange(256)
    return bytes(flipped)


def end_lines_otherwise(body: bytes, chance: random.Random) -> bytes:
    return body.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\n\n", b"\r\r\n", b"")))


def begin_otherwise(body: bytes, chance: random.Random) -> bytes:
    return (
        chance.choice((b"\xef\xbb\xbf", b"\r", b": hi\n\n", b"{", b"<html>", b"data: 1\n\n", b"\xff\xfe", b"")) + body
    )


Change = Callable[[list[Event], random.Random], None]
_OF_VALUES: list[Change] = [replace, replace, replace, leave_out, leave_out, rename, transplant, multiply, renumber]
_OF_EVENTS: list[Change] = [drop, repeat, swap, call_otherwise, hold_no_object, end_with_an_error]
_OF_BYTES: list[Callable[[bytes, random.Random], bytes]] = [cut, double, flip, end_lines_otherwise, begin_otherwise]
