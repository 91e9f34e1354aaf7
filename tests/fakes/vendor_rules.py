"""What single vendors refuse, in their own words where these are known, for the fakes of OpenAI's two wires.

Each rule cites where its vendor, or somebody whom it refused, says so.
"""

import re
from collections.abc import Callable, Collection
from typing import Any

from tests.fakes.wire import Body, need

SAMPLING = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"}
PENALTIES = {"presence_penalty", "frequency_penalty"}


def check_vendor(body: Body, vendor: str) -> None:
    """Raises Refused."""
    if rule := RULES.get(vendor):
        rule(body, str(body["model"]).lower())


def none_of(body: Body, names: Collection[str], message: str) -> None:
    for name in names:
        need(name not in body, message.format(name))


def effort_of(body: Body) -> Any:
    """On either wire."""
    reasoning = body.get("reasoning")
    return body.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, dict) else None)


def effort_in(body: Body, words: str) -> None:
    effort = effort_of(body)
    need(effort is None or effort in words.split(), f"Unsupported value: '{effort}'. Supported values are: {words}")


def forces(body: Body) -> bool:
    choice = body.get("tool_choice")
    return isinstance(choice, dict) or choice == "required"


def thinks(body: Body) -> bool:
    """As they do by default."""
    off = (body.get("thinking") or {}).get("type") == "disabled" or body.get("enable_thinking") is False
    return not off and effort_of(body) != "none"


def form_of(body: Body) -> str:
    form = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    return str(form.get("type", "text"))


def no_schema(body: Body) -> None:
    need(form_of(body) != "json_schema", "This response_format type is unavailable now")


def functions(body: Body) -> list[Body]:
    """As Chat Completions has them; the other wire's are flat."""
    return [tool["function"] for tool in body.get("tools", ()) if "function" in tool]


def openai(body: Body, model: str) -> None:
    """https://developers.openai.com/api/docs/guides/reasoning; the error: openai/openai-agents-python#2089."""
    effort = effort_of(body)
    if re.match(r"(gpt-3|gpt-4|chatgpt-|gpt-5-chat)", model):
        need(effort is None, "Unsupported parameter: 'reasoning.effort' is not supported with this model.")
        return
    if re.match(r"gpt-5\.[6-9]", model):
        effort_in(body, "none low medium high xhigh max")
    elif re.match(r"gpt-5\.[2-5]", model):
        effort_in(body, "none low medium high xhigh")
    elif model.startswith("gpt-5.1"):
        effort_in(body, "none low medium high")
    elif model.startswith("gpt-5"):
        effort_in(body, "minimal low medium high")
    elif re.match(r"o\d", model):
        effort_in(body, "low medium high")
    else:
        return
    idle = effort == "none" or (effort is None and re.match(r"gpt-5\.[1-4]", model))
    if not idle:
        none_of(body, SAMPLING, "Unsupported parameter: '{}' is not supported with this model.")


def deepseek(body: Body, model: str) -> None:
    """deepseek-ai/DeepSeek-V3#1376; https://api-docs.deepseek.com/guides/json_mode."""
    need(not (forces(body) and thinks(body)), "Thinking mode does not support this tool_choice")
    no_schema(body)


def qwen(body: Body, model: str) -> None:
    """cloudwego/eino#994; https://www.alibabacloud.com/help/en/model-studio/qwen-structured-output."""
    need(
        not (forces(body) and thinks(body)),
        "The tool_choice parameter does not support being set to required or object in thinking mode",
    )
    if not re.search(r"qwen3-max|qwen-plus|qwen-flash|qwen3\.[5-9]", model):
        no_schema(body)


def moonshot(body: Body, model: str) -> None:
    """theopenco/llmgateway#2093 and #3065, earendil-works/pi#4178; https://platform.kimi.ai/docs/api/chat.md."""
    if model.startswith("kimi-"):
        need(not (forces(body) and thinks(body)), "tool_choice 'required' is incompatible with thinking enabled")
        none_of(body, {"temperature", "top_p", *PENALTIES}, "invalid {}: only the default is allowed for this model")
    if model.startswith(("kimi-k2.7", "kimi-k3")):
        need(thinks(body), "invalid thinking: only type=enabled is allowed for this model")
    for index, message in enumerate(body.get("messages", ())):
        need(
            not (message.get("tool_calls") and thinks(body)) or message.get("reasoning_content"),
            f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {index}",
        )


def zai(body: Body, model: str) -> None:
    """https://docs.z.ai/api-reference/llm/chat-completion: `tool_choice` is "auto", and a format text or JSON."""
    need(not forces(body), "tool_choice: only auto is supported")
    no_schema(body)
    if model.startswith("glm-5.3"):
        need(thinks(body), "please use low, high, or max")
        effort_in(body, "low high max")


def mistral(body: Body, model: str) -> None:
    """nearai/ironclaw#1241 for ids; https://docs.mistral.ai/api for the fields, of which it takes no other."""
    none_of(body, ("stream_options", "user", "service_tier"), "Extra inputs are not permitted: {}")
    for message in body.get("messages", ()):
        for call_id in [message.get("tool_call_id"), *(call["id"] for call in message.get("tool_calls", ()))]:
            good = call_id is None or re.fullmatch("[a-zA-Z0-9]{9}", call_id)
            need(good, f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9.")


def groq(body: Body, model: str) -> None:
    """https://console.groq.com/docs/openai, "Currently Unsupported"; there, too, /reasoning and /service-tiers."""
    need(body.get("service_tier", "flex") in ("auto", "on_demand", "flex", "performance"), "invalid service_tier")
    none_of(body, ("logprobs", "top_logprobs"), "property '{}' is unsupported")
    need(not any("name" in message for message in body.get("messages", ())), "property 'name' is unsupported")
    if "gpt-oss" in model:
        effort_in(body, "low medium high")
    elif "qwen3.8" in model:
        effort_in(body, "none default low medium high")
    elif "qwen3" in model:
        effort_in(body, "none default")
    else:
        need(effort_of(body) is None, "reasoning_effort is not supported with this model")
    if not re.search(r"gpt-oss|llama-4|kimi-k2", model):
        need(form_of(body) != "json_schema", "This model does not support response format `json_schema`")


def cerebras(body: Body, model: str) -> None:
    """https://inference-docs.cerebras.ai/resources/openai; RooCodeInc/Roo-Code#10334 for `strict`."""
    none_of(body, (*PENALTIES, "service_tier", "parallel_tool_calls"), "{} is not supported")
    strict = {function.get("strict", False) for function in functions(body)}
    need(len(strict) < 2, "Tools with mixed values for 'strict' are not allowed.")
    need(model != "gpt-oss-120b" or effort_of(body) != "none", "reasoning can't be disabled for this model")


def xai(body: Body, model: str) -> None:
    """https://docs.x.ai/docs/guides/reasoning; the error: acedergren/opencode-oci-provider, v0.2.3."""
    none_of(body, PENALTIES, "Argument not supported on this model: {}")
    words = {"grok-3-mini": "low high", "grok-4.3": "none low medium high", "grok-4.5": "low medium high"}
    words |= {"grok-4.6": "low medium high xhigh"}
    need(model in words or effort_of(body) is None, f"Model {model} does not support parameter reasoningEffort.")
    effort_in(body, words.get(model, ""))


def openrouter(body: Body, model: str) -> None:
    """https://openrouter.ai/docs/guides/best-practices/reasoning-tokens."""
    effort_in(body, "none minimal low medium high xhigh max")


def together(body: Body, model: str) -> None:
    """github.com/togethercomputer/together-py, types/chat/completion_create_params.py: `logprobs` is a number."""
    need(not isinstance(body.get("logprobs"), bool), "logprobs: Input should be a valid integer")
    need("top_logprobs" not in body, "top_logprobs: Extra inputs are not permitted")


def ollama(body: Body, model: str) -> None:
    """github.com/ollama/ollama, openai/openai.go."""
    effort_in(body, "none low medium high max")


RULES: dict[str, Callable[[Body, str], None]] = {
    "openai": openai,
    "deepseek": deepseek,
    "qwen": qwen,
    "moonshot": moonshot,
    "zai": zai,
    "mistral": mistral,
    "groq": groq,
    "cerebras": cerebras,
    "xai": xai,
    "openrouter": openrouter,
    "together": together,
    "ollama": ollama,
}
