"""Our request, made from a recorded one: the model, the functions it offers, and whether the model is to think.

The words of the recorded conversation don't matter, since its answer is recorded too.
"""

from __future__ import annotations

import json
import re
from typing import Any

from tests.recordings.recordings import Json, Recording

_BASE_PATHS = {"gemini": "/v1beta", "bedrock": ""}
_BEDROCK_MODELS = [("empty_text_delta", "openai.gpt-oss-120b-1:0"), ("bedrock_model|cancel", "us.amazon.nova-pro-v1:0")]
"""By the recording's name. All the others are of Claude: `request` has no model on this wire."""
_CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
_THINKS = re.compile(r'"(thinking|thinkingConfig|reasoning)": ')


def provider_of(recording: Recording) -> Json:
    """A provider as it is set up for the recorded host, which tells its vendor."""
    return {
        "dialect": recording.dialect,
        "base_url": f"https://{recording.host}{_BASE_PATHS.get(recording.dialect, '/v1')}",
        "api_key": "key-of-a-test",
        "retries": 0,
    }


def request_of(recording: Recording) -> Json:
    request: Json = {"tools": functions_of(recording)}
    return request | ({"reasoning": {"effort": "low"}} if _THINKS.search(json.dumps(recording.request)) else {})


def model_of(recording: Recording) -> str:
    match recording.dialect:
        case "bedrock":
            if "thinking" in recording.name:
                return _CLAUDE
            return next((model for part, model in _BEDROCK_MODELS if re.search(part, recording.name)), _CLAUDE)
        case "gemini":
            versions = re.findall(rb'"modelVersion": ?"([^"]+)"', recording.body)
            return versions[0].decode()
        case _:
            return recording.request["model"]


def functions_of(recording: Recording) -> list[Json]:
    """The tools that the client runs; those that the provider runs need not be offered to be answered with."""
    request = recording.request
    match recording.dialect:
        case "bedrock":
            specs = [tool.get("toolSpec") for tool in request.get("toolConfig", {}).get("tools", [])]
            return [_function(spec, spec["inputSchema"]["json"]) for spec in specs if spec]
        case "gemini":
            specs = [spec for tool in request.get("tools", []) for spec in tool.get("functionDeclarations", [])]
            return [_function(spec, spec.get("parameters_json_schema")) for spec in specs]
        case _:
            specs = [tool.get("function", tool) for tool in request.get("tools", [])]
            schemas = [(spec, spec.get("parameters") or spec.get("input_schema")) for spec in specs]
            return [_function(spec, schema) for spec, schema in schemas if spec.get("type", "function") == "function"]


def _function(spec: Json, parameters: Json | None) -> Json:
    return {
        "type": "function",
        "name": spec["name"],
        "description": spec.get("description"),
        "parameters": parameters or {"type": "object", "properties": {}},
    }


def outputs_of(recording: Recording) -> list[str]:
    """What the recorded client's tools said, in the order in which it sent that."""
    return [text for message in recording.sent_back for text in _outputs_in(message)]


def _outputs_in(message: Json) -> list[str]:
    match message:
        case {"type": "function_call_output", "output": output}:
            return [output]
        case {"role": "tool", "content": output}:
            return [output]
        case {"parts": parts}:
            return [said for each in parts for said in each.get("functionResponse", {}).get("response", {}).values()]
        case {"role": "user", "content": list(parts)}:
            results: list[Any] = [each.get("toolResult", each)["content"] for each in parts]
            return [said if isinstance(said, str) else said[0]["text"] for said in results]
        case _:
            return []
