"""The deployment's MCP servers, as the functions read them: what is wrong is named, and never quoted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox.mcp.servers import ConfiguredServer, ConfiguredServers, parse_server
from openresponses.toolbox.source import ToolMisconfigured

URL = "https://mcp.example.com/mcp"
WHOLE = {
    "url": URL,
    "headers": {"Authorization": "Bearer planted-secret"},
    "description": "Our handbook",
    "approval": "never",
    "allow": ["search", "fetch"],
}


def servers(**documents: Any) -> ConfiguredServers:
    texts = {label: each if isinstance(each, str) else json.dumps(each) for label, each in documents.items()}
    return ConfiguredServers(MemoryParameters({f"mcp/{label}": text for label, text in texts.items()}))


async def test_a_server_is_read_whole() -> None:
    assert await servers(docs=WHOLE).find("docs") == ConfiguredServer(
        "docs", URL, {"Authorization": "Bearer planted-secret"}, "Our handbook", "never", ("search", "fetch")
    )


async def test_an_address_alone_is_enough_and_wants_each_call_approved() -> None:
    assert await servers(docs={"url": URL}).find("docs") == ConfiguredServer("docs", URL, {}, "", "always", ())


@pytest.mark.parametrize("label", ["other", "", "../providers/openai", "docs/x", "Docs", "d" * 65, "docs\n"])
async def test_what_is_not_there_is_not_found(label: str) -> None:
    assert await servers(docs=WHOLE).find(label) is None


async def test_a_change_is_seen_and_so_is_a_removal() -> None:
    texts = {"mcp/docs": json.dumps(WHOLE)}
    found = ConfiguredServers(MemoryParameters(texts))
    assert await found.find("docs") is await found.find("docs")
    texts["mcp/docs"] = json.dumps({"url": URL})
    changed = await found.find("docs")
    assert changed
    assert changed.headers == {}
    del texts["mcp/docs"]
    assert await found.find("docs") is None


def test_a_server_does_not_show_its_headers() -> None:
    assert "planted" not in repr(parse_server("docs", json.dumps(WHOLE)))


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ('{"url": "planted', "value: "),
    "no object": ([1, "planted"], "value: "),
    "no address": ({}, "url: "),
    "http": ({"url": "http://planted.example.com/mcp"}, "url: "),
    "another scheme": ({"url": "file:///planted"}, "url: "),
    "a user": ({"url": "https://planted:planted@example.com"}, "url: "),
    "a fragment": ({"url": "https://example.com/#planted"}, "url: "),
    "an odd port": ({"url": "https://example.com:planted"}, "url: "),
    "a header's name": ({"url": URL, "headers": {"a b": "planted"}}, "headers: 'a b'"),
    "a header of ours": ({"url": URL, "headers": {"Mcp-Session-Id": "planted"}}, "headers: "),
    "two lines": ({"url": URL, "headers": {"x-key": "a\nplanted: b"}}, "headers.x-key: "),
    "not ASCII": ({"url": URL, "headers": {"x-key": "planted\u00e9"}}, "headers.x-key: "),
    "no approval": ({"url": URL, "approval": "planted"}, "approval: "),
    "a tool": ({"url": URL, "allow": ["fetch", ["planted"]]}, "allow.1: "),
    "one text": ({"url": URL, "allow": "planted"}, "allow: "),
    "its label": ({"url": URL, "label": "planted"}, "label: there is no such field"),
    "another field": ({"url": URL, "api_key": "planted"}, "api_key: there is no such field"),
}


@pytest.mark.parametrize(("document", "where"), WRONG.values(), ids=WRONG)
async def test_what_is_wrong_is_named_and_never_quoted(document: Any, where: str) -> None:
    with pytest.raises(ToolMisconfigured) as raised:
        await servers(docs=document).find("docs")
    assert "'mcp/docs' is not valid: " + where in raised.value.message
    assert "planted" not in raised.value.message
