"""Values are compressed JSON: an attribute of an item, or an object in S3 if it is too large. Bound to one tenant."""

import asyncio
import secrets
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, Literal, TypeAlias

from ...aws.clients import Aws, Refused
from ...core.errors import ContextTooLong, StorageUnavailable
from ...core.loading import Allowance, unlimited

Attribute: TypeAlias = dict[str, Any]
"""DynamoDB's form of a value: {"B": bytes}, {"S": text}, ..."""
Kind: TypeAlias = Literal["response", "log", "prompt", "conversation"]
"""The first part of a key: the bucket's lifecycle has a rule for each that expires. The last two do not."""
OF_A_RESPONSE: tuple[Kind, ...] = ("response", "log")

MAX_INLINE = 150_000
"""Compressed bytes. An item may hold 400 KB, and two values share one. A write costs 1 unit per KB; an object as much
as 8 units."""
_STEP = 2**20
"""Bytes that are decompressed before they are counted: what compresses well is small at rest."""
_QUICK = 16_000
"""Bytes. Less is compressed on the event loop: another thread would cost more time."""


class Vanished(Exception):
    """The object is not there: its item was replaced or deleted after it was read."""


class Values:
    def __init__(self, aws: Aws, bucket: str, tenant: str) -> None:
        self._aws, self._bucket, self._tenant = aws, bucket, tenant

    async def pack(self, kind: Kind, owner: str, name: str, json: str | bytes) -> Attribute:
        """Store `json`. An object's key is new each time, so that a writer that loses a race overwrites nothing."""
        packed = await self.compress(json)
        value = self.place(kind, owner, f"{name}-{secrets.token_hex(8)}", packed)
        if "S" in value:
            await self.put(value, packed)
        return value

    async def compress(self, json: str | bytes) -> bytes:
        text = json.encode() if isinstance(json, str) else json
        return zlib.compress(text) if len(text) < _QUICK else await self._aws.run(lambda: zlib.compress(text))

    def place(self, kind: Kind, owner: str, name: str, packed: bytes) -> Attribute:
        """The value itself, or the key of the object that is to hold it."""
        return {"B": packed} if len(packed) <= MAX_INLINE else {"S": f"{self._prefix(kind, owner)}{name}"}

    async def put(self, attribute: Attribute, packed: bytes) -> None:
        await self._aws.call("s3", "put_object", Bucket=self._bucket, Key=attribute["S"], Body=packed)

    async def unpack(self, attribute: Attribute, within: Allowance | None = None) -> bytearray:
        """Raises Vanished, or ContextTooLong."""
        within = within or unlimited()
        if "B" in attribute:
            return _decompressed([attribute["B"]], within)
        try:
            return await self._aws.run(lambda: self._get(attribute["S"], within))
        except Refused as refused:
            if refused.code != "NoSuchKey":
                raise
            raise Vanished(attribute["S"]) from None

    async def unpack_all(self, attributes: Sequence[Attribute], within: Allowance | None = None) -> list[bytearray]:
        return await asyncio.gather(*(self.unpack(each, within) for each in attributes))

    async def discard(self, attribute: Attribute) -> None:
        """Delete a value that no item points to. If that fails, it expires like the rest."""
        with suppress(StorageUnavailable, Refused):
            await self.delete(attribute)

    async def copied(self, attribute: Attribute, kind: Kind) -> Attribute | None:
        """Write an object again, as one of `kind`: it then lives as long as a new one. None if it is gone."""
        value = {"S": f"{kind}/{attribute['S'].partition('/')[2]}"}
        source = {"Bucket": self._bucket, "Key": attribute["S"]}
        fixed = {"Bucket": self._bucket, "MetadataDirective": "REPLACE"}  # a copy onto itself has to change something
        try:
            await self._aws.call("s3", "copy_object", Key=value["S"], CopySource=source, **fixed)
        except Refused as refused:
            if refused.code != "NoSuchKey":
                raise
            return None
        return value

    async def delete(self, attribute: Attribute) -> None:
        if "S" in attribute:
            await self._aws.call("s3", "delete_object", Bucket=self._bucket, Key=attribute["S"])

    async def delete_all(self, owner: str, kinds: Iterable[Kind] = OF_A_RESPONSE) -> None:
        """Delete every object of a response, or of something else, also those that no item points to."""
        await asyncio.gather(*(self._delete_under(self._prefix(kind, owner)) for kind in kinds))

    async def _delete_under(self, prefix: str) -> None:
        while True:
            found = await self._aws.call("s3", "list_objects_v2", Bucket=self._bucket, Prefix=prefix)
            keys = [{"Key": each["Key"]} for each in found.get("Contents", [])]
            if keys:
                deletion = {"Objects": keys, "Quiet": True}
                answer = await self._aws.call("s3", "delete_objects", Bucket=self._bucket, Delete=deletion)
                if answer.get("Errors"):
                    raise StorageUnavailable("Storage could not delete everything: try again")
            if not found.get("IsTruncated"):
                return

    def _get(self, key: str, within: Allowance) -> bytearray:
        """botocore does not retry while it reads a body, so this tries once more."""
        client = self._aws.client("s3")
        errors = import_module("botocore.exceptions")
        try:
            return _decompressed(client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_STEP), within)
        except (errors.HTTPClientError, errors.IncompleteReadError):
            return _decompressed(client.get_object(Bucket=self._bucket, Key=key)["Body"].iter_chunks(_STEP), within)

    def _prefix(self, kind: Kind, owner: str) -> str:
        return f"{kind}/{self._tenant}/{owner}/"


def _decompressed(chunks: Iterable[bytes], within: Allowance) -> bytearray:
    """In steps, each of which is counted. A transfer that breaks gives back what it took: it is tried again."""
    machine, text = zlib.decompressobj(), bytearray()
    try:
        for chunk in chunks:
            packed = chunk
            while packed:
                within.check(0)
                part = machine.decompress(packed, _STEP)
                text += part
                within.take(len(part))
                packed = machine.unconsumed_tail
    except ContextTooLong:
        raise
    except Exception:
        within.take(-len(text))
        raise
    text += machine.flush()
    if not machine.eof:
        raise zlib.error("the value ends too early")
    return text
