"""What the local cloud tells its console: a page in the browser."""
