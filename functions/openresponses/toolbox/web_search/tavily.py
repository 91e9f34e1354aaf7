"""Tavily (https://docs.tavily.com/documentation/api-reference/endpoint/search, tavily-ai/tavily-python)."""

from ...schema.base import JsonObject
from .backend import Asked, Backend, Found, Wanted, object_of, results_in, text_of

_MAX_QUERY, _MAX_COUNT = 400, 20
_COUNTRIES = {
    "AR": "argentina",
    "AT": "austria",
    "AU": "australia",
    "BE": "belgium",
    "BR": "brazil",
    "CA": "canada",
    "CH": "switzerland",
    "CL": "chile",
    "CN": "china",
    "CO": "colombia",
    "CZ": "czech republic",
    "DE": "germany",
    "DK": "denmark",
    "EG": "egypt",
    "ES": "spain",
    "FI": "finland",
    "FR": "france",
    "GB": "united kingdom",
    "GR": "greece",
    "HU": "hungary",
    "ID": "indonesia",
    "IE": "ireland",
    "IL": "israel",
    "IN": "india",
    "IT": "italy",
    "JP": "japan",
    "KE": "kenya",
    "KR": "south korea",
    "MX": "mexico",
    "MY": "malaysia",
    "NG": "nigeria",
    "NL": "netherlands",
    "NO": "norway",
    "NZ": "new zealand",
    "PE": "peru",
    "PH": "philippines",
    "PK": "pakistan",
    "PL": "poland",
    "PT": "portugal",
    "RO": "romania",
    "SA": "saudi arabia",
    "SE": "sweden",
    "SG": "singapore",
    "TH": "thailand",
    "TR": "turkey",
    "TW": "taiwan",
    "UA": "ukraine",
    "US": "united states",
    "VN": "vietnam",
    "ZA": "south africa",
}
"""Tavily takes names, "in lowercase, plain English". What is not here is left out: a name that it lacks is an error."""


def _ask(wanted: Wanted, key: str) -> Asked:
    """`advanced` costs two credits, so it is asked for only where much text is wanted. `country` needs the topic
    `general`, which is the default.
    """
    body: JsonObject = {
        "query": wanted.query[:_MAX_QUERY],
        "max_results": min(wanted.count, _MAX_COUNT),
        "search_depth": "advanced" if wanted.characters > 1_000 else "basic",
    }
    if wanted.domains:
        body["include_domains"] = [*wanted.domains]
    if country := _COUNTRIES.get(wanted.country):
        body["country"] = country
    return Asked("POST", "/search", headers={"authorization": f"Bearer {key}"}, body=body)


def _found(answer: JsonObject, wanted: Wanted) -> list[Found]:
    return [
        Found(url=text_of(each, "url"), title=text_of(each, "title"), text=text_of(each, "content"))
        for each in results_in(answer["results"])
    ]


def _why(answer: JsonObject) -> object:
    return object_of(answer.get("detail")).get("error")


TAVILY = Backend("Tavily", "https://api.tavily.com", _ask, _found, _why)
