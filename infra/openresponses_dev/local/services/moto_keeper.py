# pyright: basic, reportPrivateUsage=false
# Basic, because most of moto has no types.
"""Between moto and what is kept: each item, object and parameter is a row, in the form that the service's API has it.
So another version of moto reads it too.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends

from openresponses_dev.local.kept import Kept, Key, Row
from openresponses_dev.local.services import moto_stores
from openresponses_dev.local.services.moto_stores import Touched, text_of_bytes, waiting
from openresponses_dev.local.template.intrinsics import ACCOUNT, REGION

ITEM, OBJECT, PARAMETER, RECORD = "item", "object", "parameter", "record"
_DAY = 86_400
_PARTITION = "aws"


class _NoPlace(Exception):
    """The template has no such table or bucket any more."""


class MotoKeeper:
    """Between `restore` and `stop` it writes each change to `kept` before the change is answered.

    `say` tells the user of what can't be read, and once of a file that can't be written: those changes are written with
    the next one that can.
    """

    def __init__(self, kept: Kept, say: Callable[[str], None]) -> None:
        self._kept, self._say = kept, say
        self._unwritten: set[Touched] = set()

    def restore(self, found: Callable[[Row], None]) -> None:
        """Put everything into moto, whose tables and buckets exist, and tell of each that is there now."""
        lost: dict[str, int] = {}
        for row in self._kept.rows():
            if (put := _PUT.get(row.key.kind)) is None:
                continue
            try:
                put(row)
            except Exception as error:  # moto has many words for what it does not take
                why = str(error) if isinstance(error, _NoPlace) else f"{type(error).__name__}: {error}"
                lost[why] = lost.get(why, 0) + 1
            else:
                found(row)
        for why, count in lost.items():
            self._say(f"{count} entries of {self._kept.path} cannot be used, and stay there: {why}")

    def start(self) -> None:
        """From now on, what changes is kept."""
        moto_stores.tell_of_writes(self._written)

    def stop(self) -> None:
        moto_stores.tell_of_writes(None)
        self._written(set())

    def expire(self) -> None:
        """Delete what AWS would delete by now: items by their time to live, objects by the bucket's lifecycle."""
        with moto_stores.storage:
            for key in self._kept.expired(time.time()):
                if remove := _REMOVE.get(key.kind):
                    remove(key)
            self._written(moto_stores.touched)
            moto_stores.touched.clear()

    def _written(self, touched: Iterable[Touched]) -> None:
        """Called with the lock of the storage, so that what is read of moto is whole."""
        places = self._unwritten | {*touched}
        if not places:
            return
        found = [(place, _row(place)) for place in places]
        try:
            self._kept.write(
                [row for _, row in found if row is not None], [_key(place) for place, row in found if row is None]
            )
        except sqlite3.Error as error:
            if not self._unwritten:
                self._say(f"{self._kept.path} cannot be written, and a restart would forget what changes: {error}")
            self._unwritten = places
        else:
            if self._unwritten:
                self._say(f"{self._kept.path} can be written again, and nothing is missing")
            self._unwritten = set()


def _there(places: dict[str, Any], row: Row) -> Any:
    if row.key.place not in places:
        raise _NoPlace(f"{row.key.place} is not in the template")
    return places[row.key.place]


def _key(touched: Touched) -> Key:
    kind, place, name = touched
    return Key(kind, place, name if isinstance(name, str) else _json([_wire(part) for part in name]))


def _row(touched: Touched) -> Row | None:
    """What is there now; None for what is gone."""
    kind, place, name = touched
    return _READ[kind](_key(touched), place, name)


# DynamoDB


def _tables() -> dict[str, Any]:
    return dynamodb_backends[ACCOUNT][REGION].tables


def _read_item(key: Key, place: str, name: Any) -> Row | None:
    table = _tables().get(place)
    item = table.get_item(*name) if table else None
    if table is None or item is None:
        return None
    ttl = item.attrs.get(table.ttl.get("AttributeName")) if table.ttl["TimeToLiveStatus"] == "ENABLED" else None
    expires = float(ttl.value) if ttl is not None and ttl.type == "N" else None
    return Row(key, _json(item.to_json()["Attributes"]), expires=expires)


def _put_item(row: Row) -> None:
    _there(_tables(), row).put_item(json.loads(row.about, object_hook=_with_bytes), overwrite=True)


def _remove_item(key: Key) -> None:
    parts = [DynamoType(part) for part in json.loads(key.name, object_hook=_with_bytes)]
    if table := _tables().get(key.place):
        table.delete_item(*parts, *([None] * (2 - len(parts))))


def _wire(value: Any) -> dict[str, Any]:
    return {value.type: value.value}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=text_of_bytes)


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """A value of DynamoDB is an object with its type. A map may have an attribute of this name, which is an object."""
    match value:
        case {"B": str(text), **rest} if not rest:
            return {"B": base64.b64decode(text, validate=True)}
        case {"BS": [*texts], **rest} if not rest:
            return {"BS": [base64.b64decode(text, validate=True) for text in texts]}
        case _:
            return value


# Records of streams


def _read_record(key: Key, place: str, name: str) -> Row | None:
    found = waiting.get((place, name))
    return None if found is None else Row(key, found)


def _put_record(row: Row) -> None:
    waiting[row.key.place, row.key.name] = row.about


def _remove_record(key: Key) -> None:
    waiting.pop((key.place, key.name), None)


# S3


def _buckets() -> dict[str, Any]:
    return s3_backends[ACCOUNT][_PARTITION].buckets


def _read_object(key: Key, place: str, name: str) -> Row | None:
    bucket = _buckets().get(place)
    found = bucket and bucket.keys.get(name)
    if not found:
        return None
    modified = found.last_modified.timestamp()
    about = {"metadata": dict(found.metadata), "modified": modified}
    return Row(key, _json(about), found.value, _end_of_object(bucket, name, modified))


def _put_object(row: Row) -> None:
    about = json.loads(row.about)
    _there(_buckets(), row)
    put = s3_backends[ACCOUNT][_PARTITION].put_object(row.key.place, row.key.name, row.body or b"")
    put.set_metadata(about["metadata"], replace=True)
    put.last_modified = datetime.datetime.fromtimestamp(about["modified"], datetime.UTC).replace(
        tzinfo=put.last_modified.tzinfo
    )


def _remove_object(key: Key) -> None:
    if key.place in _buckets():
        s3_backends[ACCOUNT][_PARTITION].delete_object(key.place, key.name)


def _end_of_object(bucket: Any, name: str, modified: float) -> float | None:
    """S3 rounds up to the next midnight.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
    """
    days = [
        float(rule.expiration_days)
        for rule in bucket.rules
        if rule.status == "Enabled" and rule.expiration_days and name.startswith(_prefix(rule))
    ]
    return math.ceil(modified / _DAY + min(days)) * _DAY if days else None


def _prefix(rule: Any) -> str:
    return (rule.filter.prefix if rule.filter else rule.prefix) or ""


# The Parameter Store


def _parameters() -> Any:
    return ssm_backends[ACCOUNT][REGION]


def _read_parameter(key: Key, place: str, name: str) -> Row | None:
    versions = _parameters()._parameters.get(name)
    if not versions:
        return None
    newest = versions[-1]
    about = {
        "value": newest.decrypt(newest.value),
        "parameter_type": newest.parameter_type,
        "description": newest.description,
        "allowed_pattern": newest.allowed_pattern,
        "keyid": newest.keyid,
        "data_type": newest.data_type,
        "tier": newest.tier,
    }
    return Row(key, _json({**about, "version": newest.version}))


def _put_parameter(row: Row) -> None:
    about = json.loads(row.about)
    version = about.pop("version")
    put = _parameters().put_parameter(row.key.name, **about, overwrite=True, tags=[], policies=None)
    put.version = version


def _remove_parameter(key: Key) -> None:
    _parameters().delete_parameters([key.name])


_READ: dict[str, Callable[[Key, str, Any], Row | None]] = {
    ITEM: _read_item,
    OBJECT: _read_object,
    PARAMETER: _read_parameter,
    RECORD: _read_record,
}
_PUT: dict[str, Callable[[Row], None]] = {
    ITEM: _put_item,
    OBJECT: _put_object,
    PARAMETER: _put_parameter,
    RECORD: _put_record,
}
_REMOVE: dict[str, Callable[[Key], None]] = {
    ITEM: _remove_item,
    OBJECT: _remove_object,
    PARAMETER: _remove_parameter,
    RECORD: _remove_record,
}
