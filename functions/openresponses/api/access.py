"""Who is calling: what the authorizer told API Gateway of the key. Nothing else in a request is believed."""

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from ..core.errors import Unauthorized
from ..keys import REASONING


@dataclass(frozen=True, slots=True)
class Access:
    """`models` are patterns of what the key may use, none for all; `reasoning` the most it is shown of a model's."""

    tenant: str
    key_id: str
    models: tuple[str, ...] = ()
    reasoning: str = ""


def access_of(request: Request) -> Access:
    """Raises Unauthorized where no authorizer has spoken, or not in words that are known here."""
    event: dict[str, Any] = request.scope.get("aws.event", {})
    context: dict[str, Any] = event.get("requestContext", {}).get("authorizer") or {}
    tenant, key_id, models, reasoning = (context.get(name) for name in ("tenant", "key_id", "models", "reasoning"))
    if not isinstance(tenant, str) or not tenant or not isinstance(key_id, str) or not isinstance(models, str):
        raise _nobody()
    if not isinstance(reasoning, str) or reasoning not in REASONING:
        raise _nobody()
    return Access(tenant, key_id, tuple(models.split()), reasoning)


def _nobody() -> Unauthorized:
    return Unauthorized("No API key: send it as 'Authorization: Bearer <key>'", param="authorization")
