# /// script
# requires-python = ">=3.11"
# dependencies = ["openai-agents==0.24.0"]
# ///
"""A help desk of two agents: one takes the question, and hands questions about orders to the other, which has a tool.

The server keeps the conversation. OPENAI_BASE_URL and OPENAI_API_KEY say where it is, MODEL which model answers.
"""

import asyncio
import os
import sys

from agents import (
    Agent,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from openai.types.responses import ResponseTextDeltaEvent

# A model as an object: in a text such as "offline/demo" the SDK would look for a provider of its own, "offline".
MODEL = OpenAIResponsesModel(os.environ.get("MODEL", "offline/demo"), AsyncOpenAI())
ORDERS = {"1001": "left the warehouse on Monday", "1002": "waits for your payment"}

set_tracing_disabled(True)  # the SDK would send its traces to OpenAI


@function_tool
def order_status(number: str = "1001") -> str:
    """Tell where an order is.

    Args:
        number: The number of the order.
    """
    return ORDERS.get(number, f"There is no order {number}.")


orders = Agent(
    name="Orders",
    handoff_description="Knows where orders are.",
    instructions="Answer questions about orders. Look each order up.",
    tools=[order_status],
    model=MODEL,
)
desk = Agent(
    name="Desk",
    instructions="Answer in one sentence. Hand questions about orders to Orders.",
    handoffs=[orders],
    model=MODEL,
)


async def ask(agent: Agent, question: str, session: OpenAIConversationsSession) -> Agent:
    """Print the answer while it comes. The agent that gave it goes on with the conversation."""
    running = Runner.run_streamed(agent, question, session=session)
    async for event in running.stream_events():
        if event.type == "agent_updated_stream_event":
            print(f"[{event.new_agent.name}]")
        elif event.type == "run_item_stream_event" and event.item.type == "tool_call_output_item":
            print(f"[tool] {event.item.output}")
        elif event.type == "raw_response_event" and isinstance(event.data, ResponseTextDeltaEvent):
            print(event.data.delta, end="", flush=True)
    print()
    return running.last_agent


async def main(questions: list[str]) -> None:
    agent, session = desk, OpenAIConversationsSession()
    for question in questions:
        print(f"> {question}")
        agent = await ask(agent, question, session)


asyncio.run(main(sys.argv[1:] or ["Where is order 1001?", "And who answers now?"]))
