"""`openresponses dev` while it runs: one local cloud after another, at the same port and with the same state, whenever
the template changes; and what the project's file says, whenever that changes.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.logs import Log
from openresponses_dev.local.project import PROJECT_FILE
from openresponses_dev.local.template.files import files_of
from openresponses_dev.local.template.template import Template
from openresponses_dev.local.template.yaml_tree import TemplateError
from openresponses_dev.local.watched import Watched
from openresponses_dev.manage.problems import Problem

VARIABLES = ".env"


class Runner:
    """`make` makes a cloud of a template, which listens where the one before it did. `project` is the folder of a
    project that the user owns. `ready` is called once, with the first one.
    """

    def __init__(
        self,
        make: Callable[[Path | Template], LocalCloud],
        template: Path,
        *,
        log: Log,
        project: Path | None,
        reload: bool,
        ready: Callable[[LocalCloud], None],
    ) -> None:
        self._make, self._path, self._log, self._project, self._reload = make, template, log, project, reload
        self._ready: Callable[[LocalCloud], None] | None = ready
        self._stop = asyncio.Event()
        self._templates = Watched(lambda: files_of(template))
        self._files = Watched(lambda: [project / PROJECT_FILE, project / VARIABLES] if project else [])
        self._began = 0.0
        self._applying = asyncio.Lock()
        self._at_work: asyncio.Future[None] | None = None

    async def run(self, cloud: LocalCloud) -> None:
        """Until a signal comes. Raises what entering the first cloud does."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        following: LocalCloud | None = cloud
        before: Template | None = None
        while following is not None:
            cloud = following
            try:
                await cloud.__aenter__()
            except Exception as error:
                if before is None or before is cloud.template:
                    raise
                self._log.wrong("template", f"{self._path}: {error}: the one of before runs on")
                following = self._make(before)
                continue
            try:
                await self._entered(cloud)
                before, following = cloud.template, await self._next()
            finally:
                await self._leave(cloud)

    async def _leave(self, cloud: LocalCloud) -> None:
        try:
            await cloud.__aexit__(None, None, None)
        except Exception as error:  # the next one may yet run
            self._log.say(f"the local cloud did not end as it should: {type(error).__name__}: {error}", failed=True)

    async def _entered(self, cloud: LocalCloud) -> None:
        self._cloud = cloud
        await self._apply(cloud)
        if self._ready:
            self._ready(cloud)
            self._ready = None
        else:
            self._log.say(f"{cloud.template.path} runs, after {time.monotonic() - self._began:.1f} s")

    async def _next(self) -> LocalCloud | None:
        """The cloud of a changed template; None when this one is to end."""
        if not self._reload:
            await self._stop.wait()
            self._log.say("stopping")
            return None
        stopping = asyncio.create_task(self._stop.wait())
        changed, project = asyncio.create_task(self._changed_template()), asyncio.create_task(self._follow_project())
        try:
            await asyncio.wait({stopping, changed}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                return changed.result()
            self._log.say("stopping")
            return None
        finally:
            for task in (stopping, changed, project):
                task.cancel()
            await asyncio.gather(stopping, changed, project, return_exceptions=True)

    async def _changed_template(self) -> LocalCloud:
        while True:
            changed = await self._templates.changed()
            name = sorted(changed)[0].name
            try:
                cloud = self._make(self._path)
            except (TemplateError, ValueError, OSError) as error:
                self._log.wrong("template", f"{name} changed, and is wrong: {error}: the one of before runs on")
            except Exception as error:  # what nobody thought of may not end what runs
                why = f"{type(error).__name__}: {error}"
                self._log.wrong("template", f"{name} changed, and can't be read: {why}: the one of before runs on")
            else:
                self._began = time.monotonic()
                self._log.history.forget("template")
                self._log.say(f"{name} changed: the local cloud starts anew")
                return cloud

    async def _follow_project(self) -> None:
        while True:
            changed = await self._files.changed()
            self._log.say(f"{sorted(changed)[0].name} changed")
            await self._apply(self._cloud)

    async def _apply(self, cloud: LocalCloud) -> None:
        """What is wrong with the project's file is said, and stops nothing."""
        if self._project is None or not (self._project / PROJECT_FILE).is_file():
            return
        from openresponses_dev.manage.project.local import apply_locally  # here, since it imports much

        async with self._applying:
            if self._at_work:  # its thread goes on where nobody waits for it any more
                await asyncio.wait({self._at_work})
            try:
                work = asyncio.to_thread(apply_locally, self._project, cloud.origin, self._log.tell)
                self._at_work = asyncio.ensure_future(work)
                await asyncio.shield(self._at_work)
            except Problem as problem:
                mend = [f"try: {problem.mend}"] if problem.mend else []
                self._log.wrong("project", str(problem), "\n".join([*problem.details, *mend]))
            except Exception as error:  # a fault of ours, which may not end what runs
                self._log.wrong("project", f"{PROJECT_FILE} is not applied: {type(error).__name__}: {error}")
            else:
                self._log.history.forget("project")
