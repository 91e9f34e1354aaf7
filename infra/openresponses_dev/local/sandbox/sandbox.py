"""One sandbox: the child process of a function, the Runtime API it talks to, and its life from cold start to kill."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

from openresponses_dev.local.background import Background
from openresponses_dev.local.logs import Log
from openresponses_dev.local.sandbox.calls import Call, FunctionError, function_error
from openresponses_dev.local.sandbox.runtime_api import Invocation, RuntimeApi
from openresponses_dev.local.template.template import FunctionSpec

STOCK_BOOTSTRAP = Path(__file__).with_name("stock_bootstrap.py")
MAX_STREAMED_BYTES = 200 * 1024 * 1024
_CUT = "Runtime.TruncatedResponse"  # what RuntimeApi calls it
INIT_LIMIT_S = 60.0  # AWS gives 10 s to a machine that runs nothing else


class Sandbox:
    """Runs one invocation at a time. `environment` is asked for its variables, given the Runtime API's address.

    `on_exit` is called when its process is gone, however that came.
    """

    def __init__(
        self, spec: FunctionSpec, environment: Callable[[str], dict[str, str]], background: Background, log: Log
    ) -> None:
        self.spec = spec
        self.init_ms = 0.0
        self.stale = False  # its source changed: to be stopped instead of used again
        self.on_exit: Callable[[Sandbox], None] = lambda _: None
        self._log, self._background = log, background
        self._environment = environment
        self._api = RuntimeApi()
        self._process: asyncio.subprocess.Process | None = None
        self._exited = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None and not self._exited.is_set()

    async def start(self) -> None:
        """Cold start. Raises FunctionError when the function does not get to its first GET /next."""
        begun = time.monotonic()
        address = await self._api.start()
        try:
            self._process = await self._spawn(address)
            await self._initialised()
        except BaseException:
            await self.stop()
            raise
        self.init_ms = (time.monotonic() - begun) * 1000

    async def _spawn(self, address: str) -> asyncio.subprocess.Process:
        command = command_line(self.spec)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=self.spec.task_root,
                env=self._environment(address),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # so that Ctrl-C is ours alone, and a kill takes its children too
            )
        except OSError as error:
            raise FunctionError("Runtime.InvalidEntrypoint", f"{command[0]}: {error.strerror}") from error
        readers = [
            self._background.spawn(self._copy(pipe), f"output of {self.spec.name}")
            for pipe in (process.stdout, process.stderr)
            if pipe
        ]
        self._background.spawn(self._watch(process, readers), f"watch of {self.spec.name}")
        return process

    async def _initialised(self) -> None:
        ready, exited = asyncio.ensure_future(self._api.ready.wait()), asyncio.ensure_future(self._exited.wait())
        try:
            waiting = {ready, exited, self._api.init_error}
            done, _ = await asyncio.wait(waiting, timeout=INIT_LIMIT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._api.init_error in done:
                raise function_error(self._api.init_error.result())
            if exited in done:
                raise FunctionError("Runtime.ExitError", self._last_words())
            if not done:
                raise FunctionError("Sandbox.Timedout", f"Init did not finish within {INIT_LIMIT_S:.0f} seconds")
        finally:
            ready.cancel()
            exited.cancel()

    async def run(self, payload: bytes, trace_id: str | None, call: Call) -> None:
        """Invoke, and hand the answer on as it comes. Always ends the call; on a timeout the sandbox is gone."""
        call.started = time.monotonic()
        limit = self.spec.timeout_s
        deadline_ms = int((time.time() + limit) * 1000)
        invocation = await self._api.invoke(
            payload, deadline_ms=deadline_ms, arn=self.spec.arn, trace_id=trace_id and f"{trace_id};Sampled=0"
        )
        call.request_id = invocation.id
        if not self.alive:  # it died unnoticed, after it was chosen
            self._api.fail_all("Runtime.ExitError", self._last_words())
        try:
            async with asyncio.timeout(limit):
                await self._relay(invocation, call)
        except TimeoutError:
            self._api.fail_all("Sandbox.Timedout", f"Task timed out after {limit:.2f} seconds")
            self.stale = True
        call.max_memory_mb = peak_memory_mb(self.pid)
        error = function_error(invocation.error) if invocation.error else None
        call.end(await self._why_cut() if error and error.error_type == _CUT else error)

    async def _why_cut(self) -> FunctionError:
        """Its connection closed within an answer. Mostly it died, and the word of that is still on its way."""
        self.stale = True
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._exited.wait()
                return FunctionError("Runtime.ExitError", self._last_words())
        return FunctionError(_CUT, "the runtime closed its connection within an answer")

    async def _relay(self, invocation: Invocation, call: Call) -> None:
        size = 0
        async with aclosing(invocation.chunks()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_STREAMED_BYTES:
                    self._api.fail_all("Function.ResponseSizeTooLarge", "the response is above 200 MB")
                    self.stale = True
                    return
                call.streaming = invocation.streaming
                call.put(chunk)

    async def stop(self) -> None:
        """Kill it: Lambda, too, gives a function without extensions no warning."""
        self.stale = True
        if self._process:
            # Its group can outlive it: a child that it left behind.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._exited.wait()
        await self._api.close()

    async def _copy(self, pipe: asyncio.StreamReader) -> None:
        rest = b""
        while data := await pipe.read(65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._log.output(self.spec.name, line.decode("utf-8", "replace"))
        if rest:
            self._log.output(self.spec.name, rest.decode("utf-8", "replace"))

    async def _watch(self, process: asyncio.subprocess.Process, readers: list[asyncio.Task[None]]) -> None:
        try:
            await process.wait()
            # A grandchild may hold the pipes open for ever.
            await asyncio.wait(readers, timeout=0.2)
        finally:
            self._exited.set()
            self._api.fail_all("Runtime.ExitError", self._last_words())
            self.on_exit(self)

    def _last_words(self) -> str:
        match self._process and self._process.returncode:
            case None | 0:
                return "Runtime exited without providing a reason"
            case int(code) if code < 0:
                return f"Runtime exited with error: signal: {_signal_name(-code)}"
            case code:
                return f"Runtime exited with error: exit status {code}"


def command_line(spec: FunctionSpec) -> list[str]:
    """How Lambda starts the function's process."""
    wrapper = [str(spec.wrapper)] if spec.wrapper else []
    return [*wrapper, sys.executable, str(STOCK_BOOTSTRAP)]


def _signal_name(number: int) -> str:
    try:
        return (signal.strsignal(number) or str(number)).lower()
    except ValueError:
        return str(number)


def peak_memory_mb(pid: int) -> int | None:
    """The process's largest resident size so far; None where the system does not say, or the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return None
