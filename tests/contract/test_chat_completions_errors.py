"""How servers tell of an error in a stream that began with status 200: what the client is told, and whether it is tried
again. Each shape has its source."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from openresponses.core import deltas as d
from openresponses.core import errors
from openresponses.core.settings import ProviderSettings
from openresponses.dialects.chat_completions import connect
from openresponses.dialects.chat_completions.errors import ERRORS
from tests.contract.turns import turn
from tests.fakes.network import Answered

REFUSED = "The provider refused the request (in its stream): "
FAILED = "The provider failed (in its stream)"
LIMITED = "The provider limits our rate"
OVER = "The provider's stream ended before its turn did"
GAVE_UP = "The provider gave up on its answer"
DONE = "data: [DONE]\n\n"


async def streamed(body: str, content_type: str = "text/event-stream") -> list[d.Delta]:
    class Body(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield body.encode()

    transport = Answered(lambda _: httpx2.Response(200, headers={"content-type": content_type}, stream=Body()))
    settings = ProviderSettings(name="v", dialect="chat_completions", base_url="http://vendor.test/v1")
    dialect = connect(settings, transport)
    try:
        return [delta async for delta in dialect.stream(turn())]
    finally:
        await dialect.aclose()


def data(**chunk: Any) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def said(text: str, finish: str | None = None) -> str:
    return data(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


TOO_LONG = {
    "code": 400,
    "message": "the request exceeds the available context size",
    "type": "invalid_request_error",
}
GROQ = {
    "message": "Tool choice is required, but model did not call a tool",
    "type": "invalid_request_error",
    "code": "tool_use_failed",
    "failed_generation": "",
    "status_code": 400,
}
STREAMS: dict[str, tuple[str, type[errors.ProviderError], str]] = {
    # https://github.com/ggml-org/llama.cpp/pull/16109, https://github.com/coddy-project/coddy-agent/pull/106, 2026-11
    "a field of its own (llama.cpp, GPUStack)": (
        f"error: {json.dumps(TOO_LONG)}\n\n{DONE}",
        errors.InputTooLong,
        f"The input is too long for the model (in its stream): {TOO_LONG['message']}",
    ),
    "a field of its own, amid the answer": (
        said("a") + f"error: {json.dumps({'code': 500, 'message': 'x', 'type': 'server_error'})}\n\n{DONE}",
        errors.ProviderUnavailable,
        FAILED,
    ),
    "a field of its own, with the error in an object": (
        f"error: {json.dumps({'error': {'code': 429, 'message': 'busy'}})}\n\n{DONE}",
        errors.ProviderThrottled,
        LIMITED,
    ),
    "a field of its own, in words": ("error: Internal Server Error\n\n", errors.ProviderUnavailable, FAILED),
    # https://github.com/ggml-org/llama.cpp/pull/16109, 2026-11
    # https://github.com/adrianlyjak/obsidian-aloud-tts/pull/114, https://platform.minimax.io/docs/api-reference/errorcode
    "beside no choices (MiniMax)": (
        data(choices=None, base_resp={"status_code": 1002, "status_msg": "rate limit"}),
        errors.ProviderThrottled,
        LIMITED,
    ),
    "a number that says to try again (MiniMax)": (
        data(base_resp={"status_code": 1033, "status_msg": "system error"}),
        errors.ProviderUnavailable,
        FAILED,
    ),
    "today's llama.cpp": (
        data(error={"code": 400, "message": "too long", "type": "exceed_context_size_error"}),
        errors.InputTooLong,
        "The input is too long for the model (in its stream): too long",
    ),
    # api.groq.com in the recordings
    "a call that doesn't parse, with a status (Groq)": (
        said("a") + f"event: error\ndata: {json.dumps({'error': GROQ})}\n\n",
        errors.ProviderUnavailable,
        f"{FAILED}: {GROQ['message']}",
    ),
    # https://github.com/spiceai/spiceai/pull/3641, 2026-11
    "an event of that name": (
        f"event: error\ndata: {json.dumps({'message': 'no such model', 'code': 'model_not_found'})}\n\n",
        errors.ProviderRejected,
        REFUSED + "no such model",
    ),
    "an event of that name, in words": ("event: error\ndata: out of memory\n\n", errors.ProviderUnavailable, FAILED),
    # https://openrouter.ai/docs/api/reference/errors-and-debugging, 2026-11
    "beside the choices (OpenRouter)": (
        said("a")
        + data(
            error={"code": "server_error", "message": "Provider disconnected"},
            choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
        ),
        errors.ProviderUnavailable,
        FAILED,
    ),
    "in the choice (OpenRouter)": (
        data(choices=[{"delta": {}, "finish_reason": "error", "error": {"code": 429, "message": "slow down"}}]) + DONE,
        errors.ProviderThrottled,
        LIMITED,
    ),
    "a finish alone": (said("a", "error") + DONE, errors.ProviderUnavailable, GAVE_UP),
    # https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/openai/protocol.py, `ErrorResponse`, 2026-11
    "an object of that type (vLLM)": (
        data(object="error", message="too many tokens", type="BadRequestError", param=None, code=400) + DONE,
        errors.ProviderRejected,
        REFUSED + "too many tokens",
    ),
    # https://github.com/huggingface/text-generation-inference/blob/main/router/src/lib.rs, `ErrorResponse`, 2026-11
    "words and their type (TGI)": (
        data(error="`inputs` must have less than 8 tokens", error_type="validation"),
        errors.ProviderRejected,
        REFUSED + "`inputs` must have less than 8 tokens",
    ),
    "words and another type (TGI)": (
        data(error="Model is overloaded", error_type="overloaded"),
        errors.ProviderUnavailable,
        FAILED,
    ),
    # https://github.com/Blaizzy/nativ/pull/195, 2026-11
    "words alone": (data(error="an error was encountered"), errors.ProviderUnavailable, FAILED),
    # litellm 1.110, `ProxyException.to_dict`
    "a status as text (LiteLLM)": (
        data(error={"message": "litellm.RateLimitError", "type": "None", "param": "None", "code": "429"}),
        errors.ProviderThrottled,
        LIMITED,
    ),
    # https://fastapi.tiangolo.com/tutorial/handling-errors/, 2026-11
    "FastAPI's own": (data(detail="Not enough memory"), errors.ProviderUnavailable, FAILED),
    "nothing before [DONE]": (DONE, errors.ProviderUnavailable, OVER),
    "a role before [DONE]": (
        data(choices=[{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]) + DONE,
        errors.ProviderUnavailable,
        OVER,
    ),
    "usage before [DONE]": (
        data(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 0}) + DONE,
        errors.ProviderUnavailable,
        OVER,
    ),
    # https://ai.google.dev/api/generate-content#FinishReason, 2026-11, as its OpenAI-compatible endpoint writes them
    "a finish with a reason (Gemini)": (
        said("", "function_call_filter: MALFORMED_FUNCTION_CALL") + DONE,
        errors.ProviderUnavailable,
        GAVE_UP,
    ),
}


@pytest.mark.parametrize(("body", "kind", "message"), STREAMS.values(), ids=STREAMS)
async def test_an_error_in_a_stream_is_told_as_what_it_is(
    body: str, kind: type[errors.ProviderError], message: str
) -> None:
    with pytest.raises(errors.ProviderError) as raised:
        await streamed(body)
    assert (type(raised.value), raised.value.message) == (kind, message)


BODIES = {
    "an error": ({"error": {"message": "bad", "code": 400}}, errors.ProviderRejected),
    "FastAPI's own": ({"detail": "Not Found"}, errors.ProviderUnavailable),
    "FastAPI's own for a field": ({"detail": [{"loc": ["body"], "msg": "wrong"}]}, errors.ProviderUnavailable),
    "a gateway's": ({"message": "Too many", "code": "rate_limit_exceeded"}, errors.ProviderThrottled),
    "MiniMax's own": (
        {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}},
        errors.ProviderMisconfigured,
    ),
    "no error": ({"hello": 1}, errors.StreamViolation),
}


@pytest.mark.parametrize(("body", "kind"), BODIES.values(), ids=BODIES)
async def test_json_in_place_of_a_stream_tells_of_its_error(body: Any, kind: type[errors.ProviderError]) -> None:
    with pytest.raises(errors.ProviderError) as raised:
        await streamed(json.dumps(body), "application/json")
    assert type(raised.value) is kind


MEANINGS = {
    "a code's meaning before a status": ({"code": "rate_limit_exceeded", "status_code": 400}, errors.ProviderThrottled),
    "a code's meaning before a status as text": (
        {"code": "invalid_api_key", "status": "500"},
        errors.ProviderMisconfigured,
    ),
    "a status before a type's meaning": ({"code": 503, "type": "invalid_request_error"}, errors.ProviderUnavailable),
    "a vendor's own code before all": ({"code": "insufficient_quota", "status": 429}, errors.ProviderMisconfigured),
    # https://github.com/modelscope/modelscope/issues/1691, 2026-11
    "a vendor's own type before all": (
        {"http_code": "429", "message": "insufficient balance (1008)", "type": "insufficient_balance_error"},
        errors.ProviderMisconfigured,
    ),
    "no retry of a wrong request": ({"code": "context_length_exceeded", "status": 500}, errors.InputTooLong),
    "nothing known": ({"code": "weird"}, errors.ProviderUnavailable),
}


@pytest.mark.parametrize(("error", "kind"), MEANINGS.values(), ids=MEANINGS)
def test_a_status_never_overrules_what_an_error_s_code_means(error: Any, kind: type[errors.ProviderError]) -> None:
    assert type(ERRORS.of_object({"error": error})) is kind


def test_a_call_that_does_not_parse_is_tried_again_before_the_stream_too() -> None:
    refused = ERRORS.of_reply(400, json.dumps({"error": GROQ}).encode(), {})
    assert type(refused) is errors.ProviderUnavailable


async def test_a_finish_in_a_line_without_a_field_s_name_is_read() -> None:
    """GPUStack's gateway leaves `data:` out of it. https://github.com/gpustack/gpustack/issues/6155, 2026-11"""
    last = said("b", "length").removeprefix("data: ")
    assert await streamed(said("a") + last + DONE) == [d.Text("text", "a"), d.Text("text", "b"), d.Finish("length")]


async def test_what_is_no_error_goes_on() -> None:
    unknown = (
        data(type="ping", base_resp={"status_code": 0, "status_msg": "success"})
        + data(detail="x", choices=[])
        + said("a", "stop")
    )
    assert await streamed(unknown) == [d.Text("text", "a"), d.Finish("stop")]
