"""Checks against the types of Google's own SDK: every field that we send is one, and everything they send is read.

The types forbid unknown fields, and keep schemas as they come; those are the fake upstream's to check.
"""

from typing import Any

from google.genai import types

FIELDS: dict[str, Any] = {
    "systemInstruction": types.Content,
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "serviceTier": types.ServiceTier,
}


def check_request(body: dict[str, Any]) -> None:
    """Raises ValidationError, or AssertionError for a field of the request that the SDK doesn't know."""
    for content in body["contents"]:
        types.Content.model_validate(content)
    for tool in body.get("tools", ()):
        types.Tool.model_validate(tool)
    for setting in body.get("safetySettings", ()):
        types.SafetySetting.model_validate(setting)
    for name, kind in FIELDS.items():
        if name in body:
            kind(body[name]) if kind is types.ServiceTier else kind.model_validate(body[name])
    assert body.keys() <= {"contents", "tools", "safetySettings", *FIELDS}


def check_chunk(chunk: dict[str, Any]) -> None:
    types.GenerateContentResponse.model_validate(chunk)
