"""What calls were answered with that wait for it, on DynamoDB: an item for each, beside the response's own."""

from ...core.answers import Answer
from .layout import TenantLayout
from .store import LIVE, LIVE_VALUES
from .table import ABSENT, Check, ConditionFailed, Item, Put, safe
from .values import Vanished

_START, _END = "answer#", "answer#~"


class DynamoAnswers:
    def __init__(self, layout: TenantLayout) -> None:
        self._layout = layout

    async def keep(self, response_id: str, answer: Answer) -> None:
        layout = self._layout
        value = await layout.values.pack("response", safe(response_id), "answer", answer.model_dump_json())
        key = layout.key(response_id, f"{_START}{safe(answer.call_id)}")
        item: Item = {**key, "ttl": layout.ttl(layout.response_days), "output": value}
        live = Check(layout.key(response_id, "record"), LIVE, LIVE_VALUES)
        try:
            await layout.table.transact([Put(item, ABSENT)], [live])
        except ConditionFailed:
            await layout.values.discard(value)

    async def of(self, response_id: str) -> list[Answer]:
        layout = self._layout
        found = [item async for item in layout.table.query(layout.pk(response_id), _START, _END)]
        try:
            values = await layout.values.unpack_all([item["output"] for item in found])
        except Vanished:  # the response was deleted meanwhile
            return []
        return [Answer.model_validate_json(each) for each in values]
