"""`uv run python -m tests.bench [server|durable|cache|peers|all]`: prints the tables, exits with 1 where a goal is
missed."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import cached, cost, durable, measures, page
from tests.bench.cost import Bill
from tests.bench.figures import Figure, Machine, table
from tests.bench.peers import compare
from tests.bench.peers.servers import RESPONSES_JS_SOURCE, servers
from tests.bench.sandbox import REPO

parser = argparse.ArgumentParser(
    prog="tests.bench",
    description="What the server costs. `server` takes about two minutes, `durable` about six, `cache` seconds. `all` "
    "is these three. `peers` installs other servers first, and takes about five.",
)
parser.add_argument("what", nargs="?", choices=("server", "durable", "cache", "peers", "all"), default="server")
parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the tables into this page: docs/figures.md")
parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a tenth of the rounds")
parser.add_argument("--only", metavar="NAME", help="of the peers: those whose name contains this")
parser.add_argument(
    "--responses-js", metavar="URL", default=RESPONSES_JS_SOURCE, help="where its repository is cloned from"
)
arguments = parser.parse_args()


async def of_durability(scale: float) -> tuple[list[Figure], list[list[Bill]]]:
    async with durable.cloud() as (it, http):
        bills = await cost.everything(it, http)
        return await durable.everything(it, http, scale), bills


machine, today = Machine.here(), datetime.now(UTC).date()
if arguments.what == "peers":
    chosen = [each for each in servers(arguments.responses_js) if (arguments.only or "") in each.name]
    rows = asyncio.run(compare.everything(chosen, REPO / "build/peers", arguments.scale))
    text = compare.table(machine, rows, today)
    if arguments.write:
        page.write(arguments.write, "peers", text)
    print(json.dumps([row.document() for row in rows], indent=2) if arguments.json else text)
    sys.exit()
if arguments.what in ("cache", "all"):
    shares = asyncio.run(cached.table())
    if arguments.write:
        page.write(arguments.write, "cache", shares)
    if arguments.what == "cache":
        print(shares)
        sys.exit()
of_server, of_storage, bills = list[Figure](), list[Figure](), list[list[Bill]]()
if arguments.what != "durable":
    of_server = asyncio.run(measures.everything(arguments.scale))
    if arguments.write:
        page.write(arguments.write, "server", page.figures(machine, of_server, today))
if arguments.what != "server":
    of_storage, bills = asyncio.run(of_durability(arguments.scale))
    if arguments.write:
        page.write(arguments.write, "durable", page.durability(machine, of_storage, bills, today))
figures = of_server + of_storage
if arguments.json:
    costs = [{**asdict(bill), "usd": bill.usd()} for each in bills for bill in each]
    document = {"machine": machine.document(), "figures": [figure.document() for figure in figures], "costs": costs}
    print(json.dumps(document, indent=2))
else:
    print(table(machine, figures))
    if bills:
        print(f"\n{cost.table(*bills)}")
sys.exit(any(figure.passed is False for figure in figures))
