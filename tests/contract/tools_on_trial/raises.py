import sys


def raises(reason: str) -> str:
    """Raise."""
    if reason == "value":
        raise ValueError("Say something else.")
    if reason == "exit":
        sys.exit(reason)
    raise KeyError(reason)
