"""SnapStart: what the app asked to be called before the snapshot and after each restore.

https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from .client import Client
from .faults import Fault, FaultError, log

Hook = tuple[Callable[..., object], tuple[Any, ...], dict[str, Any]]

BEFORE_SNAPSHOT_FAILED = 64  # the exit statuses of AWS's own runtimes
AFTER_RESTORE_FAILED = 65


async def snapshot_and_restore(client: Client) -> int:
    """Returns once the sandbox was restored, with 0, or with the exit status of a hook that failed."""
    before, after = _hooks()
    try:
        for func, args, kwargs in reversed(before()):
            func(*args, **kwargs)
        await client.restore_next()
    except Exception as error:
        await client.fail_init(_logged(error, "Runtime.BeforeSnapshotError"))
        return BEFORE_SNAPSHOT_FAILED
    try:
        for func, args, kwargs in after():
            func(*args, **kwargs)
    except Exception as error:
        await client.fail_restore(_logged(error, "Runtime.AfterRestoreError"))
        return AFTER_RESTORE_FAILED
    return 0


def _hooks() -> tuple[Callable[[], list[Hook]], Callable[[], list[Hook]]]:
    try:
        registry: Any = importlib.import_module("snapshot_restore_py")
    except ImportError:  # part of the managed runtime, and nowhere else unless the app brought it
        return list[Hook], list[Hook]
    return registry.get_before_snapshot, registry.get_after_restore


def _logged(error: Exception, type_: str) -> Fault:
    named = FaultError(type_, f"{type(error).__name__}: {error}")
    named.__cause__ = error
    fault = Fault.of(named)
    log("FATAL", "a SnapStart hook failed", fault)
    return fault
