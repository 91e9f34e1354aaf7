"""The API function: `app` is what the runtime serves."""

import os
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from ..api.access import Access, access_of
from ..api.app import create_app, no_endpoints
from ..responses.create import NewResponses
from ..responses.stored import StoredResponses
from .compose import Deployment
from .local_aws import use_local_aws

if TYPE_CHECKING:
    from ..webhooks.endpoints import StoredEndpoints


def build(environment: Mapping[str, str]):
    deployment = Deployment(environment)

    @lru_cache(maxsize=256)
    def open_to(access: Access) -> tuple[NewResponses, StoredResponses]:
        return deployment.use_cases(access.tenant, access.key_id, access.models, access.mcp, access.reasoning)

    def endpoints_of(tenant: str) -> "StoredEndpoints":
        from ..webhooks.endpoints import StoredEndpoints  # here: most sandboxes are asked for none

        return StoredEndpoints(deployment.webhooks(tenant))

    return create_app(
        open_to,
        deployment.settings,
        deployment.aclose,
        identify=partial(access_of, signed_api=environment.get("OPENRESPONSES_SIGNED_API", "")),
        endpoints_of=endpoints_of if deployment.clients else no_endpoints,
    )


os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "openresponses")
os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "openresponses")
use_local_aws(os.environ)
app = build(os.environ)
