"""Well-known providers, as `providers set` fills them in: everything but the key. One table, and no behaviour.

A preset's name is its vendor's, in `dialects._shared.vendors`: what that one takes is in the tables of the dialects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """`model` is one to try it with, where there is one that everybody has. `note` tells what its users ask."""

    title: str
    dialect: str
    base_url: str = ""
    model: str = ""
    key: bool = True
    note: str = ""


_LOCAL = "the address as the functions see it: from AWS it can't be 127.0.0.1"
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
    "deepseek": Preset("DeepSeek", "chat_completions", "https://api.deepseek.com/v1", "deepseek-v4-flash"),
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
        note="--dialect openai_responses speaks its Responses API, a beta, at the same address",
    ),
    "mistral": Preset("Mistral", "chat_completions", "https://api.mistral.ai/v1", "mistral-small-latest"),
    "moonshot": Preset(
        "Moonshot (Kimi)",
        "chat_completions",
        "https://api.moonshot.ai/v1",
        "kimi-k2.6",
        note="keys belong to a region: api.moonshot.cn for China",
    ),
    "cerebras": Preset("Cerebras", "chat_completions", "https://api.cerebras.ai/v1", "gpt-oss-120b"),
    "xai": Preset(
        "xAI",
        "chat_completions",
        "https://api.x.ai/v1",
        "grok-4.3",
        note="--dialect openai_responses speaks its Responses API, at the same address",
    ),
    "zai": Preset(
        "Z.ai",
        "chat_completions",
        "https://api.z.ai/api/paas/v4",
        "glm-4.6",
        note="the coding plan's address ends in /api/coding/paas/v4",
    ),
    "together": Preset("Together", "chat_completions", "https://api.together.xyz/v1", "openai/gpt-oss-20b"),
    "ollama": Preset("Ollama", "chat_completions", "http://127.0.0.1:11434/v1", key=False, note=_LOCAL),
    "vllm": Preset("vLLM", "chat_completions", "http://127.0.0.1:8000/v1", key=False, note=_LOCAL),
    "lmstudio": Preset("LM Studio", "chat_completions", "http://127.0.0.1:1234/v1", key=False, note=_LOCAL),
}
