"""Hosted tools, one file each. A file put here is a tool: the function with the file's name."""
