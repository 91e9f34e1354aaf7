"""Approvals are spent before a response begins, and given back if it ends before their calls have begun."""

from contextlib import suppress

from ..core.approvals import spent_already, unused
from ..core.errors import KitError
from ..core.run import Run
from ..core.storage import Spent


async def spend(run: Run, spent: Spent) -> None:
    """Raises ApprovalSpent if another response has used one of the run's approvals. Then none is spent."""
    taken = await spent.spend([each.request_id for each in run.approved], run.response.id)
    if taken is not None:
        raise spent_already(next(each.index for each in run.approved if each.request_id == taken))


async def give_back(run: Run, spent: Spent) -> None:
    """What can't be given back stays spent: its request expires within the day."""
    with suppress(KitError):
        await spent.give_back(unused(run), run.response.id)
