"""The key that the local cloud prints: the same one at each start, until it is revoked."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from openresponses.storage.dynamodb.client_keys import list_keys, revoke_key
from openresponses_dev.local.cloud import LocalCloud
from openresponses_dev.local.kept import Kept
from openresponses_dev.local.private_folder import PrivateFolder
from tests.local.local_project import ROOT

GIVEN = f"or_{'a' * 12}_{'A' * 43}"


async def key(folder: Path, given: str | None = None, *, revoke: bool = False) -> tuple[str, list[str]]:
    """What a local cloud in this folder prints, and what else it lets in."""
    kept = Kept(PrivateFolder(folder), now=time.time(), say=print)
    try:
        async with LocalCloud(ROOT / "template.yaml", api_key=given, kept=kept) as cloud:
            client = cloud.aws.client("dynamodb")
            keys = await asyncio.to_thread(list_keys, client, "ResponsesTable")
            if revoke:
                await asyncio.to_thread(revoke_key, client, "ResponsesTable", cloud.api_key.split("_")[1], time.time())
            return cloud.api_key, sorted(each.id for each in keys if each.revoked_at is None)
    finally:
        kept.close()


async def test_one_that_was_revoked_gives_way_to_a_new_one_or_is_refused_if_it_is_given(tmp_path: Path) -> None:
    first, valid = await key(tmp_path, revoke=True)
    assert valid == [first.split("_")[1]]
    assert await key(tmp_path, GIVEN, revoke=True) == (GIVEN, ["a" * 12])
    with pytest.raises(ValueError, match=rf"the key {'a' * 12} that is given is refused \(revoked\)"):
        await key(tmp_path, GIVEN)
    another, valid = await key(tmp_path)
    assert another not in (first, GIVEN)
    assert valid == [another.split("_")[1]]
