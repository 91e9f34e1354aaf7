"""Web search as a source of tools: two functions that the model is offered where the operator has set a backend.

What searches, and what opens pages, is imported when a model first calls one of them.
"""

from typing import TYPE_CHECKING

from pydantic import JsonValue

from ...core.errors import RequestError
from ...core.ports import Offer, Offerable, Parameters, ToolOutput
from ...core.run import OfferedTool, Run
from ...core.surrogates import whole
from ...schema.base import JsonObject
from ...schema.limits import MAX_URL
from ...schema.server_items import McpListTools, SearchResult, ServerCall, WebSearchCall
from ...schema.tools import UserLocation, WebSearchTool
from ..source import ToolFailed, is_backend

if TYPE_CHECKING:
    from ...transport.http import Network
    from .backend import Wanted
    from .configuration import Configuration

SEARCH, PAGE, PARAMETER = "web_search", "open_page", "tools/web_search"
MAX_QUERY = 2_000
"""Characters that a model may ask for. Services take less, and are given as much as they take."""
MAX_TITLE = 300
"""Characters."""
SIZES = {"low": (5, 400, 8_000), "medium": (8, 1_000, 20_000), "high": (12, 2_000, 40_000)}
"""How many results, how many characters of each, and of a page: by `search_context_size`."""


class WebSearch:
    """The backend that the parameter `tools/web_search` names. With `loopback`, for a local cloud, pages may also be
    opened there. `network` replaces the network, for tests.
    """

    def __init__(self, parameters: Parameters, loopback: bool = False, network: "Network | None" = None) -> None:
        self._parameters, self._loopback, self._network = parameters, loopback, network

    async def offer(self, tool: Offerable, known: McpListTools | None = None) -> Offer | None:
        """Raises RequestError, StorageUnavailable, ToolMisconfigured."""
        if not isinstance(tool, WebSearchTool) or await self._configuration() is None:
            return None
        domains = _domains_of(tool)
        place = _place_of(tool.user_location)
        settings: JsonObject = {
            "size": tool.search_context_size or "medium",
            "domains": [*domains],
            "location": tool.user_location.model_dump(mode="json") if tool.user_location else {},
        }
        within = f" Only pages of {', '.join(domains)} can be found and opened." if domains else ""
        searching = f"Search the web.{within}{f' The user is in or near {place}.' if place else ''}"
        opening = f"Open a web page, to read more of it than a search shows.{within}"
        return Offer(
            [
                _function(SEARCH, searching, "query", "What to look for.", settings),
                _function(PAGE, opening, "url", "The page's URL, with https://.", settings),
            ]
        )

    async def call(self, call: ServerCall, run: Run) -> ToolOutput | None:
        """Raises StorageUnavailable, ToolMisconfigured, ToolFailed."""
        if not isinstance(call, WebSearchCall):
            return None
        configuration = await self._configuration()
        offered = (tool for tool in run.tools if tool.kind == "search" and tool.wire_name == call.name)
        if configuration is None or (tool := next(offered, None)) is None:
            raise ToolFailed("Web search is not set up on this server any more. Go on without it.")
        settings = tool.settings or {}
        if call.name == PAGE:
            return _found(await self._open(_argument(call, "url", MAX_URL), settings))
        return _found(await self._search(configuration, _argument(call, "query", MAX_QUERY), settings))

    async def _search(self, configuration: "Configuration", query: str, settings: JsonObject) -> list[SearchResult]:
        from .domains import is_within
        from .service import search

        wanted = _wanted(query, settings)
        found = await search(configuration, wanted, self._network)
        fitting = (each for each in found if len(each.url) <= MAX_URL and is_within(each.url, wanted.domains))
        return [_result(each.url, each.title, each.text[: wanted.characters]) for each in list(fitting)[: wanted.count]]

    async def _open(self, url: str, settings: JsonObject) -> list[SearchResult]:
        from ...transport.guard import Guard
        from .page import read

        page = await read(url, Guard(self._loopback), _texts(settings.get("domains")), self._network)
        limit = _size(settings)[2]
        more = len(page.text) - limit
        text = f"{page.text[:limit]}\n[cut: {more} more characters]" if more > 0 else page.text
        return [_result(page.url if len(page.url) <= MAX_URL else url, page.title or url, text)]

    async def _configuration(self) -> "Configuration | None":
        """None if nobody set a backend."""
        text = await self._parameters.get(PARAMETER)
        if text is None or not is_backend(text):
            return None
        from .configuration import configured

        return configured(text)


def _function(name: str, description: str, argument: str, means: str, settings: JsonObject) -> OfferedTool:
    return OfferedTool(
        name=name,
        kind="search",
        item_type="web_search_call",
        wire_name=name,
        description=description,
        parameters={
            "type": "object",
            "properties": {argument: {"type": "string", "description": means}},
            "required": [argument],
            "additionalProperties": False,
        },
        settings=settings,
    )


def _result(url: str, title: str, text: str) -> SearchResult:
    return SearchResult(url=whole(url), title=whole(title[:MAX_TITLE]), text=whole(text))


def _found(results: list[SearchResult]) -> ToolOutput:
    return ToolOutput(
        "\n\n".join(each.text for each in results),
        item={"results": [each.model_dump(mode="json") for each in results]},
    )


def _argument(call: WebSearchCall, name: str, limit: int) -> str:
    value = call.action.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > limit:
        raise ToolFailed(f"{call.name} takes one argument, {name}: a text of up to {limit} characters.")
    return whole(value.strip())


def _domains_of(tool: WebSearchTool) -> tuple[str, ...]:
    """Raises RequestError."""
    given = tool.filters.allowed_domains if tool.filters else None
    if not given:
        return ()
    from .domains import domain_of

    try:
        return tuple(dict.fromkeys(map(domain_of, given)))
    except ValueError:
        raise RequestError(
            "'filters.allowed_domains' of a web search must hold domains, such as 'example.com'", param="tools"
        ) from None


def _place_of(location: UserLocation | None) -> str:
    parts = (location.city, location.region, location.country) if location else ()
    return ", ".join(filter(None, parts))


def _wanted(query: str, settings: JsonObject) -> "Wanted":
    from .backend import Wanted, object_of, text_of

    location = object_of(settings.get("location"))
    count, characters, _ = _size(settings)
    return Wanted(
        query=query,
        count=count,
        characters=characters,
        domains=_texts(settings.get("domains")),
        country=text_of(location, "country").upper(),
        region=text_of(location, "region"),
        city=text_of(location, "city"),
        timezone=text_of(location, "timezone"),
    )


def _size(settings: JsonObject) -> tuple[int, int, int]:
    return SIZES.get(str(settings.get("size")), SIZES["medium"])


def _texts(value: JsonValue) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
