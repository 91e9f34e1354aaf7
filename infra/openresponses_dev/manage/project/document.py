"""The shape of `openresponses.toml`: one model, of which the editors' schema is made. What the values mean is checked
in `reading`, by the code that the commands and the functions use.

A text may have `$NAME` or `${NAME}` in it, which `environment` puts in first. So a field that takes only some texts
lets such a reference pass in the schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.config import JsonDict

from openresponses.core.storage import MAX_RUNNING
from openresponses.dialects import dialects
from openresponses.schema.base import JsonObject
from openresponses.toolbox.mcp.servers import LABEL, Approval
from openresponses.toolbox.web_search.configuration import Name
from openresponses_dev.manage.presets import PRESETS
from openresponses_dev.manage.problems import unknown

REFERENCE = r"^([^$]|\$[^A-Za-z_{])*\$[A-Za-z_{]"
"""A schema's pattern for a text that has a reference to a variable in it."""
DEFAULT_TENANT = "default"
SPAN = r"[1-9][0-9]{0,5}[hdwy]"
_TENANT = r"^[a-z0-9][a-z0-9-]{0,62}$"
_CREDENTIAL = r"[Aa][Uu][Tt][Hh]|[Kk][Ee][Yy]|[Tt][Oo][Kk][Ee][Nn]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Pp][Aa][Ss][Ss][Ww]"
CREDENTIAL = re.compile(f"{_CREDENTIAL}|[Cc][Oo][Oo][Kk][Ii][Ee]|[Cc][Rr][Ee][Dd]|[Ss][Ii][Gg][Nn][Aa][Tt]")
"""A header whose name has this in it is taken for a credential. Without flags: a schema's pattern has none."""


def _referring(*schemas: JsonDict) -> WithJsonSchema:
    """Of a text that one of the schemas takes, or that has a reference in it."""
    return WithJsonSchema({"type": "string", "anyOf": [*schemas, {"pattern": REFERENCE}]})


def _one_of(known: Iterable[str]) -> AfterValidator:
    names = [*known]

    def check(text: str) -> str:
        if text in names:
            return text
        raise ValueError(unknown(text, names))

    return AfterValidator(check)


def _amount(value: object) -> object:
    """A number as the text that it was: of a float, Python's shortest."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(repr(value)), "f")
    return value


def _moment(value: object) -> object:
    """TOML has dates and times of its own."""
    return value.isoformat() if isinstance(value, date | datetime) else value


Secret: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "pattern": REFERENCE})]
Dollars: TypeAlias = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string"}]}),
]
Headers: TypeAlias = Annotated[
    dict[str, str],
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "patternProperties": {CREDENTIAL.pattern: {"type": "string", "pattern": REFERENCE}},
        }
    ),
]
Tenant: TypeAlias = Annotated[str, _referring({"pattern": _TENANT})]
Count: TypeAlias = Annotated[int, Field(strict=True, ge=0)]
Seconds: TypeAlias = Annotated[float, Field(strict=True, gt=0)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Price(_Table):
    """US dollars for a million tokens."""

    input: Dollars = Field(description="of what the model reads, such as 1.25")
    output: Dollars = Field(description="of what it says")
    cached: Dollars | None = Field(None, description="of input from the provider's cache (default: as input)")
    cache_write: Dollars | None = Field(
        None, description="of input that goes to the provider's cache (default: as input)"
    )


class Provider(_Table):
    """Models name it, as NAME/model. A preset fills in what is not said."""

    preset: Annotated[str, _one_of(PRESETS), _referring({"enum": [*PRESETS]})] | None = Field(
        None, description="a well-known provider; not needed where the table has its name"
    )
    dialect: Annotated[str, _one_of(dialects()), _referring({"enum": [*dialects()]})] | None = Field(
        None, description="the wire that it speaks (default: the preset's)"
    )
    base_url: str | None = Field(None, description="where it is, such as https://api.openai.com/v1")
    api_key: Secret | None = Field(None, description='a reference: "$OPENAI_API_KEY"; no key is in this file')
    headers: Headers | None = Field(None, description="that each request to it has; credentials are references")
    models: list[str] | None = Field(None, description="listed by GET /v1/models; any other is asked for, too")
    options: JsonObject | None = Field(None, description="the dialect's own switches: docs/providers.md")
    connect_timeout: Seconds | None = Field(None, description="in seconds (default: 10)")
    first_byte_timeout: Seconds | None = Field(None, description="in seconds (default: 120)")
    idle_timeout: Seconds | None = Field(None, description="in seconds (default: 60)")
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] | None = Field(
        None, description="of a request that it did not begin to answer (default: 2)"
    )
    prices: dict[str, Price] | None = Field(
        None, description="your own, by the model's name or a pattern with *: docs/money.md"
    )


class McpServer(_Table):
    """An MCP server that requests name by this label."""

    url: str = Field(description="of its MCP endpoint, https")
    headers: Headers | None = Field(None, description='its credentials: Authorization = "Bearer $DOCS_TOKEN"')
    approval: Annotated[Approval, _referring({"enum": ["always", "never"]})] | None = Field(
        None, description="whether a client must approve each call (default: always)"
    )
    allow: list[str] | None = Field(None, description="the tools that requests may use (default: all)")
    description: str | None = Field(None, description="for your own list")


class FunctionTool(_Table):
    """A Lambda function that requests use as the tool `serverless:NAME`."""

    function: str = Field(description="its name or ARN")
    description: str | None = Field(None, description="what the model is told that it does")
    parameters: JsonObject | None = Field(None, description="the JSON schema of its arguments")
    timeout: Seconds | None = Field(None, description="in seconds (default: 30; a day, where it answers later)")
    answers: Annotated[Literal["now", "later"], _referring({"enum": ["now", "later"]})] | None = Field(
        None, description="later: somebody sends the answer to Step Functions (default: now)"
    )


class WebSearch(_Table):
    """The service that searches the web: docs/web-search.md"""

    backend: Annotated[Name, _referring({"enum": ["brave", "tavily", "exa", "searxng"]})] = Field(
        description="the service"
    )
    base_url: str | None = Field(None, description="of a SearXNG, or of a proxy before another service")
    key: Secret | None = Field(None, description='a reference: "$BRAVE_API_KEY"; SearXNG needs none')


class Tools(BaseModel):
    """Lambda functions by their tool's name, and what searches the web. Python files in tools/ need no line here."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    __pydantic_extra__: dict[str, FunctionTool] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    web_search: WebSearch | None = None

    def functions(self) -> dict[str, FunctionTool]:
        return self.__pydantic_extra__


# Of a prompt's fields the schema tells the type. What they mean is checked as in a request.
_Text: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "string"})]
_Whole: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "integer"})]
_Number: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "number"})]
_Flag: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "boolean"})]
_Object: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "object"})]
_Objects: TypeAlias = Annotated[JsonValue, WithJsonSchema({"type": "array", "items": {"type": "object"}})]
_WordOrObject: TypeAlias = Annotated[JsonValue, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]})]
_TextOrObjects: TypeAlias = Annotated[
    JsonValue, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
]


class Prompt(_Table):
    """What requests begin with that name it: fields of a request with {{variables}}, here or in a file."""

    tenant: Tenant = Field(DEFAULT_TENANT, description="whose requests may name it")
    file: str | None = Field(None, description="YAML or JSON, by its path from this file; then nothing else is said")
    model: _Text = Field(None, description="provider/model or an alias, where the request names none")
    instructions: _Text = Field(None, description="such as: You answer for {{company}}.")
    input: _TextOrObjects = Field(None, description="messages, or a text that the user says")
    tools: _Objects = Field(None, description="as in a request")
    tool_choice: _WordOrObject = Field(None, description="as in a request")
    parallel_tool_calls: _Flag = Field(None, description="as in a request")
    max_tool_calls: _Whole = Field(None, description="as in a request")
    text: _Object = Field(None, description="as in a request")
    reasoning: _Object = Field(None, description="as in a request")
    temperature: _Number = Field(None, description="as in a request")
    top_p: _Number = Field(None, description="as in a request")
    presence_penalty: _Number = Field(None, description="as in a request")
    frequency_penalty: _Number = Field(None, description="as in a request")
    top_logprobs: _Whole = Field(None, description="as in a request")
    max_output_tokens: _Whole = Field(None, description="as in a request")
    truncation: _Text = Field(None, description="as in a request")
    service_tier: _Text = Field(None, description="as in a request")
    provider: _Object = Field(None, description="as in a request")


class _Limits(_Table):
    requests_per_minute: Count | None = Field(None, description="responses that begin")
    tokens_per_minute: Count | None = Field(None, description="tokens read and said")
    usd_per_day: Dollars | None = Field(None, description="US dollars, such as 2.50; the day is UTC's")
    usd_per_month: Dollars | None = Field(None, description="US dollars; the month is UTC's")
    concurrent: Annotated[int, Field(strict=True, ge=0, le=MAX_RUNNING)] | None = Field(
        None, description="responses at once"
    )


class TenantLimits(_Limits):
    """Limits of all the tenant's keys together."""


class Key(_Limits):
    """A client's key. It is made once and printed once, and is never in this file."""

    tenant: Tenant = Field(DEFAULT_TENANT, description="whose responses it reads and writes")
    models: list[str] | None = Field(
        None, description="that it may use: provider/model, an alias, or a pattern such as openai/* (default: all)"
    )
    mcp: list[str] | None = Field(
        None, description="labels of MCP servers, or patterns of them (default: all, and any other)"
    )
    reasoning: Annotated[Literal["summary", "encrypted"], _referring({"enum": ["summary", "encrypted"]})] | None = (
        Field(None, description="the most that is shown of a model's reasoning (default: all)")
    )
    expires: (
        Annotated[
            str,
            BeforeValidator(_moment),
            _referring({"pattern": f"^{SPAN}$"}, {"pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}"}),
        ]
        | None
    ) = Field(None, description="a span from when it is made, such as 90d, or a date such as 2027-06-30")


_NAME: JsonDict = {"propertyNames": {"pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,63}$"}}
_LABEL: JsonDict = {"propertyNames": {"pattern": f"^{LABEL.pattern}$"}}
_PROMPT: JsonDict = {"propertyNames": {"pattern": "^[A-Za-z0-9_.-]{1,128}$"}}
_ALIAS: JsonDict = {"pattern": f"^[^/]+/.+$|{REFERENCE}"}


class Document(_Table):
    """What a deployment is configured with. A section that is not here is left alone; one that is here, also an empty
    one, is brought to exactly what it says.
    """

    model_config = ConfigDict(title="openresponses.toml")

    providers: dict[str, Provider] | None = Field(
        None, description="who answers: NAME in NAME/model", json_schema_extra=_NAME
    )
    aliases: (
        dict[str, Annotated[list[Annotated[str, Field(json_schema_extra=_ALIAS)]], Field(min_length=1, max_length=16)]]
        | None
    ) = Field(None, description="names for provider/model, the first choice first", json_schema_extra=_NAME)
    prompts: dict[str, Prompt] | None = Field(
        None, description="what requests may begin with: prompt.id", json_schema_extra=_PROMPT
    )
    mcp: dict[str, McpServer] | None = Field(
        None, description="the MCP servers that requests name by their label", json_schema_extra=_LABEL
    )
    tools: Tools | None = Field(None, description="Lambda functions, and what searches the web")
    keys: dict[str, Key] | None = Field(None, description="the keys of clients, by their name")
    tenants: dict[str, TenantLimits] | None = Field(
        None,
        description="limits of tenants",
        json_schema_extra={"propertyNames": {"pattern": _TENANT}},
    )
