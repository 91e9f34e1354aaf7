"""Under `sam local`: the way to the AWS services that `openresponses dev` runs.

SAM gives a function the credentials and the region of the developer's own profile. A template may not declare these
variables, and SAM overrides no other ones. So one that the template declares, and leaves empty, carries them.
"""

import json
from collections.abc import MutableMapping


def use_local_aws(environment: MutableMapping[str, str]) -> None:
    """To be called before the first client is made. Changes nothing in a deployment."""
    if variables := environment.get("OPENRESPONSES_LOCAL_AWS"):
        environment.update(json.loads(variables))
