"""What the conventions call a provider."""

from urllib.parse import urlsplit

from ..core.settings import ProviderSettings

_HOSTS = (
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".api.openai.com", "openai"),
    (".api.anthropic.com", "anthropic"),
    (".amazonaws.com", "aws.bedrock"),
    (".api.aws", "aws.bedrock"),
    (".generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".api.deepseek.com", "deepseek"),
    (".api.groq.com", "groq"),
    (".api.mistral.ai", "mistral_ai"),
    (".api.moonshot.ai", "moonshot_ai"),
    (".api.moonshot.cn", "moonshot_ai"),
    (".api.perplexity.ai", "perplexity"),
    (".api.cohere.ai", "cohere"),
    (".api.cohere.com", "cohere"),
    (".api.x.ai", "x_ai"),
)
_DIALECTS = {"anthropic": "anthropic", "bedrock": "aws.bedrock", "gemini": "gcp.gemini"}
"""Where no URL is set: each of these asks its own vendor then."""


def known_as(provider: ProviderSettings) -> str:
    """A name that the conventions have for a vendor, by its host; else the operator's own."""
    host, _ = server_of(provider)
    found = next((name for end, name in _HOSTS if f".{host}".endswith(end)), None)
    return found or ("" if provider.base_url else _DIALECTS.get(provider.dialect, "")) or provider.name


def server_of(provider: ProviderSettings) -> tuple[str | None, int | None]:
    """Its host and port, and nothing else of its URL, which may hold secrets; None where no URL is set."""
    try:
        url = urlsplit(provider.base_url)
        return url.hostname, url.port or _PORTS.get(url.scheme)
    except ValueError:  # its connection tells why
        return None, None


_PORTS = {"https": 443, "http": 80}
