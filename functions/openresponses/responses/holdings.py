"""What a response takes before its client sees any of it, and gives back if nothing comes of it: its place in the
storage, an idempotency key, its conversation, approvals, and its share of the limits.
"""

from contextlib import suppress

from ..core.engine import turn_for
from ..core.errors import KitError, StorageUnavailable
from ..core.ports import Left, Ports
from ..core.records import Record
from ..core.run import Run
from ..core.steps import next_step
from ..core.storage import Storage
from ..durable.conversation import Unstored
from ..durable.history import grown
from . import idempotency
from .idempotency import IdempotencyKey


class Holdings:
    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def claim(self, key: IdempotencyKey | None, run: Run, record: Record) -> str:
        """The id of the response that `key` stands for: that of `run`, which is stored now, or an earlier one.

        From then on `run` holds its conversation, if it has one, and its approvals are spent. Raises
        ConversationLocked, ApprovalSpent, IdempotencyKeyReused if the key came with another body, FirstRequestFailed if
        requests with it fail.
        """
        if not run.response.store:
            if unstored := self.unstored(run):
                await unstored.hold()
            await self._spend(run, None)
            return run.response.id
        record.chain = await grown(self._storage.store, record.chain, run.context)
        try:
            claimed = await idempotency.create(self._storage, key, record, run)
        except StorageUnavailable:  # it may be stored, and its client won't know: nothing is kept, as far as possible
            if key is None:
                await self.forget(run, None)
            raise
        if claimed == run.response.id:
            await self._spend(run, key)
        return claimed

    async def hold(self, run: Run, key: IdempotencyKey | None = None, *, claimed: bool = False) -> Left | None:
        """Hold what the first turn takes of the limits of the key and its tenant, after `claim` if that was called
        (`claimed`), and say what is left: None where nothing limits them. To hold it again changes nothing.

        Raises LimitReached, and RequestError if the price of a model is unknown that a limit needs: nothing is kept.
        """
        if self._ports.budget is None or not run.generate:
            return None
        try:
            return await self._ports.budget.hold(run, lambda run: turn_for(next_step(run))(run))
        except KitError:
            if claimed:
                await self._undo(run, key)
            raise

    def unstored(self, run: Run) -> Unstored | None:
        """What holds the conversation of a response that is not stored, if it has one."""
        if run.lock is None or run.response.store:
            return None
        return Unstored(self._storage, run.lock, run.response.id, self._ports.now)

    async def forget(self, run: Run, key: IdempotencyKey | None) -> None:
        """Keep nothing of a response that failed before its client saw any of it."""
        await self.let_go(run)
        with suppress(KitError):  # what could not be deleted expires
            await self._storage.store.delete(run.response.id)
        if key is not None:
            await idempotency.release(self._storage, key, run.response.id)

    async def let_go(self, run: Run) -> None:
        """Give free what a response held of which nothing came. If that fails, the conversation's lease runs out, and
        the approvals expire.
        """
        if run.lock is not None:
            with suppress(KitError):
                await self._storage.conversations.release(run.lock, run.response.id)
        await self.give_back(run)

    async def give_back(self, run: Run) -> None:
        """The approvals whose calls have not begun."""
        if run.approved:
            from ..durable.spending import give_back

            await give_back(run, self._ports.spent)

    async def _spend(self, run: Run, key: IdempotencyKey | None) -> None:
        """The response is stored already: who takes it over from a worker that died makes the calls."""
        if not run.approved:
            return
        from ..durable.spending import spend  # few requests need it

        try:
            await spend(run, self._ports.spent)
        except KitError:
            await self._undo(run, key)
            raise

    async def _undo(self, run: Run, key: IdempotencyKey | None) -> None:
        """What `claim` did."""
        await (self.forget(run, key) if run.response.store else self.let_go(run))

    @property
    def _storage(self) -> Storage:
        assert self._ports.storage is not None, "only a response that is stored, or has a conversation, needs storage"
        return self._ports.storage
