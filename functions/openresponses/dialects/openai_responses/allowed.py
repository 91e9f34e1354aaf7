"""Which fields a request may set by itself, `provider.options`, of a Responses server. See `_shared.options`."""

from .._shared.facts import Fact, Source
from .._shared.options import May

_READ = "2026-11"
_VLLM = Source("https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#responses-api", _READ)
_OPENROUTER = Source("https://openrouter.ai/docs/api_reference/parameters", _READ)
_FEWER = {"top_k": May("samples among fewer tokens")}
ALLOWED = (
    # A server of one's own, and one that no host tells of: OpenAI's API has no setting that the standard lacks.
    Fact(r"^(|vllm|ollama|lmstudio)/", _FEWER, _VLLM),
    Fact(r"^openrouter/", _FEWER, _OPENROUTER),
)
"""By `vendor/model`. Not listed, of what OpenAI's API has: `background`, `background_options`, `conversation`, `store`,
`previous_response_id`, `prompt`, `metadata`, `context_management` (what is stored), `tools`, `include`, `image`,
`moderation`, `access_programs`, `prompt_cache_options`, `prompt_cache_retention` (the cache costs), and of OpenRouter's
`models`, `provider`, `route`, `preset`, `plugins`, `transforms` (other models, tools, and prompts)."""
