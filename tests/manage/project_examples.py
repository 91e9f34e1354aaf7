"""Files of projects, and what is wrong with some."""

from __future__ import annotations

WHOLE = """\
[providers.openai]
api_key = "$OPENAI_API_KEY"
models = ["gpt-5-mini"]

[providers.mine]
dialect = "chat_completions"
base_url = "http://127.0.0.1:9/v1"
headers = {Authorization = "Bearer ${MINE}", x-team = "blue"}
idle_timeout = 30
retries = 1

[providers.mine.prices."*"]
input = 1.25
output = "2.50"

[providers.gateway]
preset = "openrouter"
base_url = "https://gateway.example.com/v1"
options = {allow_options = ["seed"]}

[aliases]
fast = ["openai/gpt-5-mini", "mine/small"]
"gpt-5.1" = ["openai/gpt-5.1"]

[prompts.greet]
instructions = "You answer for {{company}}. It costs $$5."
temperature = 0.5

[prompts.welcome]
tenant = "acme"
file = "prompts/welcome.yaml"

[mcp.docs]
url = "https://mcp.example.com/mcp"
approval = "never"
allow = ["search"]
headers = {Authorization = "Bearer $DOCS_TOKEN"}

[tools.web_search]
backend = "brave"
key = "$BRAVE_API_KEY"

[tools.weather]
function = "weather"
description = "Tells the weather"
timeout = 20
parameters = {type = "object", properties = {city = {type = "string"}}, required = ["city"]}

[keys.app]
models = ["fast", "openai/*"]
mcp = ["docs"]
reasoning = "summary"
expires = "90d"
usd_per_day = 2.5
concurrent = 3

[keys.partner]
tenant = "acme"
expires = 2199-06-30

[tenants.acme]
usd_per_month = "100"
requests_per_minute = 60
"""
VARIABLES = {
    "OPENAI_API_KEY": "sk-planted-1",
    "MINE": "planted-2",
    "DOCS_TOKEN": "planted-3",
    "BRAVE_API_KEY": "planted-4",
}
FILES = {"prompts/welcome.yaml": "instructions: Welcome to {{place}}.\n"}

SHAPES = {
    '[provders.openai]\napi_key = "$K"': "provders: there is no such section; did you mean providers?",
    '[providers.openai]\napi_kye = "$K"': "providers.openai.api_kye: there is no such field; did you mean api_key?",
    '[providers.openai]\napi_key = "sk-literal"': "providers.openai.api_key: a secret is not kept in this file",
    '[providers.openai]\napi_key = "$$literal"': "providers.openai.api_key: a secret is not kept in this file",
    '[providers.x]\npreset = "opnai"': "providers.x.preset: there is no 'opnai'; did you mean 'openai'?",
    '[providers.x]\ndialect = "antropic"': "providers.x.dialect: there is no 'antropic'; did you mean 'anthropic'?",
    '[providers.x]\ndialect = "anthropic"\nretries = "1"': "providers.x.retries: Input should be a valid integer",
    '[providers.x]\ndialect = "anthropic"\nretries = 11': "providers.x.retries: Input should be less than",
    '[providers.x]\ndialect = "anthropic"\nidle_timeout = 0': "providers.x.idle_timeout: Input should be greater",
    '[providers.x]\ndialect = "anthropic"\nmodels = "all"': "providers.x.models: must be an array",
    '[providers.x.prices."*"]\ninput = 1': 'providers.x.prices."*".output: is missing',
    '[providers.x.headers]\nX-Api-Key = "literal"': "providers.x.headers.X-Api-Key: a secret is not kept in this file",
    '[mcp.docs.headers]\nAuthorization = "Bearer literal"': "mcp.docs.headers.Authorization: a secret is not kept",
    '[aliases]\nfast = "openai/gpt-5-mini"': "aliases.fast: must be an array",
    "[aliases]\nfast = []": "aliases.fast: List should have at least 1 item",
    '[aliases]\nfast = ["gpt-5-mini"]': "aliases.fast.0: a target is provider/model",
    '[aliases]\n"a b" = ["openai/gpt-5-mini"]': "aliases.\"a b\": 'a b' is no alias",
    "[mcp.docs]\n": "mcp.docs.url: is missing",
    '[mcp.docs]\nurl = "https://x.example"\napproval = "alwys"': "mcp.docs.approval: Input should be 'always'",
    '[mcp."1st"]\nurl = "https://x.example"': "mcp.1st: '1st' is no server's label",
    "[tools.weather]\n": "tools.weather.function: is missing",
    '[tools.weather]\nfunction = "f"\nbackend = "brave"': "tools.weather.backend: there is no such field",
    '[tools.web_search]\nbackend = "bing"': "tools.web_search.backend: Input should be 'brave', 'tavily'",
    '[tools.web_search]\nbackend = "brave"\nkey = "literal"': "tools.web_search.key: a secret is not kept in this file",
    "[keys.app]\nusd_per_day = -1": "keys.app.usd_per_day: US dollars, such as 2.50",
    "[keys.app]\nconcurrent = 1001": "keys.app.concurrent: Input should be less than or equal to 1000",
    '[keys.app]\nexpires = "soon"': "keys.app.expires: a number and h, d, w or y, such as 90d, or a date",
    '[keys.app]\nreasoning = "none"': "keys.app.reasoning: Input should be 'summary' or 'encrypted'",
    '[keys.app]\nkey = "or_literal"': "keys.app.key: there is no such field",
    "[tenants.Acme]\n": "tenants.Acme: a tenant is 1 to 63 of a-z, 0-9 and -",
    "[prompts.greet]\ninstruction = 'Hi'": "prompts.greet.instruction: there is no such field; did you mean",
    "[prompts.greet]\ninstructions = 5": "prompts.greet: 'instructions' must be a string",
    "providers = 5": "providers: must be a table",
    '[providers]\nopenai = "x"': "providers.openai: must be a table",
    "[mcp.docs]\nurl = 5": "mcp.docs.url: must be a text, in quotes",
}
"""What no file may say, and what is told of it: the schema that editors read refuses it, too."""
MEANINGS = {
    "[providers.openai]\n": 'providers.openai.api_key: is missing: OpenAI wants one, such as api_key = "$',
    '[providers.opnai]\napi_key = "$K"': "providers.opnai: no preset has this name (did you mean providers.openai?)",
    '[providers.x]\ndialect = "chat_completions"\nbase_url = "no"': "providers.x",
    '[providers.x]\npreset = "ollama"\noptions = {vendr = 1}': "providers.x.options.vendr: there is no such field",
    '[providers.offline]\ndialect = "offline"': "providers.offline: offline is built in",
    '[providers.x]\ndialect = "anthropic"\nprices = {"*" = {input = "a", output = 1}}': "providers.x.prices",
    '[mcp.docs]\nurl = "http://mcp.example.com"': "mcp.docs.url: it begins with https://",
    '[mcp.docs]\nurl = "https://x.example"\nheaders = {Host = "x"}': "mcp.docs.headers: Host is set by this server",
    '[tools.web_search]\nbackend = "searxng"': "tools.web_search: searxng needs a base_url",
    '[tools.weather]\nfunction = "f"\ntimeout = 301': "tools.weather.timeout: it is 300 seconds at most",
    '[tools."a.b"]\nfunction = "f"': "tools.\"a.b\": 'a.b' is no name of a tool",
    "[prompts.greet]\n": "prompts.greet: a prompt has instructions, input, or both",
    '[prompts.greet]\nfile = "none.yaml"': "prompts.greet.file: ",
    '[prompts.greet]\nfile = "none.yaml"\nmodel = "x"': "prompts.greet.file: it says all of the prompt",
    '[keys.app]\nmodels = ["two words"]': "keys.app: models are names without spaces",
    '[keys.app]\nusd_per_day = "a lot"': "keys.app.usd_per_day: US dollars, such as 2.50",
    '[aliases]\nfast = ["$UNSET/x"]': "aliases.fast.0: $UNSET is set neither in the environment nor in .env",
    '[mcp.docs]\nurl = "https://x.example/${UNSET:-a}"': "mcp.docs.url: ${UNSET:-a} names no variable",
}
"""What only the commands' code finds."""
