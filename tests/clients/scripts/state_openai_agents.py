# /// script
# requires-python = ">=3.11"
# dependencies = ["openai-agents==0.24.0", "openai[realtime]==3.57.0"]
# ///
from agents import (
    Agent,
    OpenAIConversationsSession,
    OpenAIResponsesCompactionSession,
    Runner,
    SQLiteSession,
    function_tool,
    responses_websocket_session,
    set_default_openai_responses_transport,
    set_tracing_disabled,
)
from cells import ASK, FACT, MODEL, TOLD, TOOLS, WEATHER, report

set_tracing_disabled(True)


@function_tool
def weather() -> str:
    """The weather of today."""
    return WEATHER


guide = Agent(name="Guide", model=MODEL)
forecaster = Agent(name="Forecaster", model=MODEL, tools=[weather])


async def compaction():
    kept = SQLiteSession("words")
    session = OpenAIResponsesCompactionSession("words", kept, model=MODEL, should_trigger_compaction=lambda _: True)
    await session.add_items(TOLD)
    await Runner.run(guide, "Very well.", session=session)
    items = await session.get_items()
    assert "compaction" in [item.get("type") for item in items]
    assert FACT not in str(items)
    return (await Runner.run(guide, ASK, session=session)).final_output


async def conversation():
    session = OpenAIConversationsSession()
    await session.add_items(TOLD)
    assert WEATHER in (await Runner.run(forecaster, TOOLS + " /fake tools", session=session)).final_output
    assert (await Runner.run(guide, ASK, conversation_id=session.session_id)).final_output.count(FACT) == 1
    await session.pop_item()
    return (await Runner.run(guide, ASK, session=session)).final_output


async def socket():
    """By the default transport, and in a session that keeps one connection."""
    set_default_openai_responses_transport("websocket")
    assert WEATHER in (await Runner.run(forecaster, TOOLS + " /fake tools")).final_output
    async with responses_websocket_session() as session:
        first = await session.run(guide, TOLD)
        return (await session.run(guide, ASK, previous_response_id=first.last_response_id)).final_output


report(compaction=compaction, conversation=conversation, socket=socket)
