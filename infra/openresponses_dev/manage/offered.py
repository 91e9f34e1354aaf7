"""What a deployment offers to keys: its models, and its MCP servers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from openresponses.toolbox.mcp.servers import SERVERS
from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Deployment
from openresponses_dev.manage.models import provider_names
from openresponses_dev.manage.problems import meant


@dataclass(frozen=True, slots=True)
class Offered:
    """The names of providers and aliases, and the labels of MCP servers."""

    providers: Collection[str]
    aliases: Collection[str]
    labels: Collection[str]

    def unserved(self, models: Iterable[str], mcp: Iterable[str]) -> Iterator[tuple[str, str]]:
        """What a key is limited to and nobody serves now, and the command that changes that. It may be set up later, so
        that it is told and not refused.
        """
        for each in models:
            provider, slash, _ = each.partition("/")
            known = self.providers if slash else {*self.aliases, *self.providers}
            if not any(fnmatchcase(name, provider) for name in known):
                what = f"no provider {provider} is" if slash else f"no alias or model {provider} is"
                command = f"providers set {provider}" if slash else f"models alias {provider} TARGET"
                yield f"{what} configured{meant(provider, known)}", command
        for each in mcp:
            if not any(fnmatchcase(label, each) for label in self.labels):
                yield f"no MCP server {each} is configured{meant(each, self.labels)}", f"mcp set {each} URL"


def offered_by(deployment: Deployment) -> Offered:
    """Raises Problem."""
    return Offered(
        provider_names(deployment),
        [each.name for each in parameters.read_all(deployment, "models")],
        [each.name for each in parameters.read_all(deployment, SERVERS)],
    )
