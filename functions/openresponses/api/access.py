"""Who is calling, as the authorizer told API Gateway. Nothing else in a request is believed."""

from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from ..core.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Access:
    """`models` are patterns of the models that the key may use, none for all; `mcp` are those of the deployment's MCP
    servers, none for all of them and any other. `reasoning` is the most that the key may see of a model's reasoning,
    None for as much as the deployment shows.
    """

    tenant: str
    key_id: str = ""
    models: tuple[str, ...] = ()
    mcp: tuple[str, ...] = ()
    reasoning: Literal["summary", "encrypted"] | None = None


def access_of(request: Request) -> Access:
    """Raises Unauthorized if no authorizer let the request in, or if its context is not as ours makes it."""
    event: dict[str, Any] = request.scope.get("aws.event", {})
    told: dict[str, Any] = event.get("requestContext", {}).get("authorizer") or {}
    match {"mcp": "", **told}:  # the gateway may remember an answer from before there was this limit
        case {
            "tenant": str(tenant),
            "key_id": str(key_id),
            "models": str(models),
            "mcp": str(mcp),
            "reasoning": "" | "summary" | "encrypted" as reasoning,
        } if tenant:
            return Access(tenant, key_id, tuple(models.split()), tuple(mcp.split()), reasoning or None)
        case _:
            raise Unauthorized("This API key is not valid here", param="authorization")
