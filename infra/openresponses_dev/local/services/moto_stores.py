# pyright: basic, reportPrivateUsage=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false
"""What we change in moto's DynamoDB, S3 and Parameter Store: they serve one request at a time, say what it changed, and
copy no more than they need. Each patch says what it replaces, and tests/statemachine/test_moto_patches.py shows it.
"""

from __future__ import annotations

import base64
import copy
import functools
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from moto.core import responses
from moto.core.responses import ActionContext
from moto.core.serialize import DefaultAttributePicker
from moto.dynamodb import models as dynamodb_models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler, DynamoResult
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.ssm.models import SimpleSystemManagerBackend
from moto.ssm.responses import SimpleSystemManagerResponse

Touched: TypeAlias = tuple[str, str, Any]
"""What a request may have changed: ("item", table, (key, key)), ("object", bucket, name), ("parameter", "", name) or
("record", mapping, number)."""
Streamed: TypeAlias = tuple[str, str]
"""A record of a stream: the mapping that takes it, and its number."""
storage = threading.RLock()
"""Held while a request to DynamoDB, S3 or the Parameter Store is served."""
touched: set[Touched] = set()
"""By the request that is served."""
_told: Callable[[set[Touched]], None] | None = None
streamed: list[Streamed] = []
"""By the request that is served."""
_streaming: Callable[[list[Streamed]], None] | None = None
waiting: dict[Streamed, str] = {}
"""Records that no mapping is done with yet, as JSON."""


def tell_of_writes(told: Callable[[set[Touched]], None] | None) -> None:
    """Call it before each request is answered that may have changed something, with the lock `storage`."""
    global _told
    with storage:
        _told = told
        touched.clear()


def tell_of_records(told: Callable[[list[Streamed]], None] | None) -> None:
    """Call it after each request that has put records into streams, with the lock `storage`."""
    global _streaming
    with storage:
        _streaming = told
        streamed.clear()


def tell() -> None:
    """At the end of a request."""
    if touched and _told:
        _told(touched)
    touched.clear()
    if streamed and _streaming:
        _streaming(streamed)
    streamed.clear()


def text_of_bytes(value: object) -> str:
    """As DynamoDB's own API has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)


@functools.cache
def apply() -> None:
    """Once a process."""
    _lock_storage()
    _note_what_changes()
    _back_up_what_a_transaction_touches()
    _look_for_a_key_alone()
    _answer_plainly()


def _lock_storage() -> None:
    """Conditions are checked and writes made in two steps, without a lock: two conditional writes can both win."""
    methods = {
        DynamoHandler: ["call_action"],
        S3Response: ["key_response", "bucket_response"],
        SimpleSystemManagerResponse: ["call_action"],
    }
    for owner, names in methods.items():
        for name in names:
            setattr(owner, name, _one_at_a_time(getattr(owner, name)))


def _one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(*args: Any, **kwargs: Any) -> Any:
        with storage:
            try:
                return method(*args, **kwargs)
            finally:
                tell()

    return locked


def _note_what_changes() -> None:
    """Moto tells nobody. All writes of the three services come through these methods, also those of a transaction, of
    PartiQL, of a copy and of an upload in parts."""

    def of_item(table: Table, item: dict[str, Any], *_: Any, **__: Any) -> Touched:
        return "item", table.name, _key_in(table, item)

    def of_key(table: Table, hash_key: Any, range_key: Any = None) -> Touched:
        return "item", table.name, (hash_key, range_key) if table.range_key_attr else (hash_key,)

    def of_update(backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *_: Any, **__: Any) -> Touched:
        return "item", table_name, _key_in(backend.get_table(table_name), key)

    def of_object(_: Any, bucket_name: str, key_name: str, *__: Any, **___: Any) -> Touched:
        return "object", bucket_name, key_name

    def of_parameter(_: Any, name: str, *__: Any, **___: Any) -> Touched:
        return "parameter", "", name

    _noting(Table, "put_item", of_item)
    _noting(Table, "delete_item", of_key)
    _noting(DynamoDBBackend, "update_item", of_update)
    _noting(S3Backend, "put_object", of_object)
    _noting(S3Backend, "delete_object", of_object)
    _noting(SimpleSystemManagerBackend, "put_parameter", of_parameter)
    _noting(SimpleSystemManagerBackend, "delete_parameter", of_parameter)
    delete = SimpleSystemManagerBackend.delete_parameters

    def delete_parameters(self: Any, names: list[str]) -> list[str]:
        touched.update(("parameter", "", name) for name in names)
        return delete(self, names)

    SimpleSystemManagerBackend.delete_parameters = delete_parameters


def _noting(owner: Any, name: str, place: Callable[..., Touched]) -> None:
    method = getattr(owner, name)

    @functools.wraps(method)
    def noted(*args: Any, **kwargs: Any) -> Any:
        done = method(*args, **kwargs)
        touched.add(place(*args, **kwargs))
        return done

    setattr(owner, name, noted)


def _key_in(table: Table, item: dict[str, Any]) -> tuple[DynamoType, ...]:
    return tuple(DynamoType(item[name]) for name in (table.hash_key_attr, table.range_key_attr) if name)


def _back_up_what_a_transaction_touches() -> None:
    """TransactWriteItems copies the whole table once for each of its writes, to have something to return to: the more
    is stored, the longer it takes. Only the items that it names can change. And a stream would keep what was taken
    back."""
    transact = DynamoDBBackend.transact_write_items

    def transact_write_items(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        before = [place for each in transact_items for place in _place(self, each)]
        told_before = len(streamed)
        try:
            transact(self, transact_items)
        except Exception:
            for table, hash_key, range_key, item in before:
                table.delete_item(hash_key, range_key)
                if item is not None and range_key is not None:
                    table.items[hash_key][range_key] = item
                elif item is not None:
                    table.items[hash_key] = item
            for record in streamed[told_before:]:
                del waiting[record]
            del streamed[told_before:]
            raise

    class Copy:
        @staticmethod
        def deepcopy(value: Any) -> Any:
            return value if isinstance(value, Table) else copy.deepcopy(value)

    DynamoDBBackend.transact_write_items = transact_write_items
    dynamodb_models.copy = Copy


def _look_for_a_key_alone() -> None:
    """A query sorts the whole table, whatever it asks for: the more is stored, the longer each takes. Without an index,
    it is for one partition key."""
    query = DynamoDBBackend.query

    def query_of_key(
        self: DynamoDBBackend, table_name: str, key: Any, *args: Any, index_name: str | None = None, **kwargs: Any
    ) -> Any:
        table = self.get_table(table_name)
        whole = table.items  # nobody else looks at them meanwhile: requests are served one at a time
        if not index_name:
            hash_key = DynamoType(key)
            table.items = {hash_key: whole[hash_key]} if hash_key in whole else {}
        try:
            return query(self, table_name, key, *args, index_name=index_name, **kwargs)
        finally:
            table.items = whole

    DynamoDBBackend.query = query_of_key


def _answer_plainly() -> None:
    """Each request lists the methods of its class, and each field of DynamoDB's answers, there or not, is looked for
    under half a dozen names: a third of what a request takes. The first name is the right one."""

    def execute_result(self: DynamoResult, context: ActionContext) -> Any:
        serializer = context.serializer_class(context.operation_model, value_picker=DefaultAttributePicker())
        answer: Any = serializer.serialize(self.result)
        return answer["status_code"], answer["headers"], answer["body"]

    DynamoResult.execute_result = execute_result
    responses.method_names_from_class = functools.cache(responses.method_names_from_class)


def _place(backend: DynamoDBBackend, write: dict[str, Any]) -> list[tuple[Table, Any, Any, Any]]:
    """Where a transaction's write goes, and a copy of what is there; nothing for one that will be refused."""
    order: dict[str, Any] = next(iter(write.values()), {})
    table, key = backend.tables.get(order.get("TableName", "")), order.get("Item") or order.get("Key") or {}
    if table is None or any(name not in key for name in (table.hash_key_attr, table.range_key_attr) if name):
        return []
    hash_key = DynamoType(key[table.hash_key_attr])
    range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
    return [(table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key)))]
