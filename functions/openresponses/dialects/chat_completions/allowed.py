"""Which fields a request may set by itself, `provider.options`, of Chat Completions. See `_shared.options`."""

from .._shared.facts import Fact, Source
from .._shared.options import May

_READ = "2026-11"
_OPENAI = Source("https://platform.openai.com/docs/api-reference/chat/create", _READ)
_VLLM = Source("https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#extra-parameters", _READ)
_THINKING = Source("https://docs.vllm.ai/en/latest/features/reasoning_outputs/", _READ)
_OPENROUTER = Source("https://openrouter.ai/docs/api_reference/parameters", _READ)
_TOGETHER = Source("https://docs.together.ai/reference/chat-completions-1", _READ)
_QWEN = Source("https://www.alibabacloud.com/help/en/model-studio/qwen-api-reference", _READ)
_GROQ = Source("https://console.groq.com/docs/reasoning", _READ)
_MISTRAL = Source("https://docs.mistral.ai/api", _READ)
_FEWER, _REPEATS = May("samples among fewer tokens"), May("makes repetition less likely")
_SEED = May("makes sampling repeatable")
_SAMPLING = {"top_k": _FEWER, "min_p": _FEWER, "repetition_penalty": _REPEATS}
_THINKS = May("whether the model thinks in this turn, in its own tokens")
ALLOWED = (
    Fact(
        r"",
        {
            "seed": _SEED,
            "stop": May("ends the turn earlier"),
            "logit_bias": May("makes single tokens more or less likely"),
        },
        _OPENAI,
    ),
    # A server of one's own, and one that no host tells of.
    Fact(r"^(|vllm)/", _SAMPLING, _VLLM),
    Fact(
        r"^(|vllm)/",
        {"chat_template_kwargs.enable_thinking": _THINKS, "chat_template_kwargs.thinking": _THINKS},
        _THINKING,
    ),
    Fact(r"^openrouter/", {**_SAMPLING, "top_a": _FEWER}, _OPENROUTER),
    Fact(r"^together/", _SAMPLING, _TOGETHER),
    Fact(r"^qwen/", {"top_k": _FEWER, "thinking_budget": May("an upper bound of the turn's thinking")}, _QWEN),
    # `raw` would put the reasoning into the text, where a key sees it that may not.
    Fact(
        r"^groq/",
        {"reasoning_format": May("that reasoning stays apart, or is hidden", ("parsed", "hidden"))},
        _GROQ,
    ),
    Fact(r"^mistral/", {"random_seed": _SEED, "safe_prompt": May("adds the vendor's own words of caution")}, _MISTRAL),
)
"""By `vendor/model`. Not listed, of what OpenAI's API has: `n` (answers that nobody reads), `prediction` (words that
are paid for and not used), `audio`, `modalities`, `web_search_options` (a paid tool), `functions`, `function_call`,
`store`, `metadata` (what is stored), `moderation`, `prompt_cache_options`, `prompt_cache_retention`; of OpenRouter's
`models`, `provider`, `route`, `preset`, `plugins`, `transforms`; of LiteLLM's `fallbacks`, `api_base`, `guardrails`; of
vLLM's `guided_*`, `structured_outputs` (a grammar can take its server down), `chat_template`, `ignore_eos`, `priority`,
`prompt_logprobs`, `skip_special_tokens` (would show the reasoning); of Together's `safety_model`; of Qwen's
`enable_search`; of xAI's `search_parameters`; of Groq's `compound_custom`, `search_settings`, `documents`."""
