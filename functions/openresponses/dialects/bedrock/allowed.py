"""Which fields a request may set by itself, `provider.options`, of Converse. See `_shared.options`."""

from .._shared.facts import Fact, Source
from .._shared.options import May

_READ = "2026-11"
_CONVERSE = Source(
    "https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html", _READ
)
_CLAUDE = Source(
    "https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html", _READ
)
_NOVA = Source("https://docs.aws.amazon.com/nova/latest/userguide/using-converse-api.html", _READ)
_FEWER = May("samples among fewer tokens")
ALLOWED = (
    Fact(r"", {"inferenceConfig.stopSequences": May("ends the turn earlier")}, _CONVERSE),
    Fact(r"", {"additionalModelRequestFields.top_k": _FEWER}, _CLAUDE),  # and Cohere's `k`, Mistral's `top_k`
    Fact(r"nova", {"additionalModelRequestFields.inferenceConfig.topK": _FEWER}, _NOVA),
)
"""By `vendor/model`. Not listed, of what Converse has: `guardrailConfig`, `promptVariables` (name what is stored),
`performanceConfig`, `serviceTier` (cost more), `requestMetadata` (tags the operator's logs), `outputConfig`, and in
`additionalModelRequestFields` `tools`, `mcp_servers`, `anthropic_beta` and whatever else a model takes there."""
