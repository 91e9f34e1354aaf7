"""The API function: `app` is what the runtime serves."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from ..api.access import Access
from ..api.app import create_app
from ..core.run import REASONING_SHOWN
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from .compose import Deployment
from .local_aws import use_local_aws


def build(environment: Mapping[str, str]):
    deployment = Deployment(environment)

    @lru_cache(maxsize=256)
    def open_to(access: Access) -> tuple[NewResponses, StoredResponses]:
        ports = deployment.ports(access.tenant, access.models)
        settings = deployment.settings
        least = next(each for each in reversed(REASONING_SHOWN) if each in (access.reasoning, settings.reasoning))
        new = NewResponses(ports, replace(settings, reasoning=least), access.key_id, access.models)
        return new, StoredResponses(ports)

    return create_app(open_to, deployment.settings, deployment.router.aclose)


os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")
use_local_aws(os.environ)
app = build(os.environ)
