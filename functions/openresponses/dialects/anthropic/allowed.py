"""Which fields a request may set by itself, `provider.options`, of the Messages API. See `_shared.options`."""

from .._shared.facts import Fact, Source
from .._shared.options import May

_READ = "2026-11"
_API = Source("https://platform.claude.com/docs/en/api/messages/create", _READ)
ALLOWED = (
    Fact(
        r"",
        {
            "top_k": May("samples among fewer tokens"),
            "stop_sequences": May("ends the turn earlier"),
        },
        _API,
    ),
)
"""By `vendor/model`. Not listed, of what the API has: `container`, `mcp_servers`, `tools` (run things, or name what is
stored), `fallbacks` (other models), `speed`, `inference_geo`, `service_tier` (cost more), `workspace_id`,
`user_profile_id` (other accounts), `cache_control` (writes to the cache cost; the server sets marks), `betas`,
`context_management`, `compaction`, `diagnostics`, `thread`, `billing_policy`."""
