# pyright: basic, reportPrivateUsage=false, reportAttributeAccessIssue=false
"""The streams of moto's tables. Moto would keep every record for ever, and write each out to measure it. Here a record
that no mapping takes is forgotten at once; one that a mapping takes waits until that is done with it.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import StreamShard

from openresponses_dev.local.services import moto_stores
from openresponses_dev.local.services.moto_stores import storage, streamed, touched, waiting
from openresponses_dev.local.template.event_sources import StreamMapping
from openresponses_dev.local.template.intrinsics import REGION

_mappings: dict[str, list[StreamMapping]] = {}
"""By the table."""
_numbers = itertools.count(time.time_ns())


def follow(mappings: Iterable[StreamMapping], tell: Callable[[str, str, str], object]) -> None:
    """From now on, `tell` the mapping's name, the number and the text of each record that a mapping takes, once the
    change is kept; and at once of those that wait since before. It is called with the lock of the storage.
    """

    def tell_of(keys: Iterable[moto_stores.Streamed]) -> None:
        for key in keys:
            tell(*key, waiting[key])

    with storage:
        for mapping in mappings:
            _mappings.setdefault(mapping.table, []).append(mapping)
        moto_stores.tell_of_records(tell_of)
        tell_of([*waiting])


def forget() -> None:
    with storage:
        _mappings.clear()
        waiting.clear()
        moto_stores.tell_of_records(None)


def done(mapping: str, numbers: Iterable[str]) -> None:
    """These records wait no longer."""
    with storage:
        for number in numbers:
            waiting.pop((mapping, number), None)
            touched.add(("record", mapping, number))
        moto_stores.tell()


def apply() -> None:
    """Once a process."""

    def add(self: StreamShard, old: Item | None, new: Item | None) -> None:
        record = None
        for mapping in _mappings.get(self.table.name, ()):
            record = record or _record(self.table, old, new)
            if mapping.takes(record):
                key = mapping.name, record["eventID"]
                waiting[key] = json.dumps(record, ensure_ascii=False, default=moto_stores.text_of_bytes)
                touched.add(("record", *key))
                streamed.append(key)

    StreamShard.add = add


def _record(table: Any, old: Item | None, new: Item | None) -> dict[str, Any]:
    """As Lambda gives it to a function: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    item: Any = new or old
    kind, number = table.stream_specification["StreamViewType"], str(next(_numbers))
    images = {
        "NewImage": new if kind in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES") else None,
        "OldImage": old if kind in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES") else None,
    }
    return {
        "eventID": number,
        "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "eventSourceARN": f"{table.table_arn}/stream/{table.latest_stream_label}",
        "dynamodb": {
            "ApproximateCreationDateTime": int(time.time()),
            "Keys": {name: item.attrs[name].to_json() for name in (table.hash_key_attr, table.range_key_attr) if name},
            "SequenceNumber": number,
            "StreamViewType": kind,
            **{name: image.to_json()["Attributes"] for name, image in images.items() if image is not None},
        },
    }
