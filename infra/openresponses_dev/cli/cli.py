"""The `openresponses` command: which commands there are. The module of a command is imported when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from errno import ENOSPC
from io import TextIOWrapper
from itertools import count
from typing import TextIO

from cyclopts import App, CycloptsError, Group, Parameter

from openresponses_dev.cli import examples
from openresponses_dev.local.command_line import told_apart
from openresponses_dev.manage.problems import Problem, fail, tell

_RUN, _CONFIGURE, _LOOK_AFTER = (
    Group(name, sort_key=place) for place, name in enumerate(("Run", "Configure", "Look after"))
)
_places = count()
_INTERRUPTED = 130
"""What a shell gives a program that Ctrl-C ended."""


def _version() -> str:
    from importlib.metadata import version  # here, since it imports much

    return version("openresponses")


app = App(
    name="openresponses",
    help="A serverless Open Responses server: run it locally, and set it up anywhere.",
    help_format="plaintext",
    version=_version,
    default_parameter=Parameter(
        negative=(), allow_repeating=True, show_default=lambda default: str(default) if default else None
    ),
    group_commands=Group("About"),
)
app.register_install_completion_command(  # pyright: ignore[reportUnknownMemberType]
    help="Let the shell complete commands and options."
)


def _command(of: App, name: str, does: str, about: str, group: Group | None = None, more: str = "") -> None:
    """`does` is the module and the function, below this package."""
    of.command(
        f"openresponses_dev.{does}",
        name=name,
        help=about,
        group=group,
        help_epilogue=examples.typed(more),
        sort_key=next(_places),
    )


def _commands(name: str, about: str, group: Group = _CONFIGURE) -> App:
    """A command whose first word says what to do."""
    commands = App(
        name=name,
        help=about,
        group=group,
        group_commands=Group("Commands"),
        sort_key=next(_places),
        version_flags=(),
    )
    app.command(commands)
    return commands


_command(app, "init", "manage.init:init", "Make a project of your own: tools, models, tests, deployment.", _RUN)
_command(app, "dev", "cli.dev:dev", "Run the template: its functions behind a streaming API gateway.", _RUN)
_command(app, "chat", "cli.chat.command:chat", "Talk to a server in the terminal.", _RUN)
_command(app, "invoke", "cli.invoke:invoke", "Run one invocation of a function and print its answer.", _RUN)

_providers = _commands("providers", "The model providers of a deployment.")
_command(_providers, "presets", "manage.providers:show_presets", "List the providers that `set` knows by name.")
_command(_providers, "set", "manage.providers:set_provider", "Add a provider, or replace it.", more=examples.SECRETS)
_command(_providers, "list", "manage.providers:list_providers", "List them, without their secrets.")
_command(_providers, "test", "manage.providers:try_provider", "Ask one for a few words, from this machine.")
_command(_providers, "remove", "manage.providers:remove_provider", "Remove one, with its key.")

_models = _commands("models", "Aliases that stand for models.")
_command(_models, "alias", "manage.models:set_alias", "Let a name stand for targets, the first choice first.")
_command(_models, "list", "manage.models:list_models", "List the aliases.")
_command(_models, "remove", "manage.models:remove_alias", "Remove an alias.")

_mcp = _commands("mcp", "The MCP servers that requests name by their label.")
_command(_mcp, "set", "manage.mcp:set_server", "Add a server, or replace it.", more=examples.HEADERS)
_command(_mcp, "list", "manage.mcp:list_servers", "List them, without their secrets.")
_command(_mcp, "test", "manage.mcp:try_server", "Ask one for its tools, or call one, from this machine.")
_command(_mcp, "remove", "manage.mcp:remove_server", "Remove one, with its secrets.")

_traces = _commands("traces", "The OpenTelemetry collector that is sent what responses took.")
_command(_traces, "set", "manage.traces:set_headers", "Set the headers that it wants.", more=examples.COLLECTOR)
_command(_traces, "remove", "manage.traces:remove_headers", "Remove them.")

_tools = _commands("tools", "The tools that the server runs.")
_command(_tools, "set", "manage.tools:set_tool", "Choose the service that searches the web.", more=examples.SEARCH)
_command(_tools, "list", "manage.tool_list:list_tools", "List them: files, Lambda functions, and web search.")
_command(
    _tools, "add", "manage.tool_add:add_tool", "Begin a file, or make a Lambda function a tool.", more=examples.ADD
)
_command(_tools, "test", "manage.tool_trial:try_tool", "Call one, and show what the model reads.", more=examples.CALL)
_command(_tools, "remove", "manage.tools:remove_tool", "Remove one.")
_command(_tools, "answer", "manage.answers:answer", "Answer a call that waits for it.")

_prompts = _commands("prompts", "The prompts that requests may begin with.")
_command(_prompts, "set", "manage.prompts:set_prompt", "Add a prompt, or a new version of it.", more=examples.PROMPT)
_command(_prompts, "list", "manage.prompts:list_prompts", "List a tenant's, with their newest versions.")
_command(_prompts, "remove", "manage.prompts:remove_prompt", "Remove one, with all its versions.")

_webhooks = _commands("webhooks", "Where events are sent: how a tenant's responses ended.")
_command(
    _webhooks,
    "create",
    "manage.webhooks:create_endpoint",
    "Add an endpoint; its secret is printed once.",
    more=examples.HOOK,
)
_command(_webhooks, "list", "manage.webhooks:list_endpoints", "List a tenant's, with how many events were given up.")
_command(_webhooks, "test", "manage.webhooks:try_endpoint", "Send one a test event, from this machine.")
_command(_webhooks, "rotate", "manage.webhooks:rotate_secret", "Make a new secret; the old one is good for a day.")
_command(_webhooks, "remove", "manage.webhooks:remove_endpoint", "Remove one.")
_command(_webhooks, "dead", "manage.webhooks:list_dead", "List the events that were given up, the newest first.")

_keys = _commands("keys", "The keys of clients.")
_command(
    _keys, "create", "manage.keys:create_key", "Make a key; it is printed once and kept nowhere.", more=examples.EXPORT
)
_command(_keys, "list", "manage.keys:show_keys", "List them, without their secrets.")
_command(_keys, "limit", "manage.limits:limit_key", "Set or lift limits of a key.", more=examples.LIMITS)
_command(_keys, "revoke", "manage.keys:revoke", "Revoke a key.")

_tenants = _commands("tenants", "Whose responses they are.")
_command(
    _tenants, "limit", "manage.limits:limit_tenant", "Set or lift limits of all keys together.", more=examples.LIMITS
)
_command(_tenants, "list", "manage.limits:list_tenants", "List those that have keys.")

_command(
    app,
    "apply",
    "manage.project.apply:apply",
    "Bring a deployment to what openresponses.toml says.",
    _CONFIGURE,
    more=examples.NEW_KEYS,
)

_responses = _commands("responses", "What was answered: the stored responses of a tenant.", _LOOK_AFTER)
_command(_responses, "list", "manage.responses.commands:list_responses", "List a tenant's, the newest first.")
_command(_responses, "show", "manage.responses.commands:show_response", "Show one: its turns, its calls and its items.")
_command(_responses, "tail", "manage.responses.commands:tail_response", "Follow the events of one, until it is over.")
_command(_responses, "cancel", "manage.responses.commands:cancel_response", "Stop one, wherever it runs.")

_command(app, "logs", "manage.logs.commands:logs", "Follow what the functions of a deployment print.", _LOOK_AFTER)
_command(app, "usage", "manage.usage:show_usage", "Show what was used, and what it cost.", _LOOK_AFTER)
_command(app, "prices", "manage.prices:show_prices", "Show what models cost, and who says so.", _LOOK_AFTER)
_command(app, "doctor", "manage.doctor.doctor:doctor", "Check a deployment, and say what mends it.", _LOOK_AFTER)


def main(words: Sequence[str] | None = None) -> None:
    """Does what `words` say, or the command line, and exits."""
    _write_all_letters(sys.stdout)
    try:
        words = told_apart(sys.argv[1:] if words is None else words)
        status = app(words, result_action="return_value", exit_on_error=False, print_error=False)
    except CycloptsError as error:
        status = fail(error, " ".join((*(error.command_chain or ()), "--help")))
    except Problem as problem:
        status = tell(problem)
    except KeyboardInterrupt:
        status = _INTERRUPTED
    except BrokenPipeError:  # such as `| head`
        _let_go(sys.stdout)
        status = 1
    except OSError as error:
        if error.errno != ENOSPC:
            raise
        _let_go(sys.stdout)
        status = tell(Problem(f"what was to be written has no place: {error.strerror}"))
    try:
        sys.stderr.flush()
    except OSError:  # a full disk, say: what was done is done, and no failure for want of a line about it
        _let_go(sys.stderr)
    sys.exit(status)


def _write_all_letters(out: TextIO) -> None:
    """Those that the terminal's encoding lacks are written out, as Python does for standard error."""
    if isinstance(out, TextIOWrapper):
        out.reconfigure(errors="backslashreplace")


def _let_go(stream: TextIO) -> None:
    """What is left to be written goes nowhere, or Python would end with a status of its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
