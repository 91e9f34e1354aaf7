"""The registry that AWS's Python runtime brings along, with hooks that a test chooses by HOOKS."""

import os


def hook(name):
    print(name, flush=True)
    if name == os.environ.get("FAILING_HOOK"):
        raise RuntimeError(f"{name} failed")


def get_before_snapshot():
    return [(hook, ("before 1",), {}), (hook, (), {"name": "before 2"})]


def get_after_restore():
    return [(hook, ("after 1",), {}), (hook, ("after 2",), {})]
