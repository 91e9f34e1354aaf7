"""The runs of responses that are not over, on DynamoDB and S3."""

from ...core.errors import Superseded
from ...core.records import Batch
from ...core.run import Run
from .event_log import append
from .layout import TenantLayout
from .table import ConditionFailed, Item, Put, number, safe
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

    async def save(self, run: Run, batch: Batch | None = None) -> None:
        """With a batch it is one transaction: half of the time of two writes, for twice the units."""
        layout, version = self._layout, run.version
        saved = run.model_copy(update={"version": version + 1})
        value = await pack_run(layout, saved)
        changes: Item = {"run": value, "version": number(version + 1)}
        key = layout.key(run.response.id, "run")
        if batch is not None and "B" in value:
            item = {**key, "ttl": layout.ttl(layout.response_days), **changes}
            await append(
                layout, run.response.id, batch, Put(item, "#version = :expected", {"expected": number(version)})
            )
            run.version = version + 1
            return
        if batch is not None:  # what an object's key replaces has to be known, and a transaction doesn't tell it
            await append(layout, run.response.id, batch)
        try:
            before = await layout.table.update(
                key, changes, "#version = :expected", {"expected": number(version)}, "UPDATED_OLD"
            )
        except ConditionFailed:
            await layout.values.discard(value)
            raise Superseded("The run was saved by another, or is gone") from None
        run.version = version + 1
        await layout.values.discard(before.get("run", {}))


async def pack_run(layout: TenantLayout, run: Run) -> Attribute:
    return await layout.values.pack("response", safe(run.response.id), "run", run.at_rest())
