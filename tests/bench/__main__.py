"""`uv run python -m tests.bench [server|durable|sockets|limits|cache|peers|all]`: prints the tables, exits with 1 where
a goal is missed."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import cached, chains, cold, cost, durable, hot, limited, measures, page, side_by_side, sockets
from tests.bench.cost import Bill
from tests.bench.figures import Figure, Machine, table
from tests.bench.peers import compare
from tests.bench.peers.servers import RESPONSES_JS_SOURCE, servers
from tests.bench.sandbox import REPO, Checkout, checkout

parser = argparse.ArgumentParser(
    prog="tests.bench",
    description="What the server costs. `server` takes about two minutes, `durable` about six, `sockets` and "
    "`limits` one each, `cache` seconds. `all` is these five. `peers` installs other servers first: about five.",
)
parser.add_argument(
    "what", nargs="?", choices=("server", "durable", "sockets", "limits", "cache", "peers", "all"), default="server"
)
parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the tables into this page: docs/figures.md")
parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a tenth of the rounds")
parser.add_argument(
    "--baseline", type=checkout, metavar="DIR", help="a checkout of an earlier version, with its own .venv"
)
parser.add_argument("--only", metavar="NAME", help="of the peers: those whose name contains this")
parser.add_argument(
    "--responses-js", metavar="URL", default=RESPONSES_JS_SOURCE, help="where its repository is cloned from"
)
arguments = parser.parse_args()


def note(baseline: Checkout | None) -> str:
    if baseline is None:
        return "Nothing is compared with an earlier version: no `--baseline` was given."
    return f"`{baseline.version}` is that commit, in turns with ours."


async def of_server(scale: float, baseline: Checkout | None) -> list[Figure]:
    return [
        *await cold.rows(scale),
        *await hot.rows(scale),
        *await measures.everything(scale),
        *await side_by_side.plain(max(1, round(10 * scale)), baseline),
    ]


async def of_sockets() -> list[list[Bill]]:
    async with durable.cloud() as (it, http):
        return await sockets.everything(it, http)


async def of_limits(scale: float) -> list[Figure]:
    async with durable.cloud() as (it, _):
        return await limited.rows(it, scale)


async def of_durability(scale: float, baseline: Checkout | None) -> tuple[list[Figure], list[list[Bill]]]:
    loops = await side_by_side.loop(max(1, round(9 * scale)), baseline)
    async with durable.cloud() as (it, http):
        bills = await cost.everything(it, http)
        rows = [*loops, *cost.rows(bills[-1]), *await durable.everything(it, http, scale)]
        return [*rows, *await chains.rows(it, http, scale)], bills  # last: the table is full then


machine, today = Machine.here(), datetime.now(UTC).date()
if arguments.what == "peers":
    chosen = [each for each in servers(arguments.responses_js) if (arguments.only or "") in each.name]
    compared = asyncio.run(compare.everything(chosen, REPO / "build/peers", arguments.scale))
    text = compare.table(machine, compared, today)
    if arguments.write:
        page.write(arguments.write, "peers", text)
    print(json.dumps([row.document() for row in compared], indent=2) if arguments.json else text)
    sys.exit()
if arguments.what in ("sockets", "all"):
    turns = sockets.table(asyncio.run(of_sockets()))
    if arguments.write:
        page.write(arguments.write, "sockets", f"{page.about(machine, today)}\n\n{turns}")
    if arguments.what == "sockets":
        print(turns)
        sys.exit()
if arguments.what in ("limits", "all"):
    rows = asyncio.run(of_limits(arguments.scale))
    if arguments.write:
        page.write(arguments.write, "limits", page.figures(machine, rows, today))
    if arguments.what == "limits":
        print(table(machine, rows))
        sys.exit(any(figure.passed is False for figure in rows))
if arguments.what in ("cache", "all"):
    shares = asyncio.run(cached.table())
    if arguments.write:
        page.write(arguments.write, "cache", shares)
    if arguments.what == "cache":
        print(shares)
        sys.exit()
baseline, told = arguments.baseline, note(arguments.baseline)
figures, bills = list[Figure](), list[list[Bill]]()
if arguments.what != "durable":
    rows = asyncio.run(of_server(arguments.scale, baseline))
    if arguments.write:
        page.write(arguments.write, "server", page.figures(machine, rows, today, told))
    figures += rows
if arguments.what != "server":
    rows, bills = asyncio.run(of_durability(arguments.scale, baseline))
    if arguments.write:
        page.write(arguments.write, "durable", page.durability(machine, rows, bills, today, told))
    figures += rows
if arguments.json:
    costs = [{**asdict(bill), "usd": bill.usd()} for each in bills for bill in each]
    document = {"machine": machine.document(), "figures": [figure.document() for figure in figures], "costs": costs}
    print(json.dumps(document, indent=2))
else:
    print(f"{table(machine, figures)}\n\n{told}")
    if bills:
        print(f"\n{cost.table(*bills)}")
sys.exit(any(figure.passed is False for figure in figures))
