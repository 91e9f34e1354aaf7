"""Approvals: which calls a request approves, and what is refused."""

from __future__ import annotations

import hmac
import json
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import TypeAdapter

from openresponses.core.approvals import DAY, Approvable, approved_calls, request_ids, unused
from openresponses.core.errors import RequestError
from openresponses.core.ids import item_ids, owner
from openresponses.core.ports import Mark
from openresponses.core.run import Approved, McpServer, OfferedTool
from openresponses.schema.items import InputItem, Item
from openresponses.schema.limits import MAX_APPROVALS
from openresponses.schema.server_items import McpApprovalRequest, McpApprovalResponse, McpCall
from tests.unit.kit import new_run

RESPONSE = f"resp_{7:032x}"
NOW = 1_800_000_000.0
SERVERS = [McpServer(label="dice", url="https://dice.example/mcp"), McpServer(label="docs", configured=True)]


def mark_of(tenant: str = "acme", key: str = "key") -> Mark:
    return lambda text: hmac.digest(f"{key} {tenant}".encode(), text.encode(), "sha256").hex()


def tool(label: str = "dice", name: str = "roll") -> OfferedTool:
    called = {"name": f"{label}__{name}", "kind": "mcp", "item_type": "mcp_call", "wire_name": name}
    return OfferedTool.model_validate({**called, "server_label": label, "needs_approval": True})


TOOLS = [tool(), tool("dice", "count"), tool("docs", "roll")]


def asked(
    arguments: str = '{"sides": 6}',
    index: int = 0,
    of: OfferedTool = TOOLS[0],
    *,
    response: str = RESPONSE,
    **of_id: Any,
) -> McpApprovalRequest:
    """A request for approval as this server makes it, of `mark`, `servers`, and at `now`."""
    known = {"mark": mark_of(), "servers": SERVERS, "now": NOW, **of_id}
    request_id = request_ids(**known)(item_ids(response)("mcpr", index), of, arguments)
    return McpApprovalRequest(id=request_id, server_label=of.server_label or "", name=of.wire_name, arguments=arguments)


def answer(request: McpApprovalRequest | str, approve: bool = True) -> McpApprovalResponse:
    return McpApprovalResponse(
        approval_request_id=request if isinstance(request, str) else request.id, approve=approve, reason="because"
    )


def call(request: McpApprovalRequest, status: str = "completed") -> McpCall:
    made = {"id": "mcp_1", "server_label": request.server_label, "name": request.name, "status": status}
    return McpCall.model_validate({**made, "arguments": request.arguments, "approval_request_id": request.id})


def approved(
    given: Sequence[InputItem],
    before: Sequence[Item] = (),
    *,
    own: Sequence[Item] | None = None,
    marks: Sequence[Mark] | None = None,
    servers: Sequence[McpServer] = SERVERS,
    tools: Sequence[OfferedTool] = TOOLS,
    now: float = NOW,
) -> list[Approved]:
    approvable = Approvable(marks or [mark_of()], servers, tools, now)
    items = TypeAdapter(list[Item]).validate_python([each.model_dump() for each in given])
    return approved_calls(given, before, items if own is None else own, approvable)


def refused(given: Sequence[InputItem], before: Sequence[Item] = (), **against: Any) -> str:
    """The code of the refusal, and the index that it names."""
    with pytest.raises(RequestError) as raised:
        approved(given, before, **against)
    error = raised.value
    place = re.fullmatch(r"input\[(\d+)\]\.approval_request_id", error.param or "")
    assert place, error.param
    return f"{error.code} {place[1]}"


def expected(request: McpApprovalRequest, index: int) -> Approved:
    fields = request.model_dump(exclude={"id", "type"})
    return Approved(request_id=request.id, index=index, **fields)


def test_the_id_is_of_its_response_and_says_when_it_was_made() -> None:
    request = asked(index=3)
    assert request.id.startswith(f"mcpr_{7:032x}0003")
    assert owner(request.id) == RESPONSE
    assert len(request.id) == 5 + 36 + 8 + 16 + 32
    assert int(request.id[41:49], 16) == NOW


def test_an_approved_call_is_the_requests_own() -> None:
    request = asked()
    assert approved([answer(request)], [request]) == [expected(request, 0)]
    assert approved([request, answer(request)]) == [expected(request, 1)]


def test_calls_are_approved_in_the_order_of_the_answers() -> None:
    first, second, third = (asked(index=n) for n in range(3))
    given = [answer(third), answer(second, approve=False), answer(first)]
    assert approved(given, [first, second, third]) == [expected(third, 0), expected(first, 2)]


def test_the_same_arguments_twice_are_two_requests() -> None:
    requests = [asked(index=n) for n in range(2)]
    assert requests[0].id != requests[1].id
    assert approved([answer(requests[1])], requests) == [expected(requests[1], 0)]
    assert len(approved([answer(each) for each in requests], requests)) == 2


def test_a_request_that_is_not_there_can_not_be_answered() -> None:
    assert refused([answer(asked())]) == "approval_not_found 0"
    assert refused([answer(asked(), approve=False)]) == "approval_not_found 0"
    assert refused([answer("mcpr_"), answer("")], [asked()]) == "approval_not_found 0"


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": '{"sides": 60}'},
        {"arguments": '{"sides":6}'},
        {"arguments": '{"sides": 6} '},
        {"arguments": '{"sides": 6.0}'},
        {"arguments": '{"side\\u0073": 6}'},
        {"arguments": ""},
        {"name": "count"},
        {"name": "Roll"},
        {"server_label": "docs"},
    ],
    ids=json.dumps,
)
def test_what_was_altered_is_refused_though_it_may_mean_the_same(change: dict[str, str]) -> None:
    request = asked().model_copy(update=change)
    assert refused([request, answer(request)]) == "approval_altered 1"


@pytest.mark.parametrize(
    ("made", "sent"),
    [
        ('{"a": "\u00e9"}', '{"a": "e\u0301"}'),
        ('{"a": "\u00e9"}', '{"a": "\\u00e9"}'),
        ('{"a": "\U0001f642"}', '{"a": "\\ud83d\\ude42"}'),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'),
        ('{"a": 1}', '{"a": 1, "a": 1}'),
        ('{"a": "\ud800"}', '{"a": "\ufffd"}'),
    ],
)
def test_arguments_are_text_and_not_what_the_text_means(made: str, sent: str) -> None:
    request = asked(made)
    assert approved([answer(request)], [request]) == [expected(request, 0)]
    other = request.model_copy(update={"arguments": sent})
    assert refused([answer(request)], [other]) == "approval_altered 0"


def test_no_altered_id_is_taken() -> None:
    """Neither one letter of it, nor what it is cut to, nor the end of another one."""
    request, rng = asked(), random.Random(1)
    other = asked('{"sides": 100}', index=1)
    ids = [request.id[:-1], request.id + "0", request.id.upper(), request.id[:41] + other.id[41:]]
    ids += [request.id[:-32] + other.id[-32:], other.id, f"mcpr_{7:032x}0000", "mcpr_" + "0" * 92]
    for at in rng.sample(range(5, len(request.id)), 40):
        ids.append(request.id[:at] + ("0" if request.id[at] != "0" else "1") + request.id[at + 1 :])
    for each in ids:
        forged = request.model_copy(update={"id": each})
        assert refused([forged, answer(forged)]) == "approval_altered 1", each


def test_an_id_is_for_one_response_and_one_place() -> None:
    """A request whose id is moved to another response, or to another index."""
    request, rest = asked(index=1), slice(41, None)
    for begin in (f"mcpr_{8:032x}0001", f"mcpr_{7:032x}0002", f"mcpr_{7:032x}00011"):
        moved = request.model_copy(update={"id": begin + request.id[rest]})
        assert refused([moved, answer(moved)]) == "approval_altered 1"


def test_another_tenants_request_is_refused() -> None:
    request = asked(mark=mark_of("intruder"))
    assert refused([request, answer(request)]) == "approval_altered 1"


def test_a_request_made_with_the_former_key_is_approved_after_a_rotation() -> None:
    request = asked(mark=mark_of(key="old"))
    both = [mark_of(key="new"), mark_of(key="old")]
    assert approved([answer(request)], [request], marks=both) == [expected(request, 0)]
    assert refused([answer(request)], [request], marks=both[:1]) == "approval_altered 0"


def test_a_request_expires_after_a_day() -> None:
    request = asked()
    assert approved([answer(request)], [request], now=NOW + DAY - 1)
    assert refused([answer(request)], [request], now=NOW + DAY) == "approval_expired 0"
    later = f"{int(NOW + DAY):08x}"
    forged = request.model_copy(update={"id": request.id[:41] + later + request.id[49:]})
    assert refused([answer(forged)], [forged], now=NOW + DAY) == "approval_altered 0"


def test_a_request_of_any_age_can_be_refused() -> None:
    request = asked()
    assert approved([answer(request, approve=False)], [request], now=NOW + 9 * DAY) == []


def test_the_server_of_a_call_must_be_among_the_tools() -> None:
    request = asked()
    assert refused([answer(request)], [request], servers=SERVERS[1:]) == "approval_server_missing 0"
    assert refused([answer(request)], [request], servers=[]) == "approval_server_missing 0"


@pytest.mark.parametrize(
    "server",
    [
        McpServer(label="dice", url="https://evil.example/mcp"),
        McpServer(label="dice", url="https://dice.example/mcp/"),
        McpServer(label="dice", configured=True),
        McpServer(label="dice", url="https://dice.example/mcp", configured=True),
    ],
)
def test_an_approval_is_for_the_server_that_the_model_knew(server: McpServer) -> None:
    request = asked()
    assert refused([answer(request)], [request], servers=[server]) == "approval_server_changed 0"


def test_a_server_of_the_deployment_may_move() -> None:
    request = asked(of=TOOLS[2])
    assert approved([answer(request)], [request]) == [expected(request, 0)]
    by_request = McpServer(label="docs", url="https://docs.example")
    assert refused([answer(request)], [request], servers=[by_request]) == "approval_server_changed 0"


def test_a_tool_that_is_not_allowed_any_more_is_not_called() -> None:
    request = asked()
    assert refused([answer(request)], [request], tools=TOOLS[1:]) == "approval_tool_missing 0"


@pytest.mark.parametrize("answers", [(True, True), (True, False), (False, True), (False, False)])
def test_a_request_is_answered_once_in_an_input(answers: tuple[bool, bool]) -> None:
    request = asked()
    given = [answer(request, each) for each in answers]
    assert refused(given, [request]) == "approval_answered 1"


def test_what_was_refused_is_not_approved_later() -> None:
    request = asked()
    assert refused([answer(request)], [request, answer(request, approve=False)]) == "approval_answered 0"


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("status", ["completed", "failed"])
def test_a_call_that_was_made_needs_no_answer_any_more(approve: bool, status: str) -> None:
    request = asked()
    before = [request, answer(request), call(request, status)]
    assert refused([answer(request, approve)], before) == "approval_answered 0"


def test_an_approval_of_which_nothing_came_can_be_given_again() -> None:
    """The call that never began was closed with its response."""
    request = asked()
    before = [request, answer(request), call(request, "incomplete")]
    assert approved([answer(request)], before) == [expected(request, 0)]


def test_a_whole_conversation_that_a_client_sends_again_approves_nothing_anew() -> None:
    """However old it is, and whatever its tools are by now."""
    first, second, third = (asked(index=n) for n in range(3))
    history = [first, answer(first), call(first), second, answer(second, approve=False)]
    assert approved(history, now=NOW + 9 * DAY, servers=[], tools=[]) == []
    assert approved([*history, third, answer(third)]) == [expected(third, 6)]


def test_of_two_requests_with_one_id_the_altered_one_is_not_approved() -> None:
    request = asked()
    altered = request.model_copy(update={"arguments": '{"sides": 100}'})
    assert refused([altered, answer(request)], [request]) == "approval_altered 1"


def test_a_request_approves_a_hundred_calls() -> None:
    many = [asked(index=n) for n in range(MAX_APPROVALS + 1)]
    assert len(approved([answer(each) for each in many[1:]], many)) == MAX_APPROVALS
    assert refused([answer(each) for each in many], many) == f"approval_too_many {MAX_APPROVALS}"


def test_ten_thousand_answers_are_read_at_once() -> None:
    request = asked()
    strangers = [answer(f"mcpr_{n}") for n in range(10_000)]
    assert refused([answer(request), *strangers], [request]) == "approval_not_found 1"
    history = [item for n in range(3_000) for r in [asked(index=n)] for item in (r, answer(r), call(r))]
    assert approved([*history, request.model_copy(update={"id": "x"})]) == []


def test_approvals_whose_calls_never_began_are_unused() -> None:
    requests = [asked(index=n) for n in range(5)]
    run = new_run()
    run.approved = [expected(each, 0) for each in requests]
    assert unused(run) == [each.id for each in requests]
    states = ["completed", "failed", "incomplete", "in_progress"]
    run.response.output = [
        call(each, status).model_copy(update={"id": f"mcp_{status}"})
        for each, status in zip(requests, states, strict=False)
    ]
    assert unused(run) == [each.id for each in requests[2:]]
    run.tried["mcp_in_progress"] = 1
    assert unused(run) == [requests[2].id, requests[4].id]


def test_a_run_without_approvals_has_none_to_give_back() -> None:
    assert unused(new_run()) == []
