"""Imports the tools of a function, in its environment: what is wrong with one is logged. A script."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys


async def main() -> None:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    from openresponses.entry.compose import tool_files
    from openresponses.entry.settings import aws_settings_from
    from openresponses.schema.tools import HostedTool
    from openresponses.toolbox.source import ToolMisconfigured

    for files in tool_files(aws_settings_from(os.environ)):
        for name in files.names:
            with contextlib.suppress(ToolMisconfigured):  # it is logged
                await files.offer(HostedTool(type=f"serverless:{name}"))


if __name__ == "__main__":
    asyncio.run(main())
