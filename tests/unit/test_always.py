"""What is always true of a run, whatever the provider said."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from openresponses.core.reducer import apply
from openresponses.core.run import Run
from openresponses.core.steps import Stop, next_step
from openresponses.schema.events import Event
from openresponses.schema.response import Response
from openresponses.schema.server_items import ServerCall
from tests.openresponses_schema import check_event, check_response
from tests.stream_checker import check_stream
from tests.unit.cases import CASES, Case
from tests.unit.kit import Script, Tools, play, play_in_tasks

EVENT: TypeAdapter[Event] = TypeAdapter(Event)

every_case = pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])


@every_case
async def test_the_stream_is_well_formed_and_says_what_the_case_says(case: Case) -> None:
    final = check_stream(await play(case.new_run(), Script(case.turns)))
    assert ([item["type"] for item in final["output"]], final["status"]) == (case.types, case.status)


@every_case
async def test_every_event_and_the_response_fit_the_official_schema(case: Case) -> None:
    events = await play(case.new_run(), Script(case.turns))
    for event in events:
        check_event(event)
    check_response(events[-1]["response"])


@every_case
async def test_folding_the_events_gives_the_response(case: Case) -> None:
    run = case.new_run()
    response = Response(id="", created_at=0, model="")
    for event in await play(run, Script(case.turns)):
        response = apply(response, EVENT.validate_python(event))
    assert response == run.response


@every_case
async def test_folding_all_but_the_last_event_gives_the_same_output(case: Case) -> None:
    run = case.new_run()
    response = Response(id="", created_at=0, model="")
    for event in (await play(run, Script(case.turns)))[:-1]:
        response = apply(response, EVENT.validate_python(event))
    assert response.output == run.response.output


@every_case
async def test_one_invocation_and_one_task_per_turn_emit_equal_events(case: Case) -> None:
    run = case.new_run()
    inline = await play(run, Script(case.turns))
    events, stepped = await play_in_tasks(case.new_run(), Script(case.turns))
    assert (events, stepped) == (inline, run)


@every_case
async def test_a_run_survives_json_exactly(case: Case) -> None:
    run = case.new_run()
    await play(run, Script(case.turns))
    again = Run.model_validate_json(run.model_dump_json())
    assert again == run
    assert again.model_dump_json() == run.model_dump_json()


@every_case
async def test_every_complete_hosted_call_is_run_once_and_its_output_shown(case: Case) -> None:
    script, tools = Script(case.turns), Tools()
    run = case.new_run()
    await play(run, script, tools)
    answered = [item.id for item in run.settled() if isinstance(item, ServerCall) and item.status != "incomplete"]
    rejected = [item.id for item in run.settled() if item.type == "serverless:rejected_call"]
    assert sorted(call.id for call in tools.called) == sorted(set(answered) - set(rejected))
    for turn in script.asked[1:]:
        assert all(getattr(item, "status", "completed") != "in_progress" for item in turn.items)


@every_case
async def test_usage_is_the_sum_of_the_turns(case: Case) -> None:
    run = case.new_run()
    await play(run, Script(case.turns))
    spent = [said.usage for turn in case.turns[: run.turns] for said in turn if hasattr(said, "usage")]
    assert run.response.usage == run.usage
    assert run.usage.total_tokens == sum(each.total_tokens for each in spent)


@every_case
async def test_a_run_that_ended_has_nothing_left_to_do(case: Case) -> None:
    run = case.new_run()
    await play(run, Script(case.turns))
    step = next_step(run)
    assert isinstance(step, Stop)
    assert step.status == case.status
