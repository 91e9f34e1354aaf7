"""How servers say that an input is too long for a model's context, of those that are behind several wires.

What is said on one wire alone is in its dialect.
"""

from .errors import TooLong
from .facts import UNSOURCED, Source

_READ = "2026-11"
_N = r"[\d,]{1,12}"
_PI = Source("https://github.com/badlogic/pi-mono/blob/main/packages/ai/src/utils/overflow.ts", _READ)
_REQUESTED = r"(?:requested|resulted in|requires|has|contains)(?: about| at least)?"

TOO_LONG = (
    # OpenAI, vLLM, DeepSeek, OpenRouter: "(112946 in the messages, 10000 in the completion)".
    TooLong(
        rf"maximum context length is (?P<most>{_N}) tokens.{{1,40}}{_REQUESTED} {_N} tokens"
        rf" \((?P<tokens>{_N}) in [a-z ]{{1,20}}[,;] (?P<kept>{_N}) (?:in|for) the completion\)",
        Source("https://github.com/vllm-project/vllm/issues/20409", _READ),
    ),
    TooLong(
        rf"maximum context length (?:is|of) (?P<most>{_N}) tokens(?:.{{1,40}}{_REQUESTED} (?P<tokens>{_N}))?",
        Source("https://github.com/refly-ai/refly/issues/1177", _READ),
    ),
    TooLong(
        r"context_length_exceeded|exceeds? the context window of this model",
        Source("https://github.com/dyad-sh/dyad/issues/1672", _READ),
    ),
    # Claude, whoever serves it.
    TooLong(
        rf"prompt is too long(?:: (?P<tokens>{_N}) tokens > (?P<most>{_N}) maximum)?",
        Source("https://github.com/anthropics/claude-code/issues/12186", _READ),
    ),
    TooLong(
        rf"exceed context limit(?::\s*(?P<tokens>{_N}) \+ (?P<kept>{_N}) > (?P<most>{_N}))?",
        Source("https://github.com/anthropics/claude-code/issues/408", _READ),
    ),
    # OpenAI with a 429, Groq with a 413: more than the account may send in a minute, so it never fits.
    TooLong(
        rf"request too large for .{{1,300}}limit (?P<most>{_N}), requested (?P<tokens>{_N})",
        Source("https://github.com/vanna-ai/vanna-flask/issues/11", _READ),
    ),
    # vLLM.
    TooLong(
        rf"prompt \((?:total )?length (?P<tokens>{_N})\) is (?:longer than the maximum model length of"
        rf"|too long to fit into the model \(context length) (?P<most>{_N})",
        Source("https://github.com/vllm-project/vllm/issues/12165", _READ),
    ),
    # llama.cpp.
    TooLong(
        rf"(?:\((?P<tokens>{_N}) tokens\) )?exceeds the available context size(?: \((?P<most>{_N}) tokens\))?"
        r"|exceed_context_size_error",
        Source("https://github.com/ggml-org/llama.cpp/pull/15780", _READ),
    ),
    # LM Studio.
    TooLong(
        rf"keep the first (?P<tokens>{_N}) tokens .{{1,90}} context length of only (?P<most>{_N}) tokens"
        r"|greater than the context length",
        Source("https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546", _READ),
    ),
    # Ollama.
    TooLong(
        r"prompt too long; exceeded (?:max )?context length",
        Source("https://github.com/earendil-works/pi/blob/main/packages/ai/src/utils/overflow.ts", _READ),
    ),
    # SGLang.
    TooLong(
        rf"input length \((?P<tokens>{_N}) tokens\) exceeds the maximum allowed length \((?P<most>{_N}) tokens\)",
        Source("https://github.com/sgl-project/sglang/issues/4048", _READ),
    ),
    # Moonshot.
    TooLong(
        rf"exceeded model token limit(?:: (?P<most>{_N}) \((?:re ?quested): (?P<tokens>{_N}))?",
        Source("https://github.com/MoonshotAI/kimi-cli/issues/2011", _READ),
    ),
    TooLong(r"context window exceeds limit", _PI),  # MiniMax
    # xAI.
    TooLong(
        rf"maximum prompt length is (?P<most>{_N})(?: but the request contains (?P<tokens>{_N}) tokens)?",
        Source("https://github.com/cline/cline/issues/3120", _READ),
    ),
    # Z.ai.
    TooLong(r"prompt exceeds max length", UNSOURCED),
)
