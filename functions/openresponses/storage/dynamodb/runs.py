"""The runs of responses that are not over, and the outputs of their tools, on DynamoDB and S3."""

import asyncio
import json
from collections.abc import Sequence

from ...core.errors import Superseded
from ...core.ids import owner
from ...core.ports import ToolOutput
from ...core.run import Run
from ...schema.items import HostedToolCall
from .layout import DELETED, TenantLayout
from .table import ConditionFailed, Item, number, safe
from .values import Attribute, Vanished

_READS = 3


class DynamoRuns:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def load(self, response_id: str) -> Run | None:
        """Reads again if the run is saved meanwhile: its old value is then deleted."""
        layout = self._layout
        for _ in range(_READS):
            item = await layout.table.get(layout.key(response_id, "run"))
            if not layout.alive(item):
                return None
            try:
                return Run.model_validate_json(await layout.values.unpack(item["run"]))
            except Vanished:
                continue
        return None

    async def save(self, run: Run) -> None:
        layout, version = self._layout, run.version
        saved = run.model_copy(update={"version": version + 1})
        value = await pack_run(layout, saved)
        changes: Item = {"run": value, "version": number(version + 1)}
        key = layout.key(run.response.id, "run")
        try:
            before = await layout.table.update(
                key, changes, "#version = :expected", {"expected": number(version)}, "UPDATED_OLD"
            )
        except ConditionFailed:
            await layout.values.discard(value)
            raise Superseded("The run was saved by another, or is gone") from None
        run.version = version + 1
        await layout.values.discard(before.get("run", {}))

    async def put_output(self, call: HostedToolCall, output: ToolOutput) -> None:
        """Writes first, then checks that the response was not deleted. A transaction could do both, but costs twice the
        write units, and the parallel calls of a turn would conflict over the record."""
        layout, response_id = self._layout, owner(call.id)
        value = await layout.values.pack("response", safe(response_id), "output", _output_json(output))
        key = layout.key(response_id, _output_sk(call))
        try:
            await layout.table.put({**key, "ttl": layout.ttl(layout.response_days), "output": value})
        except ConditionFailed as failed:
            await layout.values.discard(value)
            value = failed.item["output"]
        record = await layout.table.get(layout.key(response_id, "record"))
        if not record or record["status"]["S"] == DELETED:
            await layout.table.write_all([], [key])
            await layout.values.discard(value)

    async def outputs(self, calls: Sequence[HostedToolCall]) -> list[ToolOutput | None]:
        layout = self._layout
        places = [(layout.pk(owner(call.id)), _output_sk(call)) for call in calls]
        keys = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in dict.fromkeys(places)]
        found = await layout.table.get_all(keys)
        items = [found.get(place) for place in places]
        return await asyncio.gather(*map(self._output, items))

    async def _output(self, item: Item | None) -> ToolOutput | None:
        if not item or not self._layout.alive(item):
            return None
        try:
            return ToolOutput(**json.loads(await self._layout.values.unpack(item["output"])))
        except Vanished:
            return None


async def pack_run(layout: TenantLayout, run: Run) -> Attribute:
    """A run is stored without its context: that is in the records of its chain."""
    text = run.model_dump_json(exclude={"context"})
    return await layout.values.pack("response", safe(run.response.id), "run", text)


def _output_json(output: ToolOutput) -> str:
    return json.dumps({"text": output.text, "failed": output.failed})


def _output_sk(call: HostedToolCall) -> str:
    return f"output#{safe(call.id)}"
