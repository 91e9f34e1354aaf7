"""An example of a tool: the file and the function have its name, and the model is told signature and docstring."""

WORDS = {"item": "A unit of a response's input or output.", "turn": "What a model says until it stops or calls."}


def dictionary(word: str) -> str:
    """Give the definition of a word.

    Args:
        word: The word, in English.
    """
    if word not in WORDS:
        raise ValueError(f"There is no such word. Known words: {', '.join(WORDS)}")  # the model is told this
    return WORDS[word]
