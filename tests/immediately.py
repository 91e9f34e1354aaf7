"""Awaiting from where there is no loop, or where one runs already: for coroutines that never have to wait."""

from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def immediately(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise AssertionError("it had to wait")
