"""The HTTP surface: routes, who calls, SSE, errors as answers."""
