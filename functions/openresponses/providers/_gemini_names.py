"""Names of functions and models, as Gemini takes them. Pure."""

import hashlib
import re
from urllib.parse import quote

from ..core.errors import RequestError

MAX_NAME = 64
"""Of a function. 128 by today's reference; 64 by that of many models and SDKs."""


def function_name(name: str) -> str:
    """Begins with a letter or an underscore. The same for the same name always, so that histories keep theirs.

    Source: Gemini API, "FunctionDeclaration". Our own names may have dots and dashes too, as Gemini's may.
    """
    if re.fullmatch(rf"[a-zA-Z_][a-zA-Z0-9_.-]{{0,{MAX_NAME - 1}}}", name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"_{name[: MAX_NAME - len(digest) - 2]}_{digest}"


def model_path(model: str) -> str:
    """`models/<model>`; a name with a collection keeps it: `tunedModels/...`, `publishers/google/models/...`.

    Raises RequestError for a name that would lead elsewhere.
    """
    segments = model.split("/") if "/" in model else ["models", model]
    if any(segment in ("", ".", "..") for segment in segments):
        raise RequestError("This is not a model's name", param="model")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)
