"""What the commands of this package take on the command line, and nothing of what they do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias

from openresponses_dev.local.address import DEV_URL
from openresponses_dev.manage.problems import Problem, tell

# argparse has no public name for it.
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
_WHERE = "On AWS by your own credentials, or in the local cloud with --local."


def add_commands(commands: Subcommands) -> None:
    _providers(_group(commands, "providers", "the model providers of a deployment"))
    _models(_group(commands, "models", "aliases that stand for models"))
    _keys(_group(commands, "keys", "the keys of clients"))
    _doctor(commands)


def _group(commands: Subcommands, name: str, about: str) -> Subcommands:
    return commands.add_parser(name, help=about, description=f"{about.capitalize()}. {_WHERE}").add_subparsers(
        required=True, metavar="ACTION"
    )


def _providers(actions: Subcommands) -> None:
    presets = actions.add_parser("presets", help="list the providers that `set` knows by name")
    presets.set_defaults(run=_imported("providers", "show_presets"))

    put = _action(actions, "set", "providers.set_provider", "add a provider, or replace it", _SECRETS)
    put.add_argument("name", metavar="NAME", help="how models name it, NAME/model; a preset's name needs no more")
    put.add_argument("--preset", metavar="NAME", help="of a well-known provider, where NAME is another")
    put.add_argument("--dialect", metavar="DIALECT", help="the wire that it speaks")
    put.add_argument("--base-url", metavar="URL")
    put.add_argument(
        "--model", action="append", default=[], metavar="MODEL", help="listed by GET /v1/models; repeat it"
    )
    put.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="a switch of the dialect")
    put.add_argument("--header", action="append", default=[], metavar="NAME", help="its value is read like the key")
    put.add_argument(
        "--key", action=argparse.BooleanOptionalAction, help="whether to read an API key (default: as the preset says)"
    )
    for name, default in {"connect": 10, "first-byte": 120, "idle": 60}.items():
        put.add_argument(f"--{name}-timeout", type=float, metavar="SECONDS", help=f"default: {default}")
    put.add_argument("--retries", type=int, metavar="N", help="of a request that it did not begin to answer")
    put.add_argument("--json", action="store_true", help="read the whole document from standard input instead")

    _action(actions, "list", "providers.list_providers", "list them, without their secrets")
    test = _action(actions, "test", "providers.test_provider", "ask one for a few words, from this machine")
    test.add_argument("name", metavar="NAME")
    test.add_argument("--model", metavar="MODEL", help="the provider's own name of it (default: one that is known)")
    remove = _action(actions, "remove", "providers.remove_provider", "remove one, with its key")
    remove.add_argument("name", metavar="NAME")


def _models(actions: Subcommands) -> None:
    alias = _action(actions, "alias", "models.set_alias", "let a name stand for targets, the first choice first")
    alias.add_argument("name", metavar="NAME")
    alias.add_argument("targets", nargs="+", metavar="TARGET", help="provider/model")
    _action(actions, "list", "models.list_models", "list the aliases")
    remove = _action(actions, "remove", "models.remove_alias", "remove an alias")
    remove.add_argument("name", metavar="NAME")


def _keys(actions: Subcommands) -> None:
    create = _action(actions, "create", "keys.create_key", "make a key; it is printed once and kept nowhere", _EXPORT)
    create.add_argument("--tenant", required=True, metavar="TENANT", help="whose responses it reads and writes")
    create.add_argument("--name", default="", metavar="TEXT", help="for your own list")
    create.add_argument(
        "--models", nargs="+", default=[], metavar="PATTERN", help="provider/model, alias, or openai/* (default: all)"
    )
    create.add_argument("--expires", metavar="SPAN", help="such as 12h, 90d, 8w, 1y (default: never)")
    create.add_argument(
        "--reasoning",
        choices=("summary", "encrypted"),
        default="",
        help="the most that is shown of a model's reasoning (default: all)",
    )
    _action(actions, "list", "keys.show_keys", "list them, without their secrets")
    revoke = _action(actions, "revoke", "keys.revoke", "let a key in no more")
    revoke.add_argument("id", metavar="ID", help="as `keys list` shows it")


def _doctor(commands: Subcommands) -> None:
    parser = commands.add_parser(
        "doctor", help="check a deployment", description=f"Check a deployment, and say what mends it. {_WHERE}"
    )
    parser.add_argument("--live", action="store_true", help="ask each provider for a few words, too")
    _deployment(parser)
    parser.set_defaults(run=_imported("doctor.doctor", "doctor"))


_SECRETS = """\
The API key, and the values of --header in their order, are read from a prompt, or from standard input, a line each:
  openresponses providers set openai
  echo "$KEY" | openresponses providers set mine --dialect chat_completions --base-url https://llm.example/v1
  echo '{"dialect": ..., "api_key": ...}' | openresponses providers set mine --json"""
_EXPORT = """\
Standard output is the key alone:
  export OPENAI_API_KEY=$(openresponses keys create --tenant default)"""


def _action(actions: Subcommands, name: str, does: str, about: str, more: str = "") -> argparse.ArgumentParser:
    """An action on a deployment. `does` is its module and function."""
    parser = actions.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}. {_WHERE}",
        epilog=more,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _deployment(parser)
    parser.set_defaults(run=_on_deployment(_imported(*does.split("."))))
    return parser


def _deployment(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which deployment")
    group.add_argument(
        "--local",
        nargs="?",
        const=DEV_URL,
        type=_url,
        metavar="URL",
        help=f"the local cloud, at {DEV_URL} unless you name it",
    )
    group.add_argument("--stack", metavar="NAME", help="its stack on AWS (default: samconfig.toml's, or openresponses)")
    group.add_argument("--region", metavar="REGION", help="default: as the AWS CLI chooses it")
    group.add_argument("--profile", metavar="PROFILE", help="of your AWS configuration")


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text} is no URL; --local without one comes last")
    return text.rstrip("/").removesuffix("/v1")  # as OPENAI_BASE_URL has it


def _imported(module: str, function: str) -> Callable[..., int]:
    """What imports its module when it is called: that takes a second."""

    def call(*arguments: object) -> int:
        command: Callable[..., int] = getattr(import_module(f"openresponses_dev.manage.{module}"), function)
        return command(*arguments)

    return call


def _on_deployment(command: Callable[..., int]) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        from openresponses_dev.manage.deployment import deployment_of

        try:
            return command(deployment_of(arguments), arguments)
        except Problem as problem:
            return tell(problem)

    return run
