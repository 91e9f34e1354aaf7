"""What a deployment offers to keys: its models, and its MCP servers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from openresponses.toolbox.mcp.servers import SERVERS
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.models import provider_names
from openresponses_dev.manage.problems import nearest


def unserved(deployment: Deployment, models: Iterable[str], mcp: Iterable[str]) -> Iterator[str]:
    """What a key is limited to and nobody serves now. It may be set up later, so that it is told and not refused."""
    if models := [*models]:
        providers = provider_names(deployment)
        aliases = [each.name for each in parameters.read_all(deployment, "models")]
        for each in models:
            provider, slash, _ = each.partition("/")
            known = providers if slash else {*aliases, *providers}
            if not any(fnmatchcase(name, provider) for name in known):
                mend = "providers set" if slash else "models alias"
                what = f"no provider {provider} is" if slash else f"no alias or model {provider} is"
                yield f"{what} configured{_near(provider, known)} ({deployment.command(f'{mend} {provider}')})"
    if mcp := [*mcp]:
        labels = [each.name for each in parameters.read_all(deployment, SERVERS)]
        for each in mcp:
            if not any(fnmatchcase(label, each) for label in labels):
                add = deployment.command(f"mcp set {each} URL")
                yield f"no MCP server {each} is configured{_near(each, labels)} ({add})"


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return f": did you mean {near}?" if near else ""
