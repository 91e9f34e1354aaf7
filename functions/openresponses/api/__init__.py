"""The HTTP surface: FastAPI app, authentication, SSE, errors as answers."""
