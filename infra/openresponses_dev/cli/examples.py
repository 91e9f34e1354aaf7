"""What the help of a command shows beside its options: how it is typed."""

from __future__ import annotations

import re

from openresponses_dev.local.command_line import NAME, program


def typed(example: str) -> str:
    """With its commands as they are typed here."""
    return re.sub(rf"(?<![\w/]){NAME} ", f"{program()} ", example)


SECRETS = """\
The API key, and the values of --header in their order, are read from a prompt, or from standard input, a line each:

  openresponses providers set openai
  echo "$KEY" | openresponses providers set groq
  openresponses providers set mine --json <mine.json
"""
EXPORT = """\
Standard output is the key alone:

  export OPENAI_API_KEY=$(openresponses keys create --tenant default)
"""
LIMITS = """\
A limit that is not named stays as it is; `none` lifts one:

  openresponses keys limit KEY --usd-per-day 5 --requests-per-minute none
  openresponses tenants limit default --usd-per-month 100 --concurrent 20
"""
HEADERS = """\
The value of each --header is read from a prompt, or from standard input, a line each:

  openresponses mcp set docs https://mcp.example.com/mcp \\
    --header Authorization
"""
COLLECTOR = """\
The value of each header is read from a prompt, or from standard input, a line each:

  openresponses traces set Authorization
"""
SEARCH = """\
The API key is read from a prompt, or from standard input:

  openresponses tools set web_search --backend brave
  openresponses tools set web_search --backend searxng \\
    --base-url https://searxng.example.com
"""
PROMPT = """\
A prompt has fields of a request, such as:

  instructions: You answer for {{company}}, in {{language}}.
  input:
    - role: user
      content: Who are you?

  openresponses prompts set greet greet.yaml --tenant default
"""
HOOK = """\
Standard output is the signing secret alone:

  export OPENAI_WEBHOOK_SECRET=$(openresponses webhooks create \\
    https://hooks.example.com/openresponses --tenant default)
"""
NEW_KEYS = """\
Standard output has the new keys alone, each as NAME KEY; with --dry-run, the difference:

  openresponses apply --dry-run
  openresponses apply --yes >>new-keys.txt
"""
ADD = """\
  openresponses tools add weather
  openresponses tools add weather --function openresponses_tool_weather
"""
CALL = """\
A file runs on this machine, a Lambda function where it is deployed:

  openresponses tools test calculator '{"expression": "15 * 37"}'
  openresponses tools test web_search --query tides
"""
