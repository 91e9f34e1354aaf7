import time

TIMEOUT = 0.05


def blocks(seconds: float = 0.4) -> str:
    """Block its thread for longer than its time."""
    time.sleep(seconds)
    return "late"
