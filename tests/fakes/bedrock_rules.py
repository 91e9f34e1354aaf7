"""What Bedrock refuses, in its words: of every model, and of those of Anthropic's that think within a budget.

The words are those of recorded refusals: in vercel/ai, `packages/amazon-bedrock/src/__fixtures__`, and in the issues
of langchain-aws, strands-agents and dify.

What Llama 4 refuses: earendil-works/pi, issue 3739 (tools in a stream), onyx-dot-app/onyx, discussion 7379 (cache
points), and the API reference, `ToolChoice` (no model of Meta's takes a choice).
"""

import re
from collections.abc import Container, Mapping, Sequence
from itertools import pairwise

from tests.fakes import bedrock_claude
from tests.fakes.bedrock_claude import SAID
from tests.fakes.bedrock_shapes import problems
from tests.fakes.wire import Body, Rules, need

DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[A-Za-z0-9\s()\[\]-]+")
MODEL = re.compile(r"(arn:aws:bedrock:.*/)?([a-z-]+\.)?(anthropic\.claude|meta\.llama4)-[a-z0-9.-]+(:\d+)?")
LLAMA = "meta.llama4"


def check(
    headers: Mapping[str, str],
    model: str,
    body: Body,
    rules: Rules,
    thought: Container[str] = (),
    *,
    streamed: bool = True,
) -> None:
    """Raises Refused. With the rule `reasoning`, calls that were made after reasoning, whose ids are `thought`, must
    come back after it."""
    key = headers.get("authorization", "")
    need(not rules.api_key or key == f"Bearer {rules.api_key}", "The security token is invalid.", 403)
    need(MODEL.fullmatch(model), "The provided model identifier is invalid.")
    found = problems(body, model)
    need(not found, f"{len(found)} validation error detected: {'; '.join(found)}")
    messages = body["messages"]
    _roles(messages)
    for index, message in enumerate(messages):
        _content(f"messages.{index}", message)
    _calls(messages, "toolConfig" in body)
    _tools(body.get("toolConfig"))
    _cache_points(body)
    _documents(messages)
    _thinking(body)
    if LLAMA in model:
        _llama(body, streamed=streamed)
    else:
        bedrock_claude.check(model, body)
    for message in body["messages"] if rules.reasoning else ():
        calls = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        lost = [each for each in calls if each in thought]
        need(not lost or _begins_with_reasoning(message), f"The calls {lost} lost the reasoning before them")


def _llama(body: Body, *, streamed: bool) -> None:
    config = body.get("toolConfig", {})
    need(not (config and streamed), "This model doesn't support tool use in streaming mode.")
    need("toolChoice" not in config, "This model doesn't support the toolConfig.toolChoice field.")
    points = [block for blocks in _cacheable(body) for block in blocks if "cachePoint" in block]
    need(not points, "You invoked an unsupported model or your request did not allow prompt caching.", 403)


def _roles(messages: Sequence[Body]) -> None:
    start = "A conversation must start with a user message."
    need(messages, f"{start} Try again with a conversation that starts with a user message.")
    need(messages[0]["role"] == "user", f"{start} Try again with a conversation that starts with a user message.")
    for before, after in pairwise(messages):
        need(
            {before["role"], after["role"]} == {"user", "assistant"},
            "A conversation must alternate between user and assistant roles. Make sure the conversation alternates "
            "between user and assistant roles and try again.",
        )


def _content(where: str, message: Body) -> None:
    content, role = message["content"], message["role"]
    need(
        content,
        f"The content field in the Message object at {where} is empty. Add a ContentBlock object to the content field "
        "and try again.",
    )
    for index, block in enumerate(content):
        place = f"{where}.content.{index}"
        (kind,) = block
        need(
            kind != "text" or block["text"].strip(),
            f"The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try "
            "again.",
        )
        need(role == "user" or kind not in ("image", "document", "toolResult"), f"{place}: not in an assistant message")
        need(role == "assistant" or kind != "toolUse", f"{place}: not in a user message")
        need(
            role == "assistant" or kind != "reasoningContent",
            "User messages cannot contain reasoning content. Please remove the reasoning content and try again.",
        )
        for part in block[kind]["content"] if kind == "toolResult" else ():
            need(part.get("text", "x").strip(), f"The text field at {place}.toolResult is blank.")
        if kind == "toolResult":
            need(block[kind]["content"], f"The content field at {place}.toolResult cannot be empty")


def _calls(messages: Sequence[Body], configured: bool) -> None:
    ids: list[str] = []
    asked: list[str] = []
    for index, message in enumerate(messages):
        calls = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        kinds = ["toolResult" in block for block in message["content"]]
        results = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        need(
            configured or not (calls or results),
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        )
        where = f"messages.{index}.content"
        missing = [each for each in asked if each not in results]
        need(not missing, f"Expected toolResult blocks at {where} for the following Ids: {', '.join(missing)}")
        need(
            len(results) <= len(asked),
            f"The number of toolResult blocks at {where} exceeds the number of toolUse blocks of previous turn.",
        )
        need(kinds == sorted(kinds, reverse=True), f"{where}: tool results come first")
        asked = [call["toolUseId"] for call in calls]
        need(len(asked) == len(set(asked)), f"The toolUse blocks at {where} contain duplicate Ids: {asked}")
        need(not set(asked) & set(ids), f"{where}: `tool_use` ids must be unique")
        ids += asked
        last_call = max((i for i, block in enumerate(message["content"]) if "toolUse" in block), default=-1)
        need(
            all("toolUse" in block for block in message["content"][last_call + 1 - len(calls) : last_call + 1]),
            f"{where}: text comes before tool use",
        )
        for call in calls:
            need(isinstance(call["input"], dict), f"{where}: The format of the value at toolUse.input is invalid.")
    need(not asked, f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {asked}")


def _tools(config: Body | None) -> None:
    specs = [tool["toolSpec"] for tool in (config or {}).get("tools", ()) if "toolSpec" in tool]
    names = [spec["name"] for spec in specs]
    need(len(names) == len(set(names)), "The toolConfig contains duplicate tool names")
    for spec in specs:
        schema = spec["inputSchema"]["json"]
        need(schema.get("type") == "object", f"The value at toolConfig.tools.{spec['name']}.inputSchema.json.type")
    chosen = (config or {}).get("toolChoice", {}).get("tool", {}).get("name")
    need(chosen in (None, *names), f"The tool {chosen} in toolChoice is not defined in toolConfig")


def _cache_points(body: Body) -> None:
    points = 0
    for blocks in _cacheable(body):
        for index, block in enumerate(blocks):
            if "cachePoint" in block:
                points += 1
                need(index > 0, "A cachePoint must follow something")
                need(
                    not {"document", "video", "cachePoint"} & blocks[index - 1].keys(),
                    "The cachePoint can't directly follow a document",
                )
    need(points <= 4, f"A maximum of 4 blocks with cache_control may be provided. Found {points}.")


def _cacheable(body: Body) -> list[list[Body]]:
    return [body.get("system", []), body.get("toolConfig", {}).get("tools", []), *_contents(body["messages"])]


def _contents(messages: Sequence[Body]) -> list[list[Body]]:
    return [message["content"] for message in messages]


def _documents(messages: Sequence[Body]) -> None:
    names: list[str] = []
    for content in _contents(messages):
        inner = [part for block in content for part in block.get("toolResult", {}).get("content", ())]
        documents = [block["document"] for block in [*content, *inner] if "document" in block]
        for document in documents:
            need(
                DOCUMENT_NAME.fullmatch(document["name"]),
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, "
                "parentheses, and square brackets. The name can't contain more than one consecutive whitespace "
                "character. Check that the file name conforms to these restrictions and retry your request.",
            )
            names.append(document["name"])
        beside = any("document" in block for block in content)
        need(not beside or any("text" in block for block in content), "A text block must accompany a document")
        results = any("toolResult" in block for block in content)
        need(not (beside and results), "The model returned the following errors: documents beside tool_result")
    need(len(names) == len(set(names)), "The document names must be unique")


def _thinking(body: Body) -> None:
    more, inference = body.get("additionalModelRequestFields", {}), body.get("inferenceConfig", {})
    thinking = more.get("thinking", {})
    turns = [message for message in body["messages"] if message["role"] == "assistant"]
    for message in turns:
        need("reasoningContent" not in message["content"][-1], f"{SAID}The final block cannot be `thinking`.")
    if thinking.get("type") != "enabled":
        return
    budget, limit = thinking["budget_tokens"], inference.get("maxTokens", 4096)
    need(budget >= 1024, f"{SAID}thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    need(limit > budget, f"{SAID}`max_tokens` must be greater than `thinking.budget_tokens`.")
    choice = body.get("toolConfig", {}).get("toolChoice", {})
    need(choice.keys() <= {"auto"}, f"{SAID}Thinking may not be enabled when tool_choice forces tool use.")
    need(
        not turns or not _has_calls(turns[-1]) or _begins_with_reasoning(turns[-1]),
        f"{SAID}Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final "
        "`assistant` message must start with a thinking block.",
    )


def _has_calls(message: Body) -> bool:
    return any("toolUse" in block for block in message["content"])


def _begins_with_reasoning(message: Body) -> bool:
    return "reasoningContent" in message["content"][0]
