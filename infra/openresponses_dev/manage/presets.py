"""Well-known providers, as `providers set` fills them in: everything but the key. One table, and no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Preset:
    """`model` is one to try it with, where there is one that everybody has. `note` tells what its users ask."""

    title: str
    dialect: str
    base_url: str = ""
    model: str = ""
    key: bool = True
    options: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    note: str = ""


_LOCAL = "the address as the functions see it: from AWS it can't be 127.0.0.1"
_REASONING: dict[str, JsonValue] = {"reasoning_field": "reasoning"}
"""The field in which they say reasoning, and take it back within a tool turn."""

PRESETS: dict[str, Preset] = {
    "openai": Preset("OpenAI", "openai_responses", "https://api.openai.com/v1", "gpt-5-mini"),
    "anthropic": Preset("Anthropic", "anthropic", "https://api.anthropic.com/v1", "claude-haiku-5-5"),
    "bedrock": Preset(
        "Amazon Bedrock",
        "bedrock",
        key=False,
        note="signed by the functions' role; --key reads a Bedrock API key instead, as the local cloud needs",
    ),
    "gemini": Preset("Google Gemini", "gemini", "https://generativelanguage.googleapis.com/v1beta", "gemini-3.8-flash"),
    "hf": Preset(
        "Hugging Face",
        "chat_completions",
        "https://router.huggingface.co/v1",
        "openai/gpt-oss-20b",
        note="a model's suffix chooses who serves it: hf/moonshotai/Kimi-K2-Thinking:nebius",
    ),
    "deepseek": Preset("DeepSeek", "chat_completions", "https://api.deepseek.com/v1", "deepseek-chat"),
    "qwen": Preset(
        "Qwen (DashScope)",
        "chat_completions",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "qwen-plus",
        note="keys belong to a region: dashscope-us for Virginia, dashscope for Beijing",
    ),
    "groq": Preset("Groq", "chat_completions", "https://api.groq.com/openai/v1", "openai/gpt-oss-20b"),
    "openrouter": Preset(
        "OpenRouter",
        "chat_completions",
        "https://openrouter.ai/api/v1",
        "openai/gpt-oss-20b",
        options=_REASONING,
        note="--dialect openai_responses speaks its Responses API, a beta, at the same address",
    ),
    "ollama": Preset(
        "Ollama", "chat_completions", "http://127.0.0.1:11434/v1", key=False, options=_REASONING, note=_LOCAL
    ),
    "vllm": Preset("vLLM", "chat_completions", "http://127.0.0.1:8000/v1", key=False, options=_REASONING, note=_LOCAL),
    "lmstudio": Preset("LM Studio", "chat_completions", "http://127.0.0.1:1234/v1", key=False, note=_LOCAL),
}
