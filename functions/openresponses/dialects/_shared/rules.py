"""What vendors refuse who speak OpenAI's wires, whichever of the two, and how a turn is made to fit.

Facts fill the options, and the code reads only these: it names no vendor.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.effort import nearest
from ...schema.request import CreateResponse, JsonObjectFormat, JsonSchemaFormat, ReasoningSettings
from .checking import instruction
from .facts import UNSOURCED, Fact, Source
from .options import LOGPROBS, Options

_READ = "2026-11"
_OPENAIS = r"^(openai|azure|foundry|bedrock)/(ft:)?(openai\.)?"


def _words(*words: str) -> JsonObject:
    return {"efforts": {word: word for word in words}}


_GPT_OSS = Source("https://console.groq.com/docs/reasoning", _READ)
_MODELS = Source("https://developers.openai.com/api/docs/guides/reasoning", _READ)
_SUPPORT = Source(
    "https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/profiles/openai.py", _READ
)
_EFFORT = Source("https://learn.microsoft.com/en-us/javascript/api/@azure/ai-projects/reasoningeffort", _READ)
_MAX = Source("https://github.com/anomalyco/opencode/issues/36141", _READ)
_GROK = Source("https://docs.x.ai/docs/guides/reasoning", _READ)
_GROKS = Source(
    "https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/profiles/grok.py", _READ
)
_QWEN = Source("https://www.alibabacloud.com/help/en/model-studio/qwen-structured-output", _READ)
_KIMI = Source("https://platform.kimi.ai/docs/guide/use-kimi-k2-thinking-model", _READ)
_FORCED_KIMI = Source(
    "https://docs.rs/crate/harn-vm/latest/source/src/llm/capability_sources/20-providers/35-moonshot.toml", _READ
)
_GLM = Source("https://docs.z.ai/api-reference/llm/chat-completion", _READ)
_GLMS = Source("https://github.com/pydantic/pydantic-ai/blob/main/pydantic_ai_slim/pydantic_ai/profiles/zai.py", _READ)
_TOGETHER = Source("https://docs.together.ai/docs/inference/chat/reasoning", _READ)
FACTS = (
    # By the model, whoever serves it.
    Fact(r"gpt-oss", _words("low", "medium", "high"), _GPT_OSS),
    # OpenAI's own, also where others serve them. A model that doesn't reason refuses to be asked.
    Fact(_OPENAIS + r"(gpt-3|gpt-4|chatgpt-)", {"efforts": {}}, _SUPPORT),
    Fact(_OPENAIS + r"o\d", _words("low", "medium", "high") | {"samples_at": []}, _MODELS),
    Fact(_OPENAIS + r"gpt-5", _words("minimal", "low", "medium", "high") | {"samples_at": []}, _EFFORT),
    Fact(_OPENAIS + r"gpt-5-pro", _words("high"), _EFFORT),
    Fact(_OPENAIS + r"gpt-5-chat", {"efforts": {}, "samples_at": None}, _SUPPORT),
    Fact(_OPENAIS + r"gpt-5\.1", _words("none", "low", "medium", "high") | {"samples_at": ["", "none"]}, _EFFORT),
    Fact(_OPENAIS + r"gpt-5\.1-codex", _words("low", "medium", "high") | {"samples_at": []}, _SUPPORT),
    Fact(_OPENAIS + r"gpt-5\.1-codex-max", _words("low", "medium", "high", "xhigh"), _EFFORT),
    Fact(
        _OPENAIS + r"gpt-5\.[2-9]",
        _words("none", "low", "medium", "high", "xhigh") | {"samples_at": ["", "none"]},
        _EFFORT,
    ),
    Fact(_OPENAIS + r"gpt-5\.[5-9]", {"samples_at": ["none"]}, _SUPPORT),
    Fact(_OPENAIS + r"gpt-5\.[6-9]", _words("none", "low", "medium", "high", "xhigh", "max"), _MAX),
    Fact(_OPENAIS + r"gpt-5\.\d-pro", _words("medium", "high", "xhigh") | {"samples_at": []}, _SUPPORT),
    Fact(_OPENAIS + r"gpt-5\.\d-chat", _words("medium") | {"samples_at": []}, _SUPPORT),
    # Of all other models it is an error to ask.
    Fact(r"^xai/", {"efforts": {}}, _GROK),
    Fact(r"^xai/grok-3-mini", _words("low", "high"), _GROK),
    Fact(
        r"^xai/grok-(4\.3|latest|3$|4-0709|4(-1)?-fast)",
        _words("none", "low", "medium", "high"),
        _GROKS,
    ),
    Fact(r"^xai/grok-(4\.5|build-latest)", _words("low", "medium", "high"), _GROKS),
    Fact(
        r"^xai/grok-(4\.6|4\.20-multi-agent)",
        _words("low", "medium", "high", "xhigh"),
        Source("https://github.com/vercel/ai/blob/main/packages/xai/src/xai-chat-language-model.ts", _READ),
    ),
    Fact(r"^groq/(?!.*gpt-oss)", {"efforts": {}}, _GPT_OSS),
    Fact(r"^groq/.*qwen3", {"efforts": {"none": "none", "high": "default"}}, _GPT_OSS),
    Fact(
        r"^groq/.*qwen3\.8",
        _words("none", "low", "medium", "high"),
        Source("https://github.com/groq/groq-python/blob/main/src/groq/types/chat/completion_create_params.py", _READ),
    ),
    Fact(
        r"^groq/(?!.*(gpt-oss|llama-4|kimi-k2))",
        {"json_schema": False},
        UNSOURCED,
    ),
    Fact(
        r"^cerebras/(?!.*gpt-oss)",
        {"efforts": {}},
        Source("https://inference-docs.cerebras.ai/capabilities/reasoning", _READ),
    ),
    Fact(
        r"^cerebras/zai-glm",
        {"efforts": {"none": "none", "high": ""}},
        Source("https://inference-docs.cerebras.ai/resources/glm-47-migration", _READ),
    ),
    Fact(r"^mistral/", {"efforts": {}}, Source("https://docs.mistral.ai/inference/conversations/reasoning", _READ)),
    Fact(
        r"^mistral/mistral-(small-(latest|26)|medium-(latest|3[.-]5|26))",
        _words("none", "high"),
        Source("https://docs.mistral.ai/inference/conversations/reasoning", _READ),
    ),
    Fact(
        r"^mistral/mistral-large-(latest|4)",
        _words("low", "medium", "high"),
        Source("https://docs.mistral.ai/inference/conversations/reasoning", _READ),
    ),
    # Takes all words and maps them itself. It thinks where it isn't told not to.
    Fact(
        r"^deepseek/",
        {"forced_calls": "not_thinking"},
        Source("https://github.com/deepseek-ai/DeepSeek-V3/issues/1376", _READ),
    ),
    Fact(r"^deepseek/", {"json_schema": False}, Source("https://api-docs.deepseek.com/guides/json_mode", _READ)),
    Fact(
        r"^qwen/",
        _words("none", "high") | {"forced_calls": "not_thinking"},
        Source("https://github.com/cloudwego/eino/issues/994", _READ),
    ),
    Fact(
        r"^qwen/.*(qwq|qvq|-thinking)",
        {"efforts": {}, "forced_calls": "told"},
        Source("https://github.com/QwenLM/qwen-code/issues/7659", _READ),
    ),
    Fact(
        r"^qwen/.*(-instruct|-coder|qwen2|qwen1)",
        {"efforts": {}, "forced_calls": "as_asked"},
        UNSOURCED,
    ),
    Fact(r"^qwen/(?!.*(qwen3-max|qwen-plus|qwen-flash|qwen3\.[5-9]))", {"json_schema": False}, _QWEN),
    Fact(r"^moonshot/", {"efforts": {}, "json_schema": False}, _KIMI),
    Fact(
        r"^moonshot/kimi-k",
        {"json_schema": True},
        Source("https://github.com/vercel/ai/blob/main/packages/moonshotai/src/moonshotai-provider.ts", _READ),
    ),
    Fact(r"^moonshot/kimi-", {"forced_calls": "told"}, _FORCED_KIMI),
    Fact(r"^moonshot/kimi-k2\.[56]", _words("none", "high") | {"forced_calls": "not_thinking"}, _KIMI),
    Fact(
        r"^moonshot/kimi-k3",
        _words("low", "high", "max"),
        Source("https://docs.rs/synaps-engine/0.7.0/src/agent_engine/runtime/openai/catalog/kimi.rs.html", _READ),
    ),
    Fact(r"^zai/", {"efforts": {}, "json_schema": False, "forced_calls": "told"}, _GLM),
    Fact(r"^zai/glm-(4\.[5-9]|5)", _words("none", "high"), _GLM),
    Fact(r"^zai/glm-5\.2", _words("none", "minimal", "low", "medium", "high", "xhigh", "max"), _GLMS),
    Fact(r"^zai/glm-5\.3", _words("low", "high", "max"), _GLMS),
    Fact(r"^together/(?!.*gpt-oss)", {"efforts": {}}, _TOGETHER),
    Fact(r"^together/.*(deepseek-v|glm-[45]|kimi-k2\.|qwen3\.|cogito)", _words("none", "high"), _TOGETHER),
    Fact(
        r"^together/.*glm-5\.3",
        _words("low", "medium", "high", "max"),
        Source("https://docs.together.ai/docs/glm-5.3-quickstart", _READ),
    ),
    # Maps all of these to what its provider takes.
    Fact(
        r"^openrouter/",
        _words("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        Source("https://openrouter.ai/docs/guides/best-practices/reasoning-tokens", _READ),
    ),
    Fact(
        r"^(gemini|vertex)/.*gemini",
        _words("minimal", "low", "medium", "high"),
        Source("https://ai.google.dev/gemini-api/docs/openai", _READ),
    ),
    Fact(
        r"^(gemini|vertex)/.*gemini-2\.5-flash",
        _words("none", "low", "medium", "high"),
        Source("https://ai.google.dev/gemini-api/docs/openai", _READ),
    ),
    Fact(
        r"^ollama/(?!.*gpt-oss)",
        _words("none", "low", "medium", "high", "max"),
        Source("https://github.com/ollama/ollama/blob/main/openai/openai.go", _READ),
    ),
)
"""By `vendor/model`, for either wire. What one wire alone has is in its dialect."""


class RuleOptions(Options):
    """Switches of the dialects that speak OpenAI's wires. The tables in their packages say what they do."""

    efforts: dict[str, str] | None = None
    samples_at: tuple[str, ...] | None = None
    forced_calls: Literal["as_asked", "not_thinking", "told"] = "as_asked"
    json_schema: bool = True


def fitted(turn: Turn, options: RuleOptions) -> Turn:
    """The turn as its vendor takes it. What can't be asked for in a field is told as an instruction, last."""
    request, told = turn.request, list[str]()
    forced = turn.tool_choice == "required" and bool(turn.tools)
    if forced and options.forced_calls == "told":
        told.append(
            f"Call the tool {turn.must_call!r} now." if turn.must_call else "Call at least one of the tools now."
        )
        turn = replace(turn, tool_choice="auto", must_call=None)
    asked = request.reasoning.effort if request.reasoning else None
    effort = "none" if forced and options.forced_calls == "not_thinking" else asked
    if (schema := told_schema(turn, options)) is not None:
        told.append(instruction(schema))
    instructions = "\n\n".join(filter(None, (turn.instructions, *told))) if told else turn.instructions
    return replace(turn, instructions=instructions, request=_request(request, effort, options))


def told_schema(turn: Turn, options: RuleOptions) -> JsonObject | None:
    """The schema of the answer, where the vendor can only be told of it."""
    form = turn.request.text.format if turn.request.text else None
    return form.schema_ if isinstance(form, JsonSchemaFormat) and not options.json_schema else None


def _request(request: CreateResponse, effort: str | None, options: RuleOptions) -> CreateResponse:
    changes: dict[str, object] = {}
    if options.samples_at is not None and (effort or "") not in options.samples_at:
        changes |= dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty", "top_logprobs"))
        changes["include"] = [name for name in request.include or () if name != LOGPROBS]
    if effort is not None or request.reasoning:
        changes["reasoning"] = _reasoning(request.reasoning or ReasoningSettings(), effort, options.efforts)
    if request.text and isinstance(request.text.format, JsonSchemaFormat) and not options.json_schema:
        changes["text"] = request.text.model_copy(update={"format": JsonObjectFormat()})
    return request.model_copy(update=changes)


def _reasoning(
    asked: ReasoningSettings, effort: str | None, efforts: Mapping[str, str] | None
) -> ReasoningSettings | None:
    """None for a model that can't be asked to reason."""
    if efforts is None:
        return asked.model_copy(update={"effort": effort})
    word = efforts.get(nearest(effort, efforts) or "") if effort else None
    return asked.model_copy(update={"effort": word or None}) if efforts else None
