"""What `POST /v1/responses/compact` asks for, and the window that it answers with."""

from ..core.errors import CompactionFailed, TurnTimeout
from ..core.estimate import tokens_of
from ..core.run import Run
from ..core.window import instructs, open_calls, window
from ..schema.compact import CompactedResponse, CompactRequest
from ..schema.items import Compaction, Item, Message
from ..schema.request import CreateResponse

RETAINED = 64_000
"""Tokens of the user's messages, the newest first, as OpenAI's own server retains (`RETAINED_MESSAGE_TOKEN_BUDGET` in
codex-rs/core/src/compact_remote_v2.rs of openai/codex)."""


def asked_for(request: CompactRequest) -> CreateResponse:
    """The response whose only item is the compaction. It is not stored."""
    return CreateResponse(
        model=request.model,
        input=request.input,
        previous_response_id=request.previous_response_id,
        instructions=request.instructions,
        prompt_cache_key=request.prompt_cache_key,
        service_tier=request.service_tier,
        reasoning=request.reasoning,
        provider=request.provider,
        store=False,
    )


def compacted(run: Run) -> CompactedResponse:
    """The answer that a run comes to which is over. Raises ProviderError for one that made no summary.

    Its window: the messages of the user, as OpenAI's has them, and those that instruct the model, since the client has
    nothing else of them; then the item; then the calls that wait for their outputs. Codex keeps the user's messages and
    the item, and puts its own context before the last of the user's messages (`process_compacted_history`).
    """
    item = next((item for item in run.settled() if isinstance(item, Compaction)), None)
    if item is None:
        late = run.response.status == "incomplete"
        raise TurnTimeout("The model took too long for a summary") if late else CompactionFailed("There is no summary")
    assert run.response.usage is not None, "a response that is over has its usage"
    shown, _ = window(run.context, [])
    return CompactedResponse(
        id=run.response.id,
        created_at=run.response.created_at,
        output=[*_retained(shown), item, *open_calls(shown)],
        usage=run.response.usage,
        cost=run.response.cost,
    )


def _retained(items: list[Item]) -> list[Item]:
    left = RETAINED
    kept: list[Item] = []
    for item in reversed(items):
        if instructs(item):
            kept.append(item)
        elif isinstance(item, Message) and item.role == "user" and left > 0:
            left -= tokens_of([item])
            kept += [item] if left >= 0 else []
    return kept[::-1]
