# pyright: basic
# Basic, because most of moto has no types.
"""Moto as a server in threads of this process, on loopback unless it is told otherwise, with a Step Functions that
really executes.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from werkzeug.serving import make_server

from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services import moto_patches
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.services.executions import Execution
from openresponses_dev.local.services.signed_requests import SignedRequests
from openresponses_dev.local.services.task_tokens import TaskTokens

CONFIG: Any = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
DRAIN_LIMIT_S = 10.0
_EXECUTOR_THREADS = ("_execution_logic", "_exec_and_notify", "eval")
_one = threading.Lock()


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"  # the default closes the connection after each request
    disable_nagle_algorithm = True

    def log_request(self, *_: Any) -> None:
        pass


class MotoServer:
    """Serves whoever has the credentials, from construction to `close()`, on `address` if that is this machine's own.
    One that is not leads to loopback: such is the address of a machine that Docker Desktop runs on.

    Raises RuntimeError while another one does: moto's state is global.
    """

    def __init__(
        self, lambda_api: LambdaApi, credentials: Credentials, retry_scale: float, address: str, tokens: TaskTokens
    ) -> None:
        if not _one.acquire(blocking=False):
            raise RuntimeError("another LocalAws runs in this process")
        try:
            moto_patches.apply(lambda_api, tokens, retry_scale=retry_scale)
            application = SignedRequests(DomainDispatcherApplication(create_backend_app), credentials, address)
            here = address if _is_own(address) else LOOPBACK
            self._server = make_server(here, 0, application, threaded=True, request_handler=_Handler)
        except BaseException:
            _one.release()
            raise
        self._config_before: Any = {key: default_user_config.get(key) for key in CONFIG}
        default_user_config.update(CONFIG)
        self.port = self._server.server_port
        self.url = f"http://{here}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="moto", daemon=True)
        self._thread.start()

    @staticmethod
    def executes(thread: threading.Thread) -> bool:
        """Whether an execution runs in this thread."""
        return any(name in thread.name for name in _EXECUTOR_THREADS)

    def executions(self) -> list[Execution]:
        found = [_describe(execution) for execution in _executions()]
        return sorted(found, key=lambda execution: execution.started, reverse=True)

    def stop_executions(self) -> None:
        for execution in _executions():
            stepfunctions_parser_backends[execution.account_id][execution.region_name].stop_execution(
                execution.exec_arn
            )

    def close(self, before_forgetting: Callable[[], None] | None = None) -> None:
        """Stop what executes, and wait for its threads: what outlives its server would act on the next one's data."""
        try:
            self.stop_executions()
            _drain(DRAIN_LIMIT_S)
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            if before_forgetting:
                before_forgetting()
            BackendDict.reset()
        finally:
            default_user_config.update(self._config_before)
            _one.release()


def _is_own(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _executions() -> list[Any]:
    return [
        execution
        for regions in [*stepfunctions_parser_backends.values()]
        for backend in [*regions.values()]
        for machine in [*backend.state_machines]
        for execution in [*machine.executions]
    ]


def _describe(execution: Any) -> Execution:
    worker = execution.exec_worker  # None in the moment between an execution's entry in the list and its start
    env = worker.env if worker else None
    return Execution(
        name=execution.name,
        state_machine=execution.state_machine.name,
        status=execution.status,
        started=execution.start_date,
        stopped=execution.stop_date,
        state=_state(env) if env and execution.status == "RUNNING" else None,
        events=len(env.event_manager._history_event_list) if env else 0,
    )


def _state(env: Any) -> str | None:
    """The state that an execution is in. It begins to run in one step and names its first state in another: reading
    between the two raises RuntimeError.
    """
    with env._state_mutex:  # which the two steps hold, see moto_patches
        return env.next_state_name


def _drain(limit_s: float) -> None:
    until = time.monotonic() + limit_s
    for thread in threading.enumerate():
        if MotoServer.executes(thread):
            thread.join(max(0, until - time.monotonic()))
