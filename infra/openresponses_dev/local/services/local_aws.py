"""The AWS services behind the functions: moto in this process, as the template declares them.

async with LocalAws(template, LambdaApi(targets)) as aws:
    aws.client("dynamodb").list_tables()

Moto keeps its state in module globals: one LocalAws at a time in a process, and no `mock_aws` beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.kept import Kept, Row
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.services.executions import Execution
from openresponses_dev.local.services.moto_imports import without_ec2
from openresponses_dev.local.services.task_tokens import TaskTokens
from openresponses_dev.local.template.aws_resources import AwsCall, put_parameter, requests
from openresponses_dev.local.template.event_sources import StreamMapping
from openresponses_dev.local.template.intrinsics import REGION
from openresponses_dev.local.template.template import Template

if TYPE_CHECKING:
    from openresponses_dev.local.services.moto_keeper import MotoKeeper
    from openresponses_dev.local.services.moto_server import MotoServer

_STORES = ("dynamodb", "s3")


class LocalAws:
    """`parameters` are SSM parameters beside the template's. `retry_scale` shortens Retry's delays, for tests.
    `address` is where a container finds this machine. What `kept` has is there from the begin, and what changes is
    written to it. Each row of it is told to `found`, and what goes wrong to `say`. Records of streams that one of the
    mappings of `follows` takes are told to `streamed`, in any thread: the mapping, a number, and the record as JSON.

    Raises TemplateError on construction, RuntimeError on entry while another one runs.
    """

    def __init__(
        self,
        template: Template | None,
        lambda_api: LambdaApi,
        *,
        parameters: Mapping[str, str] | None = None,
        extra: Sequence[AwsCall] = (),
        retry_scale: float = 1.0,
        address: str = LOOPBACK,
        kept: Kept | None = None,
        found: Callable[[Row], None] = lambda _: None,
        say: Callable[[str], None] = print,
        follows: Sequence[StreamMapping] = (),
        streamed: Callable[[str, str, str], object] = print,
    ) -> None:
        self.credentials = Credentials.new()
        self._lambda_api, self._retry_scale, self._address = lambda_api, retry_scale, address
        given = [put_parameter(name, value) for name, value in (parameters or {}).items()]
        self._requests = [*(requests(template) if template else []), *given, *extra]
        self._server: MotoServer | None = None
        self._kept, self._found, self._say = kept, found, say
        self._keeper: MotoKeeper | None = None
        self._tokens = TaskTokens(kept)
        self._follows, self._streamed = follows, streamed

    @property
    def needed(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._requests)

    @property
    def endpoint_url(self) -> str:
        """AWS_ENDPOINT_URL of every client of these services. Empty until entered."""
        return self._server.url if self._server else ""

    def environment(self) -> dict[str, str]:
        """The variables by which an AWS SDK reaches these services. Without an endpoint until entered."""
        endpoint = {"AWS_ENDPOINT_URL": self.endpoint_url} if self.endpoint_url else {}
        return {**endpoint, **self.credentials.environment()}

    def environment_in_a_container(self) -> dict[str, str]:
        """The same, there. To be asked once entered."""
        assert self._server is not None
        return {**self.environment(), "AWS_ENDPOINT_URL": f"http://{self._address}:{self._server.port}"}

    def client(self, service: str) -> Any:
        """A boto3 client of one of these services."""
        boto3: Any = import_module("boto3")  # untyped, and half a second to import
        return boto3.client(service, endpoint_url=self.endpoint_url, region_name=REGION, **self.credentials.for_boto3())

    def executions(self) -> list[Execution]:
        """Of all state machines, the newest first."""
        return self._server.executions() if self._server else []

    def halt(self) -> None:
        """Invoke nothing any more, and stop what executes: to be followed by the end of the functions, then of this."""
        self._lambda_api.close()
        if self._server:
            self._server.stop_executions()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.halt()
        await asyncio.to_thread(self.stop)

    def start(self) -> None:
        """What entering does, for callers without an event loop."""
        # Here, since importing moto takes half a second.
        with without_ec2():
            from openresponses_dev.local.services.moto_server import MotoServer

        self._server = MotoServer(self._lambda_api, self.credentials, self._retry_scale, self._address, self._tokens)
        try:
            self._create()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Wait for what still runs, and forget everything."""
        server, self._server = self._server, None
        if server:
            server.close(before_forgetting=self._keeper.stop if self._keeper else None)
            self._keeper = None
            from openresponses_dev.local.services import moto_streams

            moto_streams.forget()

    def expect_answers(self, going_on: Container[str]) -> None:
        """What responses of these ids waited for when the local cloud ended may be answered again. What others did is
        forgotten.
        """
        self._tokens.restore(going_on)

    def delivered(self, mapping: str, numbers: Sequence[str]) -> None:
        """A mapping is done with these records of its stream."""
        from openresponses_dev.local.services import moto_streams

        moto_streams.done(mapping, numbers)

    def expire(self) -> None:
        """Delete what AWS would have deleted by now."""
        if self._keeper:
            self._keeper.expire()

    def _create(self) -> None:
        """What was kept is put between the stores and what the template and the options say, which so prevails. They
        say it again at each start, so it is not kept itself.
        """
        stores = [request for request in self._requests if request.service in _STORES]
        self._call(stores)
        if self._kept:
            # Here for the same reason as in `start`.
            from openresponses_dev.local.services.moto_keeper import MotoKeeper

            self._keeper = MotoKeeper(self._kept, self._say)
            self._keeper.restore(self._found)
        self._follow()
        self._call([request for request in self._requests if request.service not in _STORES])
        if self._keeper:
            self._keeper.start()

    def _follow(self) -> None:
        """After what was kept is there again: to put it there is no change that a stream tells."""
        if self._follows:
            from openresponses_dev.local.services import moto_streams

            moto_streams.follow(self._follows, self._streamed)

    def _call(self, requests: Sequence[AwsCall]) -> None:
        clients = {service: self.client(service) for service in {request.service for request in requests}}
        for request in requests:
            getattr(clients[request.service], request.method)(**request.arguments)
