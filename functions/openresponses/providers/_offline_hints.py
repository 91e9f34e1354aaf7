"""Values for the offline model's arguments, found in the user's own words. Knows nothing of schemas or turns."""

import re

FORMATS = {
    "date-time": (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", "2026-01-01T00:00:00Z"),
    "date": (r"\b\d{4}-\d\d-\d\d\b", "2026-01-01"),
    "time": (r"\b\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)", "00:00:00Z"),
    "duration": (r"\bP(?=\d|T\d)(?:\d+[YMWD])*(?:T(?:\d+[HMS])+)?\b", "PT1H"),
    "email": (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "demo@example.com"),
    "uri": (r"https?://[^\s\"'<>]*[^\s\"'<>.,;:!?)]", "https://example.com/"),
    "hostname": (r"\b(?:[a-z0-9-]+\.)+[a-z]{2,}\b", "example.com"),
    "ipv4": (r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "192.0.2.1"),
    "ipv6": (r"\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", "2001:db8::1"),
    "uuid": (r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b", "00000000-0000-4000-8000-000000000000"),
}
"""JSON schema format -> (pattern of such a value within a text, a value where the text has none)."""
_ARITHMETIC = re.compile(r"(?:\d+(?:\.\d+)?|[a-z]\w*(?=\()|\bpi\b|[-+*/%^()\u00d7\u00f7\u2212]|,(?=\s*[\w(-])|\s)+")
_OPERATION = re.compile(r"\d.*[-+*/%^\u00d7\u00f7\u2212]|\w\(")
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?!\.?\d)")
_QUOTATION = re.compile(r"[\"\u201c`]([^\"\u201d`]+)[\"\u201d`]")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'-]*(?:/[A-Z]\w*)*(?: [A-Z][\w'-]*)*")
_NOT_NAMES = {"I", "I'm", "I'll", "I'd", "I've", "JSON", "OK"}


class Hints:
    """Values found in the user's words, each handed out once."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._used: set[tuple[int, int]] = set()

    def find(self, pattern: str | re.Pattern[str], *, group: int = 0) -> str | None:
        """The first match that overlaps nothing handed out before."""
        for match in re.finditer(pattern, self.text):
            span = match.span(group)
            if match[group] not in _NOT_NAMES and not any(a < span[1] and span[0] < b for a, b in self._used):
                self._used.add(span)
                return match[group]
        return None

    def quotation(self) -> str | None:
        return self.find(_QUOTATION, group=1)

    def name(self) -> str | None:
        """A proper name: capitalised words that don't begin a sentence."""
        return self.find(_NAME)

    def number(self, named: str = "") -> float | None:
        """The number after the word `named`, else the first number."""
        after_name = self.find(rf"(?i:\b{_word(named)}\s*[:=]?\s*)(-?\d+(?:\.\d+)?)", group=1) if named else None
        said = after_name or self.find(_NUMBER)
        return None if said is None else float(said)

    def assigned(self, name: str) -> str | None:
        """`name=value` or `name: value`."""
        return self.find(rf"(?i:\b{_word(name)}\s*[:=]\s*)([^\s,;\"]+)", group=1) if name else None

    def expression(self) -> str | None:
        """The longest run of arithmetic with an operator in it, else a number."""
        runs = {_trim(match[0]) for match in _ARITHMETIC.finditer(self.text)}
        for run in sorted((run for run in runs if _OPERATION.search(run)), key=lambda run: (-len(run), run)):
            if found := self.find(re.escape(run)):
                return found
        return self.find(_NUMBER)


def _word(name: str) -> str:
    return re.escape(name).replace("_", "[_ ]")


def _trim(run: str) -> str:
    """A run of arithmetic without the punctuation of the sentence around it."""
    run = run.strip(" \t\r\n,*/%^\u00d7\u00f7").rstrip("-+\u2212")
    while run.count(")") > run.count("(") and run.endswith(")"):
        run = run[:-1].rstrip()
    while run.count("(") > run.count(")") and run.startswith("("):
        run = run[1:].lstrip()
    return run.strip()
