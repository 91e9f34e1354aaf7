"""What one turn of the offline model may cost. It runs on the event loop that every request shares, and a client writes
what it works on, so it asks here before it looks or writes. What the budget does not allow is left out.

Nothing of a client's is run or compiled, regular expressions least of all.
"""

from dataclasses import dataclass
from math import isfinite

from pydantic import JsonValue

CALLS = 32
"""In one turn."""
SEARCHED = 10_000
"""Characters of the last user message that are read."""
COUNTED = 100_000
"""Characters of the context whose words are counted. Beyond them, six characters are taken for a word."""
_DEEPEST = 64
_LARGEST = 1_024
"""Bits of a whole number: no float is larger."""


@dataclass(slots=True)
class Budget:
    """What is left for this turn.

    `looks` are at parts of a client's JSON schemas, `characters` are of the values made from them and of quotations,
    `words` are said, and `seconds` are waited because a script says so: as long as a worst-case turn may take.
    """

    looks: int = 5_000
    characters: int = 100_000
    words: int = 10_000
    seconds: float = 300.0

    def look(self, parts: int = 1) -> bool:
        """Take `parts` looks. Whether they may be taken."""
        self.looks -= parts
        return self.looks >= 0

    def write(self, characters: int) -> bool:
        """Take `characters`, if there are so many. Whether there were."""
        enough = characters <= self.characters
        self.characters -= characters if enough else 0
        return enough

    def wait(self, seconds: float) -> float:
        """How long to wait where `seconds` are asked for."""
        granted = min(seconds, self.seconds)
        self.seconds -= granted
        return granted

    def copy(self, value: JsonValue) -> JsonValue:
        """`value`, paid for part by part; None if it costs too much, or can't be written as JSON."""
        parts: list[tuple[JsonValue, int]] = [(value, 0)]
        while parts:
            part, depth = parts.pop()
            if depth > _DEEPEST or not self.look() or not self._allows(part):
                return None
            if isinstance(part, dict | list):
                if not self.look(len(part)) or (isinstance(part, dict) and not all(map(self.write, map(len, part)))):
                    return None
                parts += [(each, depth + 1) for each in (part.values() if isinstance(part, dict) else part)]
        return value

    def _allows(self, part: JsonValue) -> bool:
        match part:
            case str():
                return self.write(len(part))
            case int():
                return part.bit_length() <= _LARGEST and self.write(len(str(part)))
            case float():
                return isfinite(part) and self.write(len(str(part)))
            case _:
                return True
