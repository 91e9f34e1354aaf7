"""A client whose conversation outgrows its model's context, through the local cloud."""

from __future__ import annotations

import openai
import pytest

from tests.e2e.conftest import Endpoint
from tests.fakes.server import dialects, wire_of

WINDOW = 1_500
WORDS = "word " * 120


@pytest.mark.parametrize("dialect", dialects())
def test_a_conversation_grows_over_the_limit_and_goes_on(cloud: Endpoint, dialect: str) -> None:
    model = f"{dialect}/{wire_of(dialect).model}"
    told = "stream" if dialect == "openai_responses" else "reply"
    with openai.OpenAI(base_url=cloud.base_url, api_key=cloud.api_key, max_retries=0) as client:
        previous, grown = None, 0
        for turn in range(12):
            question = f"question {turn} {WORDS} /fake echo;window={WINDOW};told={told}"
            counted = client.responses.input_tokens.count(model=model, input=question, previous_response_id=previous)
            assert counted.input_tokens > grown
            grown = counted.input_tokens
            response = client.responses.create(
                model=model, input=question, previous_response_id=previous, truncation="auto"
            )
            assert response.output_text.startswith(f"question {turn} ")
            previous = response.id
        with pytest.raises(openai.BadRequestError) as raised:
            client.responses.create(model=model, input=question, previous_response_id=previous)
        assert (raised.value.code, raised.value.param) == ("context_length_exceeded", "input")
