def speaks(words: int, /, *more: str) -> str:
    """A signature that can't be a JSON object."""
    return "no"
