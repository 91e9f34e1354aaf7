"""Which fields a request may set by itself, `provider.options`, of `generateContent`. See `_shared.options`."""

from .._shared.facts import Fact, Source
from .._shared.options import May

_READ = "2026-11"
_API = Source("https://ai.google.dev/api/generate-content#generationconfig", _READ)
_VERTEX = Source("https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerationConfig", _READ)
ALLOWED = (
    Fact(
        r"",
        {
            "generationConfig.topK": May("samples among fewer tokens"),
            "generationConfig.seed": May("makes sampling repeatable"),
            "generationConfig.stopSequences": May("ends the turn earlier"),
            "generationConfig.responseModalities": May("what a model answers in, where it can: the turn's own tokens"),
            "generationConfig.mediaResolution": May("how finely the turn's own media are read"),
            "generationConfig.imageConfig.aspectRatio": May("the shape of an image that the model draws"),
        },
        _API,
    ),
    Fact(r"^vertex/", {"generationConfig.audioTimestamp": May("tells the time of words in the turn's audio")}, _VERTEX),
)
"""By `vendor/model`. Not listed, of what the API has: `cachedContent`, `labels`, `store` (stored, or tags of the
project), `tools`, `toolConfig` (run things), `safetySettings`, `modelArmorConfig` (are the operator's to choose), and
in `generationConfig` `candidateCount` (answers that nobody reads), `routingConfig`, `modelSelectionConfig` (other
models), `responseFormat`, `imageConfig.imageSize` (costs more), and what the standard has a field for. Google also
takes snake case, which is no other way in: a path is allowed in the spelling above alone."""
