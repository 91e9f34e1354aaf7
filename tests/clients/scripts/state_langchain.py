# /// script
# requires-python = ">=3.11"
# dependencies = ["langchain==1.5.2", "langchain-openai==1.7.4"]
# ///
from cells import ASK, MODEL, TOLD, report
from langchain_openai import ChatOpenAI
from openai import OpenAI

model = ChatOpenAI(model=MODEL, use_responses_api=True)
told = [(each["role"], each["content"]) for each in TOLD]


def compaction():
    """It compacts by itself once a conversation has passed a length."""
    compacting = model.bind(context_management=[{"type": "compaction", "compact_threshold": 1000}])
    made = compacting.invoke([*told, ("user", "Well. " * 2000)])
    assert "compaction" in [block["type"] for block in made.content]
    return model.invoke([made, ("user", ASK)]).text


def conversation():
    kept = OpenAI().conversations.create(items=TOLD)
    return model.bind(conversation=kept.id).invoke(ASK).text


report(compaction=compaction, conversation=conversation)
