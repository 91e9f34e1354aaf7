"""What only Bedrock has to check of its cassettes: requests, by the service's own model."""

import pytest

from tests.contract.cassettes import load, names
from tests.fakes.bedrock_shapes import problems


@pytest.mark.parametrize("name", names("bedrock"))
def test_what_is_sent_is_valid_by_the_service_s_own_model(name: str) -> None:
    cassette = load("bedrock", name)
    assert problems(cassette.sent(), cassette.request.model) == []
