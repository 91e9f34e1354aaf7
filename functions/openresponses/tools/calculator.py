"""Arithmetic over a parsed expression. Nothing is evaluated by Python, and no operation can grow without bound."""

import ast
import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

Number: TypeAlias = int | float

TIMEOUT = 5.0
MAX_LENGTH = 500
"""Characters. Also bounds how deeply an expression can nest."""
MAX_DIGITS = 1_000
MAX_FACTORIAL = 400
"""The last factorial with fewer than MAX_DIGITS digits is that of 449."""
_MAX_BITS = int(MAX_DIGITS * math.log2(10))
_ALLOWED = re.compile(r"[\w\s.+\-*/%(),<>=!^]*", re.ASCII)
_SPELLINGS = {"^": "**", "\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u03c0": "pi"}


def calculator(expression: str) -> str:
    """Calculate an arithmetic expression exactly where it can be: integers have no limit of 64 bits.

    Args:
        expression: For example "(2 + 3) * 4 ** 2 / sqrt(9)". Operators: + - * / // (whole quotient) % (remainder)
            ** or ^ (power) and comparisons. Constants: pi, e, tau. Functions: sqrt, cbrt, exp, log (natural, or with
            a base), ln, log2, log10, sin, cos, tan, asin, acos, atan, atan2, degrees, radians, hypot, abs, round,
            floor, ceil, trunc, min, max, factorial, gcd, lcm. Angles are in radians. No thousands separators.
    """
    return _written(_Calculation(expression).result())


def _factorial(n: Number) -> int:
    if not isinstance(n, int) or not 0 <= n <= MAX_FACTORIAL:
        raise ValueError(f"factorial takes a whole number from 0 to {MAX_FACTORIAL}")
    return math.factorial(n)


def _round(x: Number, digits: Number = 0) -> Number:
    if not isinstance(digits, int) or abs(digits) > MAX_DIGITS:
        raise ValueError("round takes a whole number of digits")
    return round(x, digits) if digits else round(x)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > _MAX_BITS + exponent:
        raise ValueError(f"the result of ** would have more than {MAX_DIGITS} digits")
    result = base**exponent
    if isinstance(result, complex):
        raise ValueError("the result of ** is not a real number")
    return result


def _divide(a: Number, b: Number) -> Number:
    return a // b if isinstance(a, int) and isinstance(b, int) and a % b == 0 else a / b


_CONSTANTS: dict[str, float] = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
    "factorial": _factorial,
    "ln": math.log,
    **{name: getattr(math, name) for name in ("sqrt", "cbrt", "exp", "log", "log2", "log10", "sin", "cos", "tan")},
    **{name: getattr(math, name) for name in ("asin", "acos", "atan", "atan2", "degrees", "radians", "hypot")},
    **{name: getattr(math, name) for name in ("floor", "ceil", "trunc", "gcd", "lcm")},
}
_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: _divide,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a % b,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


class _Calculation:
    """One expression. Raises ValueError with the position, counted from 1 in the text as it was given."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise ValueError(f"The expression has {len(text)} characters; {MAX_LENGTH} is the limit.")
        self._origin: list[int] = []
        pieces: list[str] = []
        for at, char in enumerate(text, 1):
            piece = _SPELLINGS.get(char, " " if char.isspace() else char)
            if not _ALLOWED.fullmatch(piece):
                raise ValueError(f"Character {at} of the expression, {char!r}, is not part of arithmetic.")
            pieces.append(piece)
            self._origin += [at] * len(piece)
        self._text = "".join(pieces)

    def result(self) -> Number | bool:
        # The parser skips blanks only behind the start of a line.
        blanks = len(self._text) - len(self._text.lstrip())
        self._origin, self._text = self._origin[blanks:], self._text.strip()
        if not self._text:
            raise ValueError("The expression is empty.")
        try:
            node = ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            raise self._error(f"{error.msg}", (error.offset or 1) - 1) from None
        except (MemoryError, RecursionError):
            raise ValueError("The expression is nested too deeply.") from None
        return self._compared(node) if isinstance(node, ast.Compare) else self._value(node)

    def _compared(self, node: ast.Compare) -> bool:
        values = [self._value(each) for each in (node.left, *node.comparators)]
        holds = True
        for operator, a, b in zip(node.ops, values, values[1:], strict=False):
            if type(operator) not in _COMPARISONS:
                raise self._error("only == != < <= > >= compare numbers", node.col_offset)
            holds = holds and _COMPARISONS[type(operator)](a, b)
        return holds

    def _value(self, node: ast.expr) -> Number:
        """One frame per level: an expression of MAX_LENGTH can't exhaust the stack."""
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self._bounded(node, lambda: value)
            case ast.Name(id=name) if name in _CONSTANTS:
                return _CONSTANTS[name]
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                return -self._value(operand) if isinstance(sign, ast.USub) else self._value(operand)
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _BINARY:
                a, b = self._value(left), self._value(right)
                return self._bounded(node, _BINARY[type(operator)], a, b)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return self._bounded(node, _FUNCTIONS[name], *[self._value(each) for each in args])
            case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
                known = ", ".join((*_CONSTANTS, *_FUNCTIONS))
                raise self._error(f"{name!r} is unknown or misused here; known are {known}", node.col_offset)
            case ast.Tuple():
                raise self._error(
                    "a comma stands only between arguments: write 1000000, not 1,000,000", node.col_offset
                )
            case _:
                raise self._error(f"{ast.unparse(node)[:40]!r} is not arithmetic", node.col_offset)

    def _bounded(self, node: ast.expr, operation: Callable[..., Number], *values: Number) -> Number:
        try:
            result = operation(*values)
        except ZeroDivisionError:
            raise self._error("division by zero", node.col_offset) from None
        except OverflowError:
            raise self._error("a number is too large for floating point", node.col_offset) from None
        except (ValueError, TypeError) as error:
            raise self._error(str(error), node.col_offset) from None
        if isinstance(result, int) and result.bit_length() > _MAX_BITS + 1:
            raise self._error(f"a number has more than {MAX_DIGITS} digits", node.col_offset)
        if isinstance(result, float) and not math.isfinite(result):
            raise self._error("a number is too large for floating point", node.col_offset)
        return result

    def _error(self, why: str, offset: int) -> ValueError:
        at = self._origin[offset] if 0 <= offset < len(self._origin) else len(self._origin)
        return ValueError(f"Can't calculate this: at character {at}: {why}.")


def _written(result: Number | bool) -> str:
    """Integers in full; floats to 15 digits, which hides the binary tail of 0.1 + 0.2."""
    match result:
        case bool():
            return "true" if result else "false"
        case int():
            return str(result)
        case float():
            return f"{result + 0.0:.15g}"  # the sum turns -0.0 into 0.0
