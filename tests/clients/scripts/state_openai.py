# /// script
# requires-python = ">=3.11"
# dependencies = ["openai[realtime]==3.57.0"]
# ///
import socket as sockets

from cells import ASK, FACT, MODEL, TOLD, TOOLS, WEATHER, report
from openai import OpenAI

client = OpenAI()
weather = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def compaction():
    window = client.responses.compact(model=MODEL, input=TOLD)
    assert [item.type for item in window.output].count("compaction") == 1
    again = [item.to_dict(warnings=False) for item in window.output]
    assert FACT not in str(again)
    return client.responses.create(model=MODEL, input=[*again, {"role": "user", "content": ASK}]).output_text


def count():
    short, long = (client.responses.input_tokens.count(model=MODEL, input=text) for text in (ASK, ASK * 100))
    assert 0 < short.input_tokens < long.input_tokens
    return FACT


def conversation():
    created = client.conversations.create(items=TOLD, metadata={"topic": "words"})
    text = client.responses.create(model=MODEL, input=ASK, conversation=created.id).output_text
    items = list(client.conversations.items.list(created.id, order="asc", limit=2))
    assert [item.role for item in items] == ["user", "assistant", "user", "assistant"]
    assert client.conversations.items.retrieve(items[2].id, conversation_id=created.id) == items[2]
    assert client.conversations.items.delete(items[2].id, conversation_id=created.id).id == created.id
    assert client.conversations.update(created.id, metadata={"topic": "none"}).metadata == {"topic": "none"}
    assert client.conversations.retrieve(created.id).metadata == {"topic": "none"}
    assert client.conversations.delete(created.id).deleted
    return text


def socket():
    """Three turns, of which one has a tool; then the connection breaks, and the SDK makes another."""

    def ask_again(_):
        connection.response.create(model=MODEL, input=ASK, previous_response_id=last)

    def turn(**more):
        if more:
            connection.response.create(model=MODEL, **more)
        return next(event for event in connection if event.type in ("response.completed", "error"))

    with client.responses.connect(on_reconnecting=ask_again, initial_delay=0.01) as connection:
        asked = turn(input=TOOLS + " /fake tools", tools=[weather], store=False).response
        (call,) = asked.output
        output = {"type": "function_call_output", "call_id": call.call_id, "output": WEATHER}
        answered = turn(input=[output], tools=[weather], store=False, previous_response_id=asked.id).response
        assert WEATHER in answered.output_text
        last = turn(input=TOLD).response.id
        connection._connection.socket.shutdown(sockets.SHUT_RDWR)
        said = turn().response.output_text
        missed = turn(input=ASK, store=False, previous_response_id=answered.id)
        assert missed.error.code == "previous_response_not_found"
        return said


report(compaction=compaction, count=count, conversation=conversation, socket=socket)
