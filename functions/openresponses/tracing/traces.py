"""One tenant's spans: what the core tells of its work, by name and attribute. `span` says what they are called."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Literal

from ..core.accounts import Account, CallAccount
from ..core.run import Run
from ..core.spans import SpanContext, context_of, parent_of
from ..schema.server_items import ServerCall
from .exporter import Exporter
from .span import Attributes, Kind, RecordedSpan, tokens


class TenantTraces:
    """`now` gives Unix seconds, `new_id` a fresh random token of [0-9a-f]."""

    def __init__(self, tenant: str, exporter: Exporter, now: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._tenant, self._exporter, self._now, self._new_id = tenant, exporter, now, new_id

    async def export(self) -> None:
        await self._exporter.export()

    def turn(self, run: Run, name: Literal["turn", "compact"] = "turn") -> RecordedSpan:
        context = replace(context_of(run), span_id=self._new_id()[:16])
        return self._span(run, name, "internal", context, self._now(), {"openresponses.turn": run.turns + 1})

    def call(self, call: ServerCall, run: Run) -> SpanContext:
        """A call that is begun again, since its worker died, has another span."""
        begun = f"{call.id} {run.tried.get(call.id, 0)}"
        return replace(context_of(run), span_id=sha256(begun.encode()).hexdigest()[:16])

    def called(self, call: ServerCall, run: Run, account: CallAccount, began: float) -> None:
        by_mcp = account.kind == "mcp"
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": account.tool,
            "gen_ai.tool.type": "extension",  # which the agent's side runs
            "gen_ai.tool.call.id": account.call_id,
            "mcp.method.name": "tools/call" if by_mcp else None,
            "server.address": account.host,
            "openresponses.tool.kind": account.kind,
            "openresponses.tool.server": account.server,
        }
        kind: Kind = "client" if by_mcp else "internal"
        name = f"execute_tool {account.tool}"
        span = self._span(run, name, kind, self.call(call, run), began, attributes)
        span.over({"completed": None, "failed": "tool_error"}.get(account.outcome, account.outcome))

    def ended(self, run: Run, account: Account) -> None:
        parent, began = parent_of(run), run.created or run.response.created_at
        provider, _, model = (account.target or "").partition("/")
        attributes: Attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.provider.name": provider or None,
            "gen_ai.request.model": account.model,
            "gen_ai.request.stream": run.request.stream is True or None,
            "gen_ai.request.previous_response.id": run.request.previous_response_id,
            "gen_ai.response.id": account.response_id,
            "gen_ai.response.model": model or None,
            **tokens(account.usage),
            "openresponses.status": account.status,
            "openresponses.incomplete.reason": account.reason,
            "openresponses.turns": account.turns,
            "openresponses.tool_calls": account.tool_calls,
        }
        span = self._span(run, "invoke_agent", "server", context_of(run), began, attributes)
        span.parent, span.remote = (parent.span_id, True) if parent else ("", False)
        span.over(account.error)

    def _span(
        self, run: Run, name: str, kind: Kind, context: SpanContext, began: float, attributes: Attributes
    ) -> RecordedSpan:
        """One of the response's children."""
        shared: Attributes = {
            "gen_ai.conversation.id": run.request.conversation.id if run.request.conversation else None,
            "openresponses.tenant": self._tenant,
            "openresponses.key.id": run.key_id or None,
            "openresponses.response.id": run.response.id,
        }
        return RecordedSpan(
            name=name,
            kind=kind,
            context=context,
            parent=context_of(run).span_id,
            began=began,
            attributes=shared | attributes,
            collect=self._exporter.collect,
            now=self._now,
            new_id=self._new_id,
        )
