"""Who is calling, as API Gateway found out: it asked the authorizer, or checked an AWS signature itself. Nothing else
in a request is believed.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
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


def access_of(request: Request, signed_api: str = "") -> Access:
    """`signed_api` is the id of the API whose callers sign with AWS credentials, if there is one.

    Raises Unauthorized if no authorizer let the request in, or if its context is not as ours makes it.
    """
    event: dict[str, Any] = request.scope.get("aws.event", {})
    context: dict[str, Any] = event.get("requestContext", {})
    if signed_api and context.get("apiId") == signed_api:
        return _signer(context.get("identity") or {})
    told: dict[str, Any] = context.get("authorizer") or {}
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


_ACCOUNT = re.compile(r"[0-9]{12}")
_SESSION = re.compile(r"(arn:[a-z-]+:sts::[0-9]{12}:assumed-role/[^/]+)/.*")


def _signer(identity: dict[str, Any]) -> Access:
    """The tenant is the account whose credentials signed. The key is their user or role: not the session of a role,
    whose name its caller chooses. A guest of a Cognito identity pool, who has credentials without a name, is nobody.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
    """
    match {"cognitoAuthenticationType": None, **identity}:
        case {"cognitoAuthenticationType": "unauthenticated"}:
            pass
        case {"accountId": str(account), "userArn": str(arn)} if _ACCOUNT.fullmatch(account) and arn:
            who = sha256(_SESSION.sub(r"\1", arn).encode()).hexdigest()[:20]
            return Access(account, f"iam-{who}")
        case _:
            pass
    raise Unauthorized("This request is not signed with AWS credentials", param="authorization")
