"""A response reaches the Runtime API as the app makes it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.runtime.runtime_driver import SEPARATOR, Sandbox, ended, rest_event


async def test_every_body_message_arrives_as_one_chunk_after_the_prelude(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/count", {"n": 3}))

    prelude = {"statusCode": 200, "headers": {"content-type": "text/event-stream"}}
    parts = [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n", b"data: [DONE]\n\n"]
    assert answer.chunks == [json.dumps(prelude).encode() + SEPARATOR, *parts]
    assert answer.error is None


async def test_the_request_says_that_it_streams(sandbox: Sandbox) -> None:
    invocation = (await sandbox.answer(rest_event("/count", {"n": 1}))).invocation

    assert invocation.streaming
    said = {name: value for name, value in invocation.headers.items() if name not in ("host", "user-agent")}
    assert said == {
        "content-type": "application/vnd.awslambda.http-integration-response",
        "lambda-runtime-function-response-mode": "streaming",
        "lambda-runtime-invocation-id": invocation.echo,
        "trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        "transfer-encoding": "chunked",
    }


async def test_a_part_is_delivered_before_the_next_one_exists(sandbox: Sandbox, tmp_path: Path) -> None:
    invocation = await sandbox.invoke(rest_event("/lockstep", {"dir": str(tmp_path)}))
    parts = []
    async for chunk in invocation.chunks():
        if not chunk.endswith(SEPARATOR):
            parts.append(chunk)
            (tmp_path / chunk.decode()).touch()

    assert parts == [b"0", b"1", b"2"]
    assert invocation.delivered < invocation.first_byte < invocation.ended


async def test_thousands_of_parts_keep_their_order_and_their_borders(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/count", {"n": 5000}))

    assert answer.parts == [*(b"data: %d\n\n" % i for i in range(5000)), b"data: [DONE]\n\n"]


async def test_one_sandbox_serves_one_invocation_after_the_other(sandbox: Sandbox) -> None:
    waiting = [await sandbox.invoke(rest_event("/count", {"n": n})) for n in range(4)]
    answers = [await ended(invocation) for invocation in waiting]

    assert [len(answer.parts) for answer in answers] == [1, 2, 3, 4]


async def test_cookies_and_repeated_headers_stay_apart_and_framing_headers_are_dropped(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/headers"))

    assert answer.prelude == {
        "statusCode": 201,
        "headers": {"content-type": "text/plain"},
        "multiValueHeaders": {"link": ["<a>", "<b>"]},
        "cookies": ["a=1; Expires=Thu, 01 Jan 2032 00:00:00 GMT", "b=2"],
    }
    assert answer.parts == [b"ok"]


async def test_a_prelude_that_api_gateway_would_not_read_is_an_error(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/many_headers"))

    assert (answer.chunks, answer.error_type) == ([], "Runtime.PreludeTooLarge")


async def test_receive_blocks_until_the_response_is_complete(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/listen"))
    await sandbox.answer(rest_event("/count", {"n": 0}))

    assert answer.parts == [b"blocked"]
    assert sandbox.lines() == ["http.disconnect"]


async def test_an_answer_is_whole_while_the_app_works_on(sandbox: Sandbox, tmp_path: Path) -> None:
    may_end = tmp_path / "may end"
    invocation = await sandbox.invoke(rest_event("/work_on", {"file": str(may_end)}))
    assert [chunk async for chunk in invocation.chunks()][1:] == [b"all"]
    after = await sandbox.invoke(rest_event("/count", {"n": 0}))
    assert not after.delivered, "the sandbox is still at the work of the first one"

    may_end.touch()
    assert (await ended(after)).parts == [b"data: [DONE]\n\n"]
