"""`openresponses tools answer`: what it refuses itself. tests/statemachine/test_engine_parked.py answers with it."""

from __future__ import annotations

import pytest

from openresponses_dev.manage.answers import MAX_ANSWER, MAX_CAUSE, answer
from openresponses_dev.manage.problems import Problem
from tests.manage.conftest import Aws

pytestmark = pytest.mark.xdist_group("manage")


@pytest.mark.parametrize(
    ("output", "error", "said"),
    [
        (None, None, "either an output or an error"),
        ("x", "y", "either an output or an error"),
        ("x" * MAX_ANSWER, None, f"{MAX_ANSWER} bytes"),
        ("é" * (MAX_ANSWER // 2), None, f"{MAX_ANSWER} bytes"),
        (None, "x" * (MAX_CAUSE + 1), f"{MAX_CAUSE} characters"),
    ],
)
def test_what_can_not_be_an_answer_is_refused_before_it_is_sent(
    output: str | None, error: str | None, said: str
) -> None:
    with pytest.raises(Problem, match=said):
        answer("token", output=output, error=error)


def test_who_may_not_answer_is_told_which_right_it_takes(aws: Aws) -> None:
    asked = ("tools", "answer", "token", "--stack", "openresponses", "--region", "eu-west-1", "--error", "no")
    refused = aws.run(*asked, user="reader")
    assert refused.status == 1
    assert refused.err.splitlines() == [
        "openresponses: you may not states:SendTaskFailure",
        "  try: have states:SendTaskFailure allowed to you",
    ]
