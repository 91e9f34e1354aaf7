"""What the endpoints do. One function per operation; the API parses, calls one of them, and answers."""

import asyncio
from collections.abc import Callable

from ..schema.request import CreateResponse
from ..schema.response import Response, ResponseError
from .engine import Journal, begin, drive, finish
from .errors import KitError
from .intake import check_tool_choice, context_of, new_response, offered_tools, refuse_unsupported
from .ports import Emit, Ports
from .run import Run
from .settings import Settings
from .steps import Step, Stop


class Service:
    def __init__(self, ports: Ports, settings: Settings) -> None:
        self._ports, self._settings = ports, settings

    def accept(self, request: CreateResponse) -> Run:
        """The run that answers `request`. Raises RequestError, naming the field, before anything is done."""
        refuse_unsupported(request)
        self._ports.models.resolve(request.model)
        response_id = f"resp_{self._ports.new_id()}"
        tools = offered_tools(request, self._ports.tools)
        check_tool_choice(request, tools)
        return Run(
            response=new_response(request, response_id, int(self._ports.now())),
            request=request.model_copy(update={"input": None, "tools": None}),
            context=context_of(request, response_id),
            tools=tools,
            max_turns=self._settings.max_turns,
        )

    async def respond(self, run: Run, sink: Emit, *, seconds: float | None, committed: Callable[[], bool]) -> Response:
        """Make the response, sending its events to `sink`; returns it, finished.

        `seconds` is how long it may take: what is done by then is returned as incomplete. `committed` says
        whether the client has seen any of it: before that a failure is raised, after it the response fails.
        """
        emit = Journal(run, sink)
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                await begin(run, emit)
                step = await drive(run, self._ports, emit, _never)
        except Exception as error:
            if isinstance(error, TimeoutError) and timer.expired():
                stop = Stop("incomplete", "max_duration")
            elif not committed():
                raise
            elif isinstance(error, KitError):
                stop = Stop("failed", error=ResponseError(code=error.code, message=error.message))
            else:
                bug = ResponseError(code=KitError.code, message="The server had an error while making the response")
                await finish(run, Stop("failed", error=bug), emit, self._ports.now)
                raise
        else:
            assert isinstance(step, Stop)
            stop = step
        await finish(run, stop, emit, self._ports.now)
        return run.response

    def models(self) -> list[str]:
        return self._ports.models.listed()


def _never(step: Step) -> bool:
    return False
