"""Where the interpreter starts: rebuilds `sys.path` as the stock bootstrap would, then runs the loop.

Kept tiny and free of imports, because a script, unlike a module, is compiled on every cold start.
"""

import gc
import os
import sys

if __name__ == "__main__":
    gc.disable()  # nothing of what is imported is garbage; the loop turns it on again
    task_root = os.environ.get("LAMBDA_TASK_ROOT", os.getcwd())
    runtime_dir = os.environ.get("LAMBDA_RUNTIME_DIR", "/var/runtime")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    layers = [] if "PYTHONPATH" in os.environ else [f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    # Our own directory must not stay on the path: its modules would shadow others of the same name.
    inherited = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    front = [task_root, *(path for path in (*layers, runtime_dir) if os.path.isdir(path))]
    sys.path[:] = list(dict.fromkeys([*front, *inherited]))

    from openresponses.runtime.loop import main  # absolute: a script has no package

    sys.exit(main())
