"""How long what a client fills may be. What a model fills too has no limit here: it must be read again once it is kept.

The whole body has a budget as well: see `parsing.budget`.
"""

MAX_ITEMS = 8192
"""Items of an input. OpenAI documents no number: a conversation of thousands of items is one that real clients hold."""
MAX_ADDED = 20
"""Items that are added to a conversation at once (openai.types.conversations.ConversationCreateParams)."""
MAX_REFERRED = 1024
"""Responses to whose items an input refers. Clients that store their items send a reference for each of them."""
MAX_TOOLS = 1024
"""Tools of a request. OpenAI takes 128 ("array too long. Expected an array with maximum length 128"); Codex puts those
of many MCP servers into namespaces, and other providers take more than OpenAI."""
MAX_PARTS = 2048
"""Parts of what a tool or an agent of the client says."""
MAX_INCLUDED = 64
"""Words of `include`. OpenAI has eight (openai.types.responses.ResponseIncludable)."""
MAX_APPROVALS = 100
"""Calls that a request approves: as many items as DynamoDB writes at once (TransactWriteItems)."""
MAX_HEADERS = 64
"""Headers that a client has sent to an MCP server."""
MAX_SECRET = 16_384
"""Characters of a header's value, and of a token: OAuth access tokens with many claims have some thousands."""
MAX_URL = 8_192
"""Characters of a URL: what servers take ("at least 8000 octets", RFC 9110, 4.1)."""
MAX_WEBHOOK_URL = 2_048
"""Characters of where events are sent. All of a tenant's endpoints are one item of 400 KB at most."""
MAX_EVENT_TYPES = 32
"""Types that an endpoint names. OpenAI has 27 (openai.types.webhooks.WebhookCreateParams)."""
MAX_DOMAINS = 100
"""Domains that a search is limited to ("up to 100 URLs", the web search guide at developers.openai.com)."""
MAX_PREFERENCES = 16
"""Providers that a request names."""
MAX_VARIABLES = 256
"""Variables of a prompt that a request fills. OpenAI documents no number."""
MAX_ID = 2048
"""Characters of an id. OpenAI takes 64, and others make longer ones, which their clients send back: 1,760 characters
in github/app#499."""
MAX_MODEL = 2048
"""Characters of a model's name. Bedrock's are the longest: 2,048 (`modelId` in botocore's bedrock-runtime)."""
MAX_FILENAME = 1024
"""Characters of a file's name. Most file systems take 255 bytes, and S3 keys have 1,024."""
MAX_NAME = 256
"""Characters of any other name. OpenAI takes 64 or 128."""
MAX_SEALED = 10_485_760
"""Characters of a compaction item's `encrypted_content` (the standard's `CompactionSummaryItemParam`)."""
MAX_MANAGED = 16
"""Entries of `context_management`. OpenAI has one kind."""
MAX_COUNT = 2**31 - 1
"""Of tokens, calls, or events: the most that vendors' fields of 32 bits hold."""
