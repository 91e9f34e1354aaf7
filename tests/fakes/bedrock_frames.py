"""Writes application/vnd.amazon.eventstream, which botocore only reads.

Source: the Smithy specification, "Amazon Event Stream": a prelude of two lengths and its CRC, headers, the payload,
and the CRC of it all.
"""

import json
from binascii import crc32
from collections.abc import Mapping
from struct import pack

STRING = 7


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + pack(">I", crc32(prelude)) + head + payload
    return message + pack(">I", crc32(message))


def event(name: str, value: object) -> bytes:
    return _typed("event", ":event-type", name, value)


def exception(name: str, value: object) -> bytes:
    return _typed("exception", ":exception-type", name, value)


def error(code: str, message: str) -> bytes:
    """An error that the API's model doesn't know: in the headers alone."""
    return frame({":message-type": "error", ":error-code": code, ":error-message": message}, b"")


def of_line(line: str) -> bytes:
    """One line of a cassette: an event, or an exception, by its name."""
    ((name, value),) = json.loads(line).items()
    if name == "error":
        return error(value["code"], value["message"])
    return exception(name, value) if name.endswith("Exception") else event(name, value)


def _typed(kind: str, header: str, name: str, value: object) -> bytes:
    payload = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return frame({header: name, ":content-type": "application/json", ":message-type": kind}, payload)


def _header(name: str, value: str) -> bytes:
    words = value.encode()
    return pack(">B", len(name)) + name.encode() + pack(">BH", STRING, len(words)) + words
