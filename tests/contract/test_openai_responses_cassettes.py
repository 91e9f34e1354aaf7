"""What only the Responses API has to check of its cassettes: requests and events, by the documents of others."""

from typing import Any

import pytest

from tests.contract import openai_types
from tests.contract.cassettes import Cassette, load, names
from tests.openresponses_schema import check_request

DIALECT = "openai_responses"


def beyond_the_standard(cassette: Cassette) -> bool:
    """OpenAI has more than the standard, whose document allows no content of reasoning in a request."""
    openai = cassette.settings.base_url == "https://api.openai.com/v1"
    return openai or cassette.settings.options.get("echo_reasoning") == "content"


STANDARD = [name for name in names(DIALECT) if not beyond_the_standard(load(DIALECT, name))]
NUMBERED = [name for name in names(DIALECT) if not name.startswith("only_") and name != "error_nested"]


@pytest.mark.parametrize("name", names(DIALECT))
def test_what_is_sent_upstream_fits_the_sdk_s_types(name: str) -> None:
    sent: dict[str, Any] = load(DIALECT, name).sent()
    sent.pop("frequency_penalty", None)  # the standard has it, OpenAI has not
    openai_types.check_request(sent)


@pytest.mark.parametrize("name", STANDARD)
def test_what_is_sent_to_other_servers_is_valid_by_the_standard_s_own_document(name: str) -> None:
    check_request(load(DIALECT, name).sent())


@pytest.mark.parametrize("name", NUMBERED)
def test_a_recorded_stream_is_one_by_the_sdk_s_types(name: str) -> None:
    for event in load(DIALECT, name).sse():
        if event.data != "[DONE]" and not event.event.startswith("response.reasoning."):
            openai_types.check_event(event.data)
