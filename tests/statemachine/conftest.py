"""One local Step Functions for each test module; nothing of a test goes on in the next one."""

from collections.abc import Iterator

import pytest

from tests.statemachine.machine import Machine, executor_threads, running, until


@pytest.fixture(scope="module")
def _machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    with running(retry_scale=getattr(request.module, "RETRY_SCALE", 0.0)) as machine:
        yield machine
    assert not executor_threads()


@pytest.fixture
def machine(_machine: Machine) -> Iterator[Machine]:
    yield _machine
    running = [execution.name for execution in _machine.aws.executions() if execution.status == "RUNNING"]
    assert not running, "a test left executions running"
    until(lambda: not executor_threads())
