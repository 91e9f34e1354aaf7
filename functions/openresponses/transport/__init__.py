"""HTTP requests to the outside, and their event streams. Knows nothing of the core."""
