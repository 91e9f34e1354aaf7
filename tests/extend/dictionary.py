"""Look words up."""


def dictionary(word: str) -> str:
    """The definition of a word.

    Args:
        word: The word, in English.
    """
    return f"{word}: a word"
