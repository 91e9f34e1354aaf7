import sys


def raises(reason: str) -> object:
    """Raise."""
    match reason:
        case "value":
            raise ValueError("Say something else.")
        case "exit":
            sys.exit(3)
        case "odd":
            return object()
        case _:
            raise KeyError(reason)
