def raises(reason: str) -> str:
    """Raise."""
    if reason == "value":
        raise ValueError("Say something else.")
    raise KeyError(reason)
