"""Imports the tools of a function, in its environment: what is wrong with one is logged. A script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys


async def main() -> None:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    from openresponses.schema.tools import HostedTool
    from openresponses.toolbox.files import ToolFiles
    from openresponses.toolbox.own_files import own_files
    from openresponses.toolbox.source import ToolMisconfigured

    own = os.environ.get("OPENRESPONSES_TOOLS", "")
    for files in (ToolFiles(traced=True), *([own_files(own, traced=True)] if own else [])):
        for name in files.names:
            with contextlib.suppress(ToolMisconfigured):  # it is logged
                await files.offer(HostedTool(type=f"serverless:{name}"))


if __name__ == "__main__":
    asyncio.run(main())
