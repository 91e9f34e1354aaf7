"""The whole server over one real provider, `chat`: the Chat Completions whose base URL `BENCH_UPSTREAM` is."""

import json
import os
import time

from openresponses.core.settings import Settings
from openresponses.dialects import connect
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from tests.bench.apps.cheap_model import build

PROVIDER = {"dialect": "chat_completions", "base_url": os.environ["BENCH_UPSTREAM"]}
catalog = Catalog(MemoryParameters({"providers/chat": json.dumps(PROVIDER)}))
router = Router(catalog, connect, Settings(), time.monotonic)
app = build(TenantModels(router, AeadSeal(of_this_process(), "default")))
