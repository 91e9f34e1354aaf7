"""An app that fails is reported, once and in the right place, and the next invocation is served."""

from __future__ import annotations

import pytest

from tests.runtime.runtime_driver import Answer, Sandbox, rest_event


async def assert_the_loop_goes_on(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/count", {"n": 1}))
    assert (answer.parts, answer.error) == ([b"data: 0\n\n", b"data: [DONE]\n\n"], None)


def reported(answer: Answer) -> tuple[str, str]:
    assert answer.error is not None
    return answer.error["errorType"], answer.error["errorMessage"]


async def test_a_bug_in_mid_stream_is_told_in_the_trailers(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail", {"after": 3, "how": "raise"}))

    assert answer.parts == [b"1", b"2"]
    assert reported(answer) == ("Function.ValueError", "upstream died")
    assert "in fail\n" in "".join(answer.error["stackTrace"])
    assert answer.invocation.streaming
    await assert_the_loop_goes_on(sandbox)


async def test_a_bug_before_the_response_is_an_invocation_error(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail", {"after": 0, "how": "raise"}))

    assert (answer.chunks, answer.invocation.streaming) == ([], False)
    assert reported(answer) == ("Function.ValueError", "upstream died")
    assert answer.invocation.headers["lambda-runtime-function-error-type"] == "Function.ValueError"
    assert answer.invocation.headers["lambda-runtime-invocation-id"] == answer.invocation.echo
    await assert_the_loop_goes_on(sandbox)


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize(("how", "type_"), [("exit", "Function.SystemExit"), ("cancel", "Function.CancelledError")])
async def test_an_app_ends_neither_the_process_nor_the_loop(sandbox: Sandbox, how: str, type_: str, after: int) -> None:
    assert (await sandbox.answer(rest_event("/fail", {"after": after, "how": how}))).error_type == type_
    await assert_the_loop_goes_on(sandbox)


async def test_no_response_at_all_is_an_error(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail", {"after": 0, "how": "silent"}))

    assert reported(answer) == ("Runtime.NoResponse", "the application returned without a response")
    await assert_the_loop_goes_on(sandbox)


async def test_half_a_response_is_an_error(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail", {"after": 2, "how": "silent"}))

    assert answer.parts == [b"1"]
    assert reported(answer) == (
        "Runtime.IncompleteResponse",
        "the application returned before the end of its response",
    )
    await assert_the_loop_goes_on(sandbox)


async def test_a_bug_after_the_response_is_only_logged(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail_after_the_end"))
    await assert_the_loop_goes_on(sandbox)

    assert (answer.parts, answer.error) == ([b"whole"], None)
    assert [line["errorMessage"] for line in sandbox.log()] == ["a background task died"]


async def test_messages_out_of_order_are_a_bug_of_the_app(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/disorder"))

    assert reported(answer) == (
        "Function.RuntimeError",
        "http.response.body out of order: the response is at its HEADERS",
    )


async def test_shortly_before_the_deadline_the_app_is_cancelled_and_the_timeout_reported(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/stall"), seconds=1)

    assert answer.parts == [b"first"]
    assert answer.error_type == "Function.TimeoutError"
    await assert_the_loop_goes_on(sandbox)


async def test_an_invocation_that_comes_too_late_is_reported_and_not_lost(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/stall"), seconds=-1)

    assert answer.error_type == "Function.TimeoutError"
    await assert_the_loop_goes_on(sandbox)


async def test_an_app_may_use_its_last_moments_to_end_in_order(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/tidy"), seconds=1)

    assert (answer.parts, answer.error) == ([b"response.failed"], None)


async def test_a_bug_is_one_line_of_json_without_the_body(sandbox: Sandbox) -> None:
    answer = await sandbox.answer(rest_event("/fail", {"after": 0, "how": "raise", "input": "confidential"}))

    [text] = sandbox.lines()
    [line] = sandbox.log()
    assert "confidential" not in text
    assert {k: v for k, v in line.items() if k not in ("timestamp", "stackTrace")} == {
        "level": "ERROR",
        "message": "the invocation failed",
        "requestId": answer.invocation.id,
        "errorType": "Function.ValueError",
        "errorMessage": "upstream died",
    }
    assert line["stackTrace"][-1] == "ValueError: upstream died\n"
