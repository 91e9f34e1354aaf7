"""What a model reads of a tool's result from an MCP server."""

from __future__ import annotations

from typing import Any

import pytest

from openresponses.core.answers import MAX_OUTPUT
from openresponses.core.ports import ToolOutput
from openresponses.toolbox.mcp.failures import HttpFailure
from openresponses.toolbox.mcp.results import MAX_IMAGE_CHARACTERS, MAX_IMAGES, failed, output_of

PIXEL = "iVBORw0KGgo="
IMAGE = {"type": "image", "data": PIXEL, "mimeType": "image/png"}
SHOWN = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def part(said: str) -> dict[str, Any]:
    return {"type": "input_text", "text": said}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"content": [text("a"), text("b")]}, "a\nb"),
        ({"content": []}, ""),
        ({}, ""),
        ({"content": [], "structuredContent": {"größe": [1, None]}}, '{"größe": [1, null]}'),
        ({"content": [text("the same in words")], "structuredContent": {"a": 1}}, "the same in words"),
        ({"structuredContent": None}, "null"),
        ({"content": [{"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}]}, "[audio/wav, 3 bytes, not shown]"),
        ({"content": [{"type": "resource", "resource": {"uri": "file:///a", "text": "its text"}}]}, "its text"),
        (
            {"content": [{"type": "resource", "resource": {"uri": "file:///a", "blob": "AAAA"}}]},
            "[binary, 3 bytes, not shown]",
        ),
        (
            {"content": [{"type": "resource_link", "uri": "file:///a.rs", "name": "a.rs", "mimeType": "text/x-rust"}]},
            "[resource file:///a.rs; name: a.rs; mimeType: text/x-rust]",
        ),
        (
            {"content": [{"type": "image", "data": "<svg>", "mimeType": "image/svg+xml"}]},
            "[image/svg+xml, 3 bytes, not shown]",
        ),
        (
            {"content": [{"type": "image", "data": "not base64!", "mimeType": "image/png"}]},
            "[image/png, 7 bytes, not shown]",
        ),
        (
            {"content": [{"type": "hologram"}, "words", None, 7, {"type": "text", "text": None}]},
            "\n".join(["[a part of the result, not shown]"] * 5),
        ),
        ({"content": "words"}, ""),
    ],
)
def test_a_result_is_read_as_text(result: Any, expected: str) -> None:
    assert output_of(result) == ToolOutput(expected)


def test_images_are_parts_among_the_text() -> None:
    resource = {"type": "resource", "resource": {"uri": "a", "blob": PIXEL, "mimeType": "image/png"}}
    output = output_of({"content": [text("Before"), IMAGE, text("after"), resource]})
    assert output.text == "Before\n[image/png]\nafter\n[image/png]"
    assert output.item == {"content": [part("Before"), SHOWN, part("after"), SHOWN]}


def test_no_more_images_than_a_conversation_bears() -> None:
    output = output_of({"content": [IMAGE] * (MAX_IMAGES + 2)})
    content = output.item["content"]
    assert isinstance(content, list)
    assert content == [SHOWN] * MAX_IMAGES + [part("\n".join(["[image/png, 9 bytes, not shown]"] * 2))]
    large = {**IMAGE, "data": "A" * (MAX_IMAGE_CHARACTERS // 2)}
    output = output_of({"content": [large, large, IMAGE]})
    assert output.text.endswith("[image/png]\n[image/png]\n[image/png, 9 bytes, not shown]")


def test_the_text_beside_an_image_is_cut_as_any_output() -> None:
    content = output_of({"content": [text("a" * MAX_OUTPUT), IMAGE, text("b" * 10)]}).item["content"]
    assert content == [part("a" * MAX_OUTPUT), SHOWN, part("\n[cut: this is 0 of 10 characters]")]


def test_an_error_of_the_tool_is_the_model_s_to_read() -> None:
    error = {"type": "mcp_tool_execution_error", "content": [text("It broke.")]}
    assert output_of({"isError": True, "content": [text("It broke.")]}) == ToolOutput(
        "It broke.", True, {"error": error}
    )
    assert output_of({"isError": True}).text == "The tool failed, and gave no reason."
    assert not output_of({"isError": "true", "content": [text("fine")]}).failed


def test_a_failure_is_an_error_with_its_kind() -> None:
    output = failed(HttpFailure(502, "The server can't be reached"))
    error = {"type": "http_error", "code": 502, "message": "The server can't be reached"}
    assert output == ToolOutput("The server can't be reached", True, {"error": error})
