"""What the server costs, measured against the least that could do the same: `uv run python -m tests.bench`."""
