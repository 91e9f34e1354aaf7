"""The `openresponses` command: what it takes, and nothing of what it does."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from openresponses_dev.cli.commands import add_commands
from openresponses_dev.local.address import DEV_PORT, KEY_OF_EVENTS


def main() -> None:
    arguments = _parser().parse_args()
    try:
        status = arguments.run(arguments)
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:  # such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)


def _between(low: int, high: int) -> Callable[[str], int]:
    def number(value: str) -> int:
        if not value.isdecimal() or not low <= int(value) <= high:
            raise argparse.ArgumentTypeError(f"{value} is not a number between {low} and {high}")
        return int(value)

    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="openresponses", description="A serverless Open Responses server: run it locally, and set it up anywhere."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _dev(commands.add_parser("dev", help="run the template: its functions behind a streaming API gateway"))
    _invoke(commands.add_parser("invoke", help="run one invocation of a function and print its answer"))
    _chat(commands.add_parser("chat", help="talk to a server in the terminal"))
    add_commands(commands)
    return parser


def _template(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--template", type=Path, default=Path("template.yaml"), metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="variable of every function")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help="NAME=VALUE lines, as for --env, which wins")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE", help="template parameter")
    parser.add_argument(
        "--providers", type=Path, metavar="FILE", help="JSON, a provider's settings by its name; put into the local SSM"
    )
    parser.add_argument(
        "--alias", action="append", default=[], metavar="NAME=TARGET,...", help="a model's alias, as provider/model,..."
    )
    parser.add_argument("--raw-logs", action="store_true", help="show what functions print as it is")
    parser.add_argument("--log-file", type=Path, metavar="FILE", help="append all that is logged, unshortened")


def _dev(parser: argparse.ArgumentParser) -> None:
    _template(parser)
    parser.add_argument(
        "--port", type=_between(0, 65535), default=DEV_PORT, help="0 is any free one (default: %(default)s)"
    )
    parser.add_argument("--api-key", metavar="KEY", help="the key clients have to send (default: a random one)")
    parser.add_argument(
        "--concurrency", type=_between(1, 1000), default=10, metavar="N", help="sandboxes a function may have"
    )
    parser.add_argument("--no-reload", dest="reload", action="store_false", help="leave sandboxes when source changes")

    def run(arguments: argparse.Namespace) -> int:
        from openresponses_dev.cli.dev import dev

        return dev(arguments)

    parser.set_defaults(run=run)


def _invoke(parser: argparse.ArgumentParser) -> None:
    _template(parser)
    parser.add_argument("function", metavar="FUNCTION", help="its logical id in the template")
    parser.add_argument("--event", required=True, metavar="FILE", help="the event, JSON; - is standard input")
    parser.add_argument(
        "--api-key", default=KEY_OF_EVENTS, metavar="KEY", help="a key that is valid (default: %(default)s)"
    )
    parser.add_argument(
        "--rie", action="store_true", help="through the Lambda Runtime Interface Emulator of aws-sam-cli"
    )

    def run(arguments: argparse.Namespace) -> int:
        from openresponses_dev.cli.invoke import invoke

        return invoke(arguments)

    parser.set_defaults(run=run)


def _chat(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="*", help="ask this and leave; without it, a conversation")
    parser.add_argument("--model", default="offline/demo", help="default: %(default)s")
    parser.add_argument("--tool", action="append", default=[], metavar="TYPE", help="such as serverless:calculator")
    parser.add_argument("--instructions", metavar="TEXT")
    parser.add_argument("--base-url", default=os.environ.get("OPENAI_BASE_URL"), help="default: $OPENAI_BASE_URL")
    parser.add_argument("--api-key", default=os.environ.get("OPENAI_API_KEY"), help="default: $OPENAI_API_KEY")

    def run(arguments: argparse.Namespace) -> int:
        from openresponses_dev.cli.chat import chat

        return chat(arguments)

    parser.set_defaults(run=run)


if __name__ == "__main__":
    main()
