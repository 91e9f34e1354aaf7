"""Parameters and every storage port in memory, for tests and for trying things out.

Values are kept as JSON, so that nobody shares an object with the storage.
"""
