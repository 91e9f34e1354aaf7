"""Importing moto without EC2, whose lists of regions and of types of instances take half of the time."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

_EC2, _BATCH = "moto.ec2", "moto.batch"


class _Ec2Backends:
    """Those of moto, which are imported when somebody asks for one: of SSM, SendCommand alone does."""

    def __getitem__(self, account: str) -> Any:
        return import_module(_EC2).ec2_backends[account]


@contextmanager
def without_ec2() -> Generator[None]:
    """Modules that are imported within get stand-ins for two packages of moto: EC2, and Batch, which imports EC2. Step
    Functions takes a list of states from a module of Batch. Whoever imports them later gets moto's own.
    """
    ec2, batch = ModuleType(_EC2), ModuleType(_BATCH)
    vars(ec2)["ec2_backends"] = _Ec2Backends()
    batch.__path__ = [str(Path(folder) / "batch") for folder in import_module("moto").__path__]
    stand_ins = {name: module for name, module in ((_EC2, ec2), (_BATCH, batch)) if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
