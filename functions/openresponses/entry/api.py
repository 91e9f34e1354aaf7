"""The API function: `app` is what the runtime serves."""

import os
from collections.abc import Mapping

from ..api.app import create_app
from ..core.routing import Router
from ..core.service import Service
from ..core.stored import Stored
from ..providers import connect
from .compose import ports_from
from .settings import settings_from


def build(environment: Mapping[str, str]):
    settings = settings_from(environment)
    router = Router(settings, connect)
    ports = ports_from(environment, router)
    return create_app(Service(ports, settings), Stored(ports.storage, ports.now), settings, router.aclose)


os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")
app = build(os.environ)
