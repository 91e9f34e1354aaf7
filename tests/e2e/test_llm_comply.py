"""llm-comply, the compliance suite, against the Lambda path and each dialect: every test but those of compaction."""

from dataclasses import replace
from pathlib import Path

import llm_comply
import pytest
from llm_comply import config, runner, schema
from llm_comply.tests import open_responses

from tests.e2e.conftest import Endpoint
from tests.fakes.server import dialects, wire_of

schema.SSE_EVENT_TO_SCHEMA |= {  # which it has only under the names that the schema's descriptions give them
    "response.reasoning_summary_text.delta": "ResponseReasoningSummaryDeltaStreamingEvent",
    "response.reasoning_summary_text.done": "ResponseReasoningSummaryDoneStreamingEvent",
}
SPEC = Path(llm_comply.__file__).parent / "specs" / "openresponses.json"
CASES = {case.id: case for case in open_responses.OPEN_RESPONSES_TESTS if not case.id.startswith("compact-")}
MODELS = {
    "offline": "offline/demo",
    **{name: f"{name}/{wire_of(name).model}!willing;reasoning=2" for name in dialects()},
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver:DeprecationWarning")
@pytest.mark.parametrize("name", sorted(CASES))
def test_it_complies(cloud: Endpoint, name: str, model: str) -> None:
    """The suite skips reasoning for models whose name it doesn't know; here it is run."""
    settings = config.ComplianceConfig(base_url=cloud.base_url, api_key=cloud.api_key, model=model)
    loader = schema.SpecLoader(str(SPEC))
    assert loader.spec_version == "2026-04-24"
    case = replace(CASES[name], skip_reason=None)
    result = runner.TestRunner(settings, [case], loader).run_one(case)
    assert (result.status.name, result.errors, result.warnings) == ("PASSED", [], [])
