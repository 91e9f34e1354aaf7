"""The API behind an authorizer that lets everyone in: for tests of what comes after."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


def authorized(
    app: ASGIApp, *, tenant: str = "default", models: str = "", mcp: str = "", reasoning: str = ""
) -> ASGIApp:
    """`app`, whose requests carry what API Gateway would have been told of their key."""
    context = {"tenant": tenant, "key_id": "0123456789ab", "models": models, "mcp": mcp, "reasoning": reasoning}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        event = {"requestContext": {"authorizer": context}}
        await app({**scope, "aws.event": event} if scope["type"] == "http" else scope, receive, send)

    return serve
