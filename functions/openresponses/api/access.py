"""Who is calling: what the authorizer told API Gateway of the key. Nothing else in a request is believed."""

from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request

from ..core.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class Access:
    """`models` are patterns of what the key may use, none for all. `reasoning` is the most that it is shown of a
    model's, None for as much as the deployment shows.
    """

    tenant: str
    key_id: str = ""
    models: tuple[str, ...] = ()
    reasoning: Literal["summary", "encrypted"] | None = None


def access_of(request: Request) -> Access:
    """Raises Unauthorized where no authorizer has spoken, or not in words that are known here."""
    event: dict[str, Any] = request.scope.get("aws.event", {})
    match event.get("requestContext", {}).get("authorizer"):
        case {"tenant": str(tenant), "key_id": str(key_id), "models": str(models), "reasoning": reasoning} if tenant:
            allowed = tuple(models.split())
        case _:
            raise _nobody()
    match reasoning:
        case "":
            return Access(tenant, key_id, allowed)
        case "summary" | "encrypted":
            return Access(tenant, key_id, allowed, reasoning)
        case _:
            raise _nobody()


def _nobody() -> Unauthorized:
    return Unauthorized("This API key is not valid here", param="authorization")
