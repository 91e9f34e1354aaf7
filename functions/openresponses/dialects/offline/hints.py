"""What a user's words suggest for a value. Each search takes time in proportion to the words, whatever they are."""

import re

_RUN = re.compile(r"[\d\s.+\-*/%^()]+")
_OPERATION = re.compile(r"\d\)*[-+*/%^]")
_SPACES = re.compile(r"\s+")
_NUMBER = re.compile(r"(?<![\w.-])-?\d{1,15}(?:\.\d+)?(?!\.?\d)")
_QUOTATION = re.compile(r"[\"\u201c]([^\"\u201c\u201d]+)[\"\u201d]")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'/-]+(?: [A-Z][\w'/-]+)*")
"""Capitalised words that don't begin a sentence."""
_NO_OPERAND = " \t\r\n\f\v.+-*/%^"


def number(words: str) -> float | None:
    """The first number."""
    found = _NUMBER.search(words)
    return float(found[0]) if found else None


def expression(words: str) -> str | None:
    """The first piece of arithmetic with an operator, else the first number."""
    pieces = (found[0].lstrip(_NO_OPERAND + ")").rstrip(_NO_OPERAND + "(") for found in _RUN.finditer(words))
    found = [piece for piece in pieces if any(map(str.isdigit, piece))]
    return next((each for each in found if _OPERATION.search(_SPACES.sub("", each))), found[0] if found else None)


def quoted_or_named(words: str) -> str | None:
    """The first quotation, else the first name."""
    if quotation := _QUOTATION.search(words):
        return quotation[1]
    name = _NAME.search(words)
    return name[0] if name else None
