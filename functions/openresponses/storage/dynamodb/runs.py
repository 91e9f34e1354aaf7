"""Runs that are not over, and their tools' outputs, on DynamoDB and S3."""

import asyncio
import json
from collections.abc import Sequence

from ...core.errors import Superseded
from ...core.ids import owner
from ...core.ports import ToolOutput
from ...core.run import Run
from ...schema.items import HostedToolCall
from .layout import DELETED, Shelf
from .table import ConditionFailed, Item, number, safe
from .values import Attribute, Vanished

_LOOKS = 3


class DynamoRuns:
    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def load(self, response_id: str) -> Run | None:
        """A run that is saved while it is read is read again."""
        shelf = self._shelf
        for _ in range(_LOOKS):
            item = await shelf.table.get(shelf.key(response_id, "run"))
            if not shelf.alive(item):
                return None
            try:
                return Run.model_validate_json(await shelf.values.unpack(item["run"]))
            except Vanished:
                continue
        return None

    async def save(self, run: Run) -> None:
        shelf, version = self._shelf, run.version
        saved = run.model_copy(update={"version": version + 1})
        value = await pack_run(shelf, saved)
        changes: Item = {"run": value, "version": number(version + 1)}
        key = shelf.key(run.response.id, "run")
        try:
            before = await shelf.table.update(
                key, changes, "#version = :expected", {"expected": number(version)}, "UPDATED_OLD"
            )
        except ConditionFailed:
            await shelf.values.discard(value)
            raise Superseded("The run was saved by another, or is gone") from None
        run.version = version + 1
        await shelf.values.discard(before.get("run", {}))

    async def put_output(self, call: HostedToolCall, output: ToolOutput) -> None:
        """Looks after the write whether the response is still there. A transaction would check it at once, but costs
        twice the write units, and the parallel calls of a turn would be refused for touching the same item."""
        shelf, response_id = self._shelf, owner(call.id)
        value = await shelf.values.pack("response", safe(response_id), "output", _dump(output))
        key = shelf.key(response_id, _sk(call))
        try:
            await shelf.table.put({**key, "ttl": shelf.ttl(shelf.response_days), "output": value})
        except ConditionFailed as failed:
            await shelf.values.discard(value)
            value = failed.item["output"]
        record = await shelf.table.get(shelf.key(response_id, "record"))
        if not record or record["status"]["S"] == DELETED:
            await shelf.table.write_all([], [key])
            await shelf.values.discard(value)

    async def outputs(self, calls: Sequence[HostedToolCall]) -> list[ToolOutput | None]:
        shelf = self._shelf
        places = [(shelf.pk(owner(call.id)), _sk(call)) for call in calls]
        keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in dict.fromkeys(places)]
        found = await shelf.table.get_all(keys)
        items = [found.get(place) for place in places]
        return await asyncio.gather(*map(self._output, items))

    async def _output(self, item: Item | None) -> ToolOutput | None:
        if not item or not self._shelf.alive(item):
            return None
        try:
            return ToolOutput(**json.loads(await self._shelf.values.unpack(item["output"])))
        except Vanished:
            return None


async def pack_run(shelf: Shelf, run: Run) -> Attribute:
    """Without its context, which is in the records of its chain."""
    text = run.model_dump_json(exclude={"context"})
    return await shelf.values.pack("response", safe(run.response.id), "run", text)


def _dump(output: ToolOutput) -> str:
    return json.dumps({"text": output.text, "failed": output.failed})


def _sk(call: HostedToolCall) -> str:
    return f"output#{safe(call.id)}"
