raise ImportError("a dependency of this tool is not installed")
