"""Tools of one's own: the files of a folder that is not the server's, as the package `tools`.

In Lambda the folder is a layer's, so that its packages are beside it: /opt/python/tools, and /opt/python/<package>.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec

from .files import ToolFiles

PACKAGE = "tools"
_LAYER = "/opt/python"


def own_files(folder: str, *, traced: bool = False) -> ToolFiles:
    """The tools of the folder, which may be empty or missing. They can't import what is beside it, unless it is a
    layer's.
    """
    spec = ModuleSpec(PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [folder]
    sys.modules[PACKAGE] = module_from_spec(spec)
    if os.path.dirname(folder) == _LAYER:
        _last(_LAYER)
    return ToolFiles(PACKAGE, traced=traced)


def _last(path: str) -> None:
    """What a tool brings never takes the place of what the server uses. Lambda has a layer before its own libraries:
    https://docs.aws.amazon.com/lambda/latest/dg/python-package.html#python-package-searchpath
    """
    sys.path[:] = [*(each for each in sys.path if each != path), path]
