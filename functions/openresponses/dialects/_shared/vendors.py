"""Who the vendors are, and which hosts are theirs. What a vendor takes is in the tables of the dialects."""

from typing import Annotated

from pydantic import AfterValidator

from .facts import Fact, Source, facts_of

_READ = "2026-11"
HOSTS = (
    Fact(r"\.api\.openai\.com$", {"vendor": "openai"}, Source("https://platform.openai.com/docs/api-reference", _READ)),
    Fact(
        r"\.(openai|cognitiveservices)\.azure\.com$",
        {"vendor": "azure"},
        Source("https://learn.microsoft.com/en-us/azure/foundry/openai/reference", _READ),
    ),
    Fact(  # which has other vendors' models, too
        r"\.services\.ai\.azure\.com$",
        {"vendor": "foundry"},
        Source("https://learn.microsoft.com/en-us/azure/foundry/foundry-models/concepts/endpoints", _READ),
    ),
    Fact(r"\.api\.anthropic\.com$", {"vendor": "anthropic"}, Source("https://platform.claude.com/docs/en/api", _READ)),
    Fact(
        r"\.bedrock-(mantle|runtime)\b.*\.(api\.aws|amazonaws\.com)$",
        {"vendor": "bedrock"},
        Source("https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html", _READ),
    ),
    Fact(
        r"\.generativelanguage\.googleapis\.com$",
        {"vendor": "gemini"},
        Source("https://ai.google.dev/gemini-api/docs/openai", _READ),
    ),
    Fact(
        r"aiplatform\.googleapis\.com$",
        {"vendor": "vertex"},
        Source("https://docs.cloud.google.com/vertex-ai/generative-ai/docs/migrate/openai/overview", _READ),
    ),
    Fact(
        r"\.router\.huggingface\.co$",
        {"vendor": "hf"},
        Source("https://huggingface.co/docs/inference-providers/index", _READ),
    ),
    Fact(r"\.api\.deepseek\.com$", {"vendor": "deepseek"}, Source("https://api-docs.deepseek.com", _READ)),
    Fact(
        r"\.(dashscope(-[a-z]+)?|[a-z0-9-]+\.maas)\.aliyuncs\.com$",
        {"vendor": "qwen"},
        Source("https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope", _READ),
    ),
    Fact(r"\.api\.groq\.com$", {"vendor": "groq"}, Source("https://console.groq.com/docs/openai", _READ)),
    Fact(r"\.openrouter\.ai$", {"vendor": "openrouter"}, Source("https://openrouter.ai/docs/quickstart", _READ)),
    Fact(r"\.api\.mistral\.ai$", {"vendor": "mistral"}, Source("https://docs.mistral.ai/api", _READ)),
    Fact(
        r"\.api\.moonshot\.(ai|cn)$",
        {"vendor": "moonshot"},
        Source("https://platform.moonshot.ai/docs/api/chat", _READ),
    ),
    Fact(r"\.api\.cerebras\.ai$", {"vendor": "cerebras"}, Source("https://inference-docs.cerebras.ai", _READ)),
    Fact(r"\.api\.x\.ai$", {"vendor": "xai"}, Source("https://docs.x.ai/docs/api-reference", _READ)),
    Fact(
        r"\.(api\.z\.ai|open\.bigmodel\.cn)$",
        {"vendor": "zai"},
        Source("https://docs.z.ai/guides/overview/quick-start", _READ),
    ),
    Fact(r"\.api\.together\.(ai|xyz)$", {"vendor": "together"}, Source("https://docs.together.ai/reference", _READ)),
)
"""By the host, `.<host>` in the patterns."""

SERVERS = frozenset({"ollama", "vllm", "lmstudio"})
"""Servers that run anywhere: no host tells of them."""
VENDORS = SERVERS | {str(row.facts["vendor"]) for row in HOSTS}


def vendor_at(base_url: str) -> str:
    """Whose host the URL names; empty if it is nobody's."""
    host = base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    return str(facts_of(HOSTS, f".{host}").get("vendor", ""))


def _known(vendor: str) -> str:
    if vendor and vendor not in VENDORS:
        raise ValueError(f"no such vendor; known are {', '.join(sorted(VENDORS))}")
    return vendor


Vendor = Annotated[str, AfterValidator(_known)]
"""The name of one of `VENDORS`, which is its preset's, too; empty for any other."""
