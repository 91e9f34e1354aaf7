"""The approvals of a request, as it is accepted."""

from collections.abc import Sequence

from ..core.approvals import Approvable, approved_calls, refusal
from ..core.errors import RequestError
from ..core.ports import Ports
from ..core.run import Approved, Run
from ..schema.items import Compaction, Item
from ..schema.request import CreateResponse


async def approved(request: CreateResponse, before: Sequence[Item], run: Run, ports: Ports) -> list[Approved]:
    """The calls that `request` approves, which goes on from the items `before`. Nothing is spent yet. Raises
    RequestError.
    """
    assert ports.marks is not None, "whoever can ask for an approval can prove that it did"
    given = request.input if isinstance(request.input, list) else []
    approvable = Approvable(await ports.marks.marks(), run.servers, run.tools, ports.now())
    compactions = [item for item in run.context if isinstance(item, Compaction)]
    carried = await ports.models.carried(compactions) if compactions else []
    calls = approved_calls(given, [*carried, *before], run.context[run.inherited :], approvable)
    if calls and (run.compacts or not run.generate):
        raise makes_no_call(calls)
    return calls


def makes_no_call(calls: Sequence[Approved]) -> RequestError:
    return refusal(calls[0].index, "makes_no_call", "A request that compacts, or that only prepares, makes no call")
