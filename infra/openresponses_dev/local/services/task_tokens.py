"""The tokens of tasks that wait for an answer, over a restart. An execution that is started again comes to the same
task again: then the task has the token that it had, whoever was given that one is not asked again, and an answer that
was taken before the end is not lost.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, NamedTuple

from openresponses_dev.local.kept import Kept, Key, Row

_KIND = "token"
_DAYS = 400
"""A wait may take a year, as an execution may."""


class Task(NamedTuple):
    """Which call of which response waits."""

    response_id: str
    call: str


@dataclass(slots=True)
class _Wait:
    """`begun`: a task of this process has the token. `asked`: so has the one who is to answer. `answer` has either
    `output`, or `error` and `cause`.
    """

    task: Task
    token: str
    begun: bool = False
    asked: bool = False
    answer: dict[str, Any] | None = None


class TaskTokens:
    """Nothing outlives the process unless it is `kept`. To be called in any thread. Raises sqlite3.Error."""

    def __init__(self, kept: Kept | None = None) -> None:
        self._kept = kept
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}
        self._latest: dict[Task, _Wait] = {}

    def restore(self, going_on: Container[str]) -> None:
        """What the responses of these ids waited for; what others did is forgotten."""
        rows = [row for row in self._kept.rows() if row.key.kind == _KIND] if self._kept else []
        for row in rows:
            if row.key.place in going_on:
                self._add(_Wait(Task(row.key.place, row.key.name), **json.loads(row.about)))
        if self._kept and rows:
            self._kept.write([], [row.key for row in rows if row.key.place not in going_on])

    def begin(self, task: Task, token: str) -> str:
        """What the token of a task is that begins: `token`, unless it has one of before the restart. A task that is
        tried again has another one.
        """
        with self._lock:
            wait = self._latest.get(task)
            if wait is None or wait.begun:
                if wait:
                    del self._waits[wait.token]
                wait = self._add(_Wait(task, token))
                self._write(wait)
            wait.begun = True
            return wait.token

    def expected(self, token: str) -> bool:
        """Whether a task will have it that has not yet begun, and that nobody has answered."""
        with self._lock:
            wait = self._waits.get(token)
            return wait is not None and not wait.begun and wait.answer is None

    def was_asked(self, token: str) -> bool:
        """Whether nobody has to be asked for an answer: it was done, or the answer is there."""
        with self._lock:
            wait = self._waits.get(token)
            return wait is not None and (wait.asked or wait.answer is not None)

    def asked(self, token: str) -> None:
        self._change(token, asked=True)

    def answer_to(self, token: str) -> dict[str, Any] | None:
        with self._lock:
            wait = self._waits.get(token)
            return wait.answer if wait else None

    def answered(self, token: str, answer: dict[str, Any]) -> None:
        self._change(token, answer=answer)

    def _change(self, token: str, **changes: Any) -> None:
        with self._lock:
            if wait := self._waits.get(token):
                for name, value in changes.items():
                    setattr(wait, name, value)
                self._write(wait)

    def _add(self, wait: _Wait) -> _Wait:
        self._waits[wait.token] = self._latest[wait.task] = wait
        return wait

    def _write(self, wait: _Wait) -> None:
        if self._kept:
            about = {"token": wait.token, "asked": wait.asked, "answer": wait.answer}
            self._kept.write([Row(Key(_KIND, *wait.task), json.dumps(about), expires=time.time() + _DAYS * 86_400)])
