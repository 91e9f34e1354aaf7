"""Prompts, on DynamoDB and S3. They never expire.

    pk                     sk                  attributes
    <tenant>/prompt/<id>   newest              version, body. One that was removed has no body, but keeps its number
    <tenant>/prompt/<id>   version#<number>    version, body
    <tenant>/prompts       <id>                id, version, created_at; for the list

`body` is compressed JSON, or the key of an object that holds it: an object of its own for each item.
"""

import asyncio
from typing import Any

from ...core.errors import StorageUnavailable
from ...core.prompts import Prompt, PromptVersion, number_of
from ...schema.request import CreateResponse
from .layout import TenantLayout
from .table import ABSENT, ConditionFailed, Item, Put, number, safe
from .values import Vanished

_TRIES = 5
_NEWEST = "newest"


class DynamoPrompts:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def find(self, prompt_id: str, version: str | None = None) -> Prompt | None:
        wanted = None if version is None else number_of(version)
        if version is not None and wanted is None:
            return None
        item = await self._layout.table.get(self._key(prompt_id, _NEWEST if wanted is None else _sk(wanted)))
        if "body" not in item:
            return None
        try:
            body = await self._layout.values.unpack(item["body"])
        except Vanished:  # it is being removed
            return None
        return Prompt(int(item["version"]["N"]), CreateResponse.model_validate_json(body))

    async def add(self, prompt_id: str, body: CreateResponse) -> PromptVersion:
        layout, text = self._layout, body.model_dump_json(exclude_unset=True)
        for _ in range(_TRIES):
            newest = await layout.table.get(self._key(prompt_id, _NEWEST))
            before = int(newest["version"]["N"]) if newest else 0
            made = PromptVersion(prompt_id, before + 1, int(layout.now()))
            names = (_NEWEST, _sk(made.version))
            bodies = await asyncio.gather(
                *(layout.values.pack("prompt", safe(prompt_id), name, text) for name in names)
            )
            items = [
                {**self._key(prompt_id, name), "version": number(made.version), "body": value}
                for name, value in zip(names, bodies, strict=True)
            ]
            puts = [_put_newest(items[0], before), Put(items[1], ABSENT), Put(self._entry(made))]
            try:
                await layout.table.transact(puts)
            except ConditionFailed:  # somebody else was faster
                await asyncio.gather(*map(layout.values.discard, bodies))
                continue
            await layout.values.discard(newest.get("body", {}))
            return made
        raise StorageUnavailable("Others change this prompt all the time: try again")

    async def listed(self) -> list[PromptVersion]:
        entries = self._layout.table.query(self._list())
        return [
            PromptVersion(each["id"]["S"], int(each["version"]["N"]), int(each["created_at"]["N"]))
            async for each in entries
        ]

    async def remove(self, prompt_id: str) -> bool:
        """What is left of it if this fails can be removed by a repetition: the newest goes last."""
        layout = self._layout
        for _ in range(_TRIES):
            newest = await layout.table.get(self._key(prompt_id, _NEWEST))
            if "body" not in newest:
                return False
            pk = newest["pk"]["S"]
            versions = layout.table.query(pk, "version#", "version#~", keys_only=True)
            keys: list[Item] = [{"pk": each["pk"], "sk": each["sk"]} async for each in versions]
            await layout.table.write_all([], [*keys, self._entry_key(prompt_id)])
            await layout.values.delete_all(safe(prompt_id), ("prompt",))
            version = int(newest["version"]["N"])
            emptied = {**self._key(prompt_id, _NEWEST), "version": number(version)}
            try:
                await layout.table.put(emptied, "#version = :before", {"before": number(version)})
            except ConditionFailed:  # a version was added meanwhile
                continue
            return True
        raise StorageUnavailable("Others change this prompt all the time: try again")

    def _key(self, prompt_id: str, sk: str) -> Item:
        return {"pk": {"S": f"{self._layout.tenant}/prompt/{safe(prompt_id)}"}, "sk": {"S": sk}}

    def _list(self) -> str:
        return f"{self._layout.tenant}/prompts"

    def _entry_key(self, prompt_id: str) -> Item:
        return {"pk": {"S": self._list()}, "sk": {"S": safe(prompt_id)}}

    def _entry(self, made: PromptVersion) -> dict[str, Any]:
        told = {"id": {"S": made.id}, "version": number(made.version), "created_at": number(made.created_at)}
        return {**self._entry_key(made.id), **told}


def _sk(version: int) -> str:
    return f"version#{version:010d}"


def _put_newest(item: Item, before: int) -> Put:
    return Put(item, "#version = :before", {"before": number(before)}) if before else Put(item, ABSENT)
