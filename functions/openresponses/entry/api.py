"""The API function: `app` is what the runtime serves."""

import os
import secrets
import time

from ..api.app import create_app
from ..core.ports import Ports
from ..core.routing import Router
from ..core.service import Service
from ..core.stored import Stored
from ..providers import connect
from ..tools import Toolbox
from .settings import settings_from


def build(environment: dict[str, str]):
    settings = settings_from(environment)
    router = Router(settings, connect)
    ports = Ports(models=router, tools=Toolbox(), now=time.time, new_id=lambda: secrets.token_hex(16))
    return create_app(Service(ports, settings), Stored(ports.storage, ports.now), settings, router.aclose)


os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")
app = build(dict(os.environ))
