"""`uv run python -m tests.bench`: prints the table, exits with 1 where a goal is missed."""

import argparse
import asyncio
import json
import sys

from tests.bench.figures import Machine, table
from tests.bench.measures import everything

parser = argparse.ArgumentParser(prog="tests.bench", description="What the server costs. Takes about two minutes.")
parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a tenth of the rounds")
arguments = parser.parse_args()

machine = Machine.here()
figures = list(asyncio.run(everything(arguments.scale)))
if arguments.json:
    document = {"machine": machine.document(), "figures": [figure.document() for figure in figures]}
    print(json.dumps(document, indent=2))
else:
    print(table(machine, figures))
sys.exit(any(figure.passed is False for figure in figures))
