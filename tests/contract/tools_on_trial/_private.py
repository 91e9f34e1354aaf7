raise ImportError("a module whose name begins with _ is not a tool, and is not imported")
