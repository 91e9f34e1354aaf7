"""`uv run python -m tests.bench [server|durable|all]`: prints the tables, exits with 1 where a goal is missed."""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict

from tests.bench import cost, durable, measures
from tests.bench.cost import Bill
from tests.bench.figures import Figure, Machine, table

parser = argparse.ArgumentParser(
    prog="tests.bench", description="What the server costs. `server` takes about two minutes, `durable` about six."
)
parser.add_argument("what", nargs="?", choices=("server", "durable", "all"), default="server")
parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a tenth of the rounds")
arguments = parser.parse_args()


async def of_durability(scale: float) -> tuple[list[Figure], list[list[Bill]]]:
    async with durable.cloud() as (it, http):
        bills = await cost.everything(it, http)
        return await durable.everything(it, http, scale), bills


machine = Machine.here()
figures, bills = list[Figure](), list[list[Bill]]()
if arguments.what != "durable":
    figures += asyncio.run(measures.everything(arguments.scale))
if arguments.what != "server":
    more, bills = asyncio.run(of_durability(arguments.scale))
    figures += more
if arguments.json:
    costs = [{**asdict(bill), "usd": bill.usd()} for each in bills for bill in each]
    document = {"machine": machine.document(), "figures": [figure.document() for figure in figures], "costs": costs}
    print(json.dumps(document, indent=2))
else:
    print(table(machine, figures))
    if bills:
        print(f"\n{cost.table(*bills)}")
sys.exit(any(figure.passed is False for figure in figures))
