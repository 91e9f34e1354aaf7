"""What only Chat Completions has to check of its cassettes: requests, by OpenAI's own document."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.contract.cassettes import load, names


@cache
def request_validator() -> Draft202012Validator:
    """Of OpenAI's own document, whose OpenAPI 3.0 `nullable` is made JSON Schema."""
    document = json.loads((files("llm_comply") / "specs" / "openai_chat.json").read_text())

    def translated(node: Any) -> Any:
        if isinstance(node, list):
            return [translated(each) for each in node]
        if not isinstance(node, dict):
            return node
        rest = {name: translated(value) for name, value in node.items() if name != "nullable"}
        return {"anyOf": [rest, {"type": "null"}]} if node.get("nullable") is True else rest

    return Draft202012Validator(
        {**translated(document), "$ref": "#/components/schemas/CreateChatCompletionRequest"},
    )


@pytest.mark.parametrize("name", names("chat_completions"))
def test_what_is_sent_upstream_is_valid_by_openai_s_own_document(name: str) -> None:
    sent = load("chat_completions", name).sent()
    assert [error.message for error in request_validator().iter_errors(sent)] == []
