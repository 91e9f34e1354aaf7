"""Who is calling, as the authorizer told API Gateway. Nothing else in a request is believed."""

from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from ..core.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Access:
    """`models` are patterns of the models that the key may use, none for all. `reasoning` is the most that the key may
    see of a model's reasoning, None for as much as the deployment shows.
    """

    tenant: str
    key_id: str = ""
    models: tuple[str, ...] = ()
    reasoning: Literal["summary", "encrypted"] | None = None


def access_of(request: Request) -> Access:
    """Raises Unauthorized if no authorizer let the request in, or if its context is not as ours makes it."""
    event: dict[str, Any] = request.scope.get("aws.event", {})
    match event.get("requestContext", {}).get("authorizer"):
        case {"tenant": str(tenant), "key_id": str(key_id), "models": str(models), "reasoning": reasoning} if tenant:
            allowed = tuple(models.split())
        case _:
            raise _unauthorized()
    match reasoning:
        case "":
            return Access(tenant, key_id, allowed)
        case "summary" | "encrypted":
            return Access(tenant, key_id, allowed, reasoning)
        case _:
            raise _unauthorized()


def _unauthorized() -> Unauthorized:
    return Unauthorized("This API key is not valid here", param="authorization")
