"""Names of tools and ids of calls that upstreams make up. Each dialect has what its own takes of ours."""

import re

MAX_CALL_ID = 256


def item_name(name: str) -> str:
    """What models make up must still be a name that an item can hold: the model is then told of its mistake."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "_", name)[:128]
