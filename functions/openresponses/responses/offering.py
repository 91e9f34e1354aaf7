"""What a request's model is offered: the tools of the client, those that this server runs, and those of a provider."""

import asyncio
from collections.abc import Collection, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import TypeGuard

from ..core.client_tools import offered as offered_to_client
from ..core.errors import RequestError
from ..core.ports import Models, NamesTools, Offer, Offerable, Tools
from ..core.run import McpServer, OfferedTool, model_name
from ..core.server_calls import fitted_name
from ..core.turn import chosen_tools
from ..schema.items import AdditionalTools, Item, ToolSearchOutput
from ..schema.limits import MAX_TOOLS
from ..schema.request import CreateResponse
from ..schema.server_items import McpListTools
from ..schema.tools import (
    AllowedTools,
    ClientTool,
    CustomTool,
    FunctionTool,
    HostedTool,
    McpTool,
    NamedToolChoice,
    NamespaceTool,
    Tool,
    UpstreamTool,
    WebSearchTool,
)
from .servers import ELSEWHERE

MAX_TOLD = 20
"""Tools that an error names."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Each tool has a name of its own. `servers` are those that this server asks."""

    tools: list[OfferedTool] = field(default_factory=list[OfferedTool])
    servers: list[McpServer] = field(default_factory=list[McpServer])


def requested_tools(request: CreateResponse) -> Iterator[tuple[str, Tool]]:
    """Every tool that the request declares, after its path in the request."""
    for i, tool in enumerate(request.tools or ()):
        yield f"tools[{i}]", tool
    for i, item in enumerate(request.input if isinstance(request.input, list) else ()):
        if isinstance(item, AdditionalTools):
            for j, tool in enumerate(item.tools):
                yield f"input[{i}].tools[{j}]", tool


async def run_upstream(request: CreateResponse, models: Models) -> frozenset[str]:
    """Which of the tools that this server could run the request's provider runs itself."""
    either = any(isinstance(tool, McpTool | WebSearchTool) for _, tool in requested_tools(request))
    return await models.runs(request) if either else frozenset()


async def offered_tools(
    request: CreateResponse, tools: Tools, items: Sequence[Item] = (), upstream: Collection[str] = ()
) -> Offered:
    """The tools as the model will see them: the declared ones, and those that a search among `items` found.

    `upstream` are the types of tools that the provider runs itself. What is not the client's is asked for side by side.

    Raises RequestError for one that isn't here, or is declared twice, and for too many, and KitError.
    """
    declared = [*requested_tools(request)]
    found = [("input", tool) for item in items if isinstance(item, ToolSearchOutput) for tool in item.tools]
    asked = [*_once(declared), *_new_servers(found, declared)]
    listings = {item.server_label: item for item in items if isinstance(item, McpListTools) and not item.error}
    offers = await _Sources(tools, upstream, listings).offers(asked)
    taken = {tool.name for offer in offers for tool in offer.tools if tool.kind not in _RENAMED}
    offered: dict[str, OfferedTool] = {}
    for number, ((param, _), offer) in enumerate(zip(asked, offers, strict=True)):
        for tool in offer.tools:
            if tool.kind in _RENAMED:
                tool = tool.model_copy(update={"name": _free_name(tool.name, taken)})
                taken.add(tool.name)
            elif tool.name in offered:
                if number < len(declared):
                    raise _twice(f"tool {tool.name!r}", param)
                continue
            offered[tool.name] = tool
        if len(offered) > MAX_TOOLS:
            what = f"A request offers at most {MAX_TOOLS} tools, with those in namespaces, and of servers"
            raise RequestError(what, param=param)
    return Offered([*offered.values()], [offer.server for offer in offers if offer.server])


_RENAMED = ("mcp", "search")
"""Kinds of tools that have another name where theirs is taken: nobody but the model knows them by it."""


def _free_name(name: str, taken: Collection[str]) -> str:
    names = (fitted_name(f"{name}_{number}") for number in count(2))
    return next(each for each in chain([fitted_name(name)], names) if each not in taken)


def _once(declared: Sequence[tuple[str, Tool]]) -> Iterator[tuple[str, Tool]]:
    """Raises RequestError for the second server of a label."""
    labels = set[str]()
    for param, tool in declared:
        if isinstance(tool, McpTool):
            if tool.server_label in labels:
                raise _twice(f"MCP server {tool.server_label!r}", f"{param}.server_label")
            labels.add(tool.server_label)
        yield param, tool


def _new_servers(found: Sequence[tuple[str, Tool]], declared: Sequence[tuple[str, Tool]]) -> Iterator[tuple[str, Tool]]:
    """What a search found, without the servers that were declared, or found before."""
    labels = {tool.server_label for _, tool in declared if isinstance(tool, McpTool)}
    for param, tool in found:
        if isinstance(tool, McpTool):
            if tool.server_label in labels:
                continue
            labels.add(tool.server_label)
        yield param, tool


def _twice(what: str, param: str) -> RequestError:
    return RequestError(f"The {what} is declared twice", param=param, code="duplicate_tool")


@dataclass(frozen=True, slots=True)
class _Sources:
    """`upstream` are the types of what the provider runs itself, `listings` what the conversation has, by label."""

    tools: Tools
    upstream: Collection[str]
    listings: Mapping[str, McpListTools]

    async def offers(self, asked: Sequence[tuple[str, Tool]]) -> list[Offer]:
        """One for each tool, in their order. Servers are asked side by side.

        Raises RequestError for a tool that nobody runs, and KitError.
        """
        servers = {at: (tool, param) for at, (param, tool) in enumerate(asked) if self._is_asked(tool, param)}
        listed = dict(
            zip(servers, await _side_by_side([self._listing(*each) for each in servers.values()]), strict=True)
        )
        return [listed.get(at) or await self._offer(tool, param) for at, (param, tool) in enumerate(asked)]

    def _is_asked(self, tool: Tool, param: str) -> TypeGuard[McpTool]:
        """Whether it is a server that this one asks. It asks a server of the deployment, whoever else runs others:
        nobody else knows where that is.
        """
        if not isinstance(tool, McpTool):
            return False
        elsewhere = next((name for name in ELSEWHERE if tool.__pydantic_extra__.get(name) is not None), None)
        if "mcp" in self.upstream and (tool.server_url or elsewhere):
            return False
        if elsewhere:
            raise _unknown(f"Only OpenAI can reach a server by its {elsewhere!r}", f"{param}.{elsewhere}")
        return True

    async def _listing(self, tool: McpTool, param: str) -> Offer:
        try:
            here = await self.tools.offer(tool, self.listings.get(tool.server_label))
        except RequestError as error:  # it names a field of the tool
            error.param = f"{param}.{error.param}" if error.param else param
            raise
        if here is None:
            raise _unknown("This server asks no MCP servers", f"{param}.type")
        return here

    async def _offer(self, tool: Tool, param: str) -> Offer:
        match tool:
            case McpTool():
                return Offer([_upstream(tool)])
            case WebSearchTool():
                cached = tool.__pydantic_extra__.get("external_web_access") is False
                here = None if cached or "web_search" in self.upstream else await self.tools.offer(tool)
                return here or Offer([_upstream(tool)])
            case HostedTool() | UpstreamTool(type="shell" | "programmatic_tool_calling"):
                here = await self.tools.offer(tool)
                if here is None:
                    where = " in a container" if tool.type == "shell" else ""
                    what = f"This server has no tool {tool.type!r}{where}"
                    raise _unknown(what + await self._others(tool), f"{param}.type")
                return here
            case UpstreamTool():
                return await self.tools.offer(tool) or Offer([_upstream(tool)])
            case FunctionTool() | CustomTool() | NamespaceTool() | ClientTool():
                return Offer(_of_client(tool))

    async def _others(self, tool: Tool) -> str:
        """The hosted tools that are here, for who has named one that isn't."""
        if not isinstance(tool, HostedTool) or not isinstance(self.tools, NamesTools):
            return ""
        from difflib import get_close_matches  # few requests need it

        here = await self.tools.hosted_types()
        names = {each.partition(":")[2]: each for each in here}
        near = get_close_matches(tool.type.partition(":")[2], names, 1)
        meant = f": did you mean {names[near[0]]!r}?" if near else "."
        more = f", and {len(here) - MAX_TOLD} more" if len(here) > MAX_TOLD else ""
        return f"{meant} It has {', '.join(here[:MAX_TOLD]) or 'none'}{more}"


async def _side_by_side(asking: Sequence[Coroutine[None, None, Offer]]) -> list[Offer]:
    """Of several errors, the first one's is raised, when all are done."""
    if len(asking) < 2:
        return [await each for each in asking]
    made = await asyncio.gather(*asking, return_exceptions=True)
    if failure := next((each for each in made if isinstance(each, BaseException)), None):
        raise failure
    return [each for each in made if isinstance(each, Offer)]


def _unknown(what: str, param: str) -> RequestError:
    return RequestError(what, param=param, code="unknown_tool")


def _of_client(tool: FunctionTool | CustomTool | NamespaceTool | ClientTool) -> list[OfferedTool]:
    match tool:
        case FunctionTool() | CustomTool():
            return [_named_tool(tool, None)]
        case NamespaceTool():
            return [_named_tool(member, tool.name) for member in tool.tools]
        case ClientTool(type="tool_search") if tool.execution != "client":
            return []
        case ClientTool():
            return [offered_to_client(tool)]


def _named_tool(tool: FunctionTool | CustomTool, namespace: str | None) -> OfferedTool:
    if isinstance(tool, CustomTool):
        return OfferedTool(
            name=model_name(namespace, tool.name),
            kind="custom",
            item_type="custom",
            wire_name=tool.name,
            namespace=namespace,
            description=tool.description,
            parameters=tool.format,
        )
    return OfferedTool(
        name=model_name(namespace, tool.name),
        kind="function",
        item_type="function",
        wire_name=tool.name,
        namespace=namespace,
        description=tool.description,
        parameters=tool.parameters,
        strict=tool.strict,
    )


def _upstream(tool: Offerable) -> OfferedTool:
    """Its name is no name that a function can have, so that the model can't call it as one."""
    definition = tool.model_dump(mode="json")
    name = ":".join(
        ["upstream", tool.type, *([str(definition["server_label"])] if "server_label" in definition else [])]
    )
    return OfferedTool(name=name, kind="upstream", item_type=tool.type, wire_name=tool.type, parameters=definition)


def check_tool_choice(request: CreateResponse, tools: list[OfferedTool]) -> None:
    """Raises RequestError if `tool_choice` needs a tool that the request doesn't offer."""
    choice = request.tool_choice
    named: list[tuple[str, NamedToolChoice]] = []
    if isinstance(choice, AllowedTools):
        named = [(f"tool_choice.tools[{i}]", each) for i, each in enumerate(choice.tools)]
    elif isinstance(choice, NamedToolChoice):
        named = [("tool_choice", choice)]
    elif choice == "required" and not tools:
        raise RequestError("'tool_choice' is 'required', but there are no tools", param="tool_choice")
    for param, each in named:
        if not chosen_tools(tools, each):
            raise RequestError(
                f"'tool_choice' names {each.name or each.type!r}, which is not among the tools", param=param
            )
