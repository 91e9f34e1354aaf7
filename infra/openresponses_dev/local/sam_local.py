"""What `sam local` has to be told, so that the functions that it runs answer from this local cloud.

SAM takes a file of variables for each function, `--env-vars`, and passes those on that the template declares. Its own
ones, the developer's credentials and region among them, can't be set there (samcli/local/lambdafn/env_vars.py). So one
variable of the template carries them to the functions, where functions/openresponses/entry/local_aws.py takes them out.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping

from openresponses_dev.local.template.intrinsics import REGION
from openresponses_dev.local.template.template import FunctionSpec

FILE = "sam-local.json"
_CARRIER = "OPENRESPONSES_LOCAL_AWS"


def checked(address: str) -> str:
    """Raises ValueError unless it is the address of one private network: the services listen there."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        found = None
    if found is None or found.is_unspecified or not found.is_private:
        raise ValueError(f"{address}: not an IPv4 address of a private network")
    return address


def env_vars(
    functions: Iterable[FunctionSpec], services: Mapping[str, str], extra: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The file's content: a function's variables by its name. `services` lead to the local AWS services; `extra`
    overrides what the template says.
    """
    own = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_SESSION_TOKEN": "", **services}
    given = {**extra, _CARRIER: json.dumps(own)}
    return {
        function.name: {name: given.get(name, value) for name, value in function.environment.items()}
        for function in functions
    }
