"""The whole server with one provider, `fake`, at the URL that OPENRESPONSES_BENCH_PROVIDER gives. Its settings are in
memory: reading them from the Parameter Store is another matter.
"""

import json
import os
import secrets
import time

from openresponses import telemetry
from openresponses.api.app import create_app
from openresponses.core.ports import Ports
from openresponses.core.settings import Settings
from openresponses.dialects import connect
from openresponses.entry.settings import OFFLINE
from openresponses.prices import Prices
from openresponses.responses.create import NewResponses
from openresponses.responses.stored import StoredResponses
from openresponses.routing.catalog import Catalog
from openresponses.routing.cipher import AeadSeal, of_this_process
from openresponses.routing.router import Router, TenantModels
from openresponses.storage.memory.parameters import MemoryParameters
from openresponses.toolbox import Toolbox
from openresponses.toolbox.files import ToolFiles


def build():
    parameters, settings = MemoryParameters(), Settings(default_provider="offline")
    fake = {"dialect": "chat_completions", "base_url": os.environ["OPENRESPONSES_BENCH_PROVIDER"]}
    parameters.texts["providers/fake"] = json.dumps(fake)
    router = Router(
        Catalog(parameters, [OFFLINE]), connect, settings, time.monotonic, telemetry.answered, prices=Prices()
    )
    ports = Ports(
        models=TenantModels(router, AeadSeal(of_this_process(), "default")),
        tools=Toolbox([ToolFiles()]),
        accounts=telemetry.LoggedAccounts("default"),
        now=time.time,
        new_id=lambda: secrets.token_hex(16),
    )
    responses = NewResponses(ports, settings), StoredResponses(ports)
    return create_app(lambda _: responses, settings, router.aclose)


app = build()
