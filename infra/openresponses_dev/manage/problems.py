"""Problems that a user can mend, and how commands print. AWS's errors are translated here and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from openresponses_dev.local.command_line import command
from openresponses_dev.local.terminal import one_line, say


def columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without lines. The last column is not padded."""
    table = [[one_line(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(map(str.rstrip, lines))


def warn(text: str) -> None:
    say(f"warning: {one_line(text)}", sys.stderr)


def fail(error: object, words: str = "") -> int:
    """Say why a command cannot run as it was typed, and which command tells more. Its exit status."""
    say(f"openresponses: {error}", sys.stderr)
    if words:
        say(f"  try: {command(words)}", sys.stderr)
    return 2


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is most likely a misspelling of; empty where none is near."""
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=_NEAR)), "")


def tell(problem: Problem) -> int:
    """Say why a command could not do what it was asked. Its exit status."""
    say(f"openresponses: {one_line(str(problem))}", sys.stderr)
    for each in problem.details:
        say(f"  {one_line(each)}", sys.stderr)
    if problem.mend:
        say(f"  try: {one_line(problem.mend)}", sys.stderr)
    return 1


def meant(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that `name` is not known: which one is near. Empty where none is."""
    near = nearest(name, known)
    return f": did you mean {near}?" if near else ""


def unknown(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a value that must be one of a few."""
    names = [*known]
    near = nearest(name, names)
    return f"there is no {name!r}; " + (f"did you mean {near!r}?" if near else f"have {names}")


_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}
_BAD_CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NEAR = 0.6
"""Of 1: how much two names have in common when one is a misspelling of the other."""
_SIGN_IN = "sign in (aws sso login, aws configure), or choose a profile with --profile"
_ALLOWED_BY = {"s3:HeadBucket": "s3:ListBucket", "dynamodb:TransactWriteItems": "dynamodb:PutItem"}
"""Calls that IAM allows by another name."""


class Problem(Exception):
    """`mend` is the command or the action that mends it; empty where there is no general one. `details` are more lines,
    where there are several things to say.
    """

    def __init__(self, message: str, mend: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.mend, self.details = mend, tuple(details)


class BadSetting(Problem):
    """What is wrong with a document that is to be set: in the field that `place` leads to, or in the whole of it."""

    def __init__(self, of: str, place: Sequence[str | int], what: str, mend: str = "") -> None:
        super().__init__(": ".join(filter(None, (of, ".".join(map(str, place)), what))), mend)
        self.place, self.what = tuple(place), what

    @classmethod
    def read(cls, of: str, error: ValueError, mend: str = "") -> BadSetting:
        """Of what a function's own reader raises."""
        from openresponses.core.settings import BadField  # with pydantic, which --help does without

        if isinstance(error, BadField):
            return cls(of, error.place, error.what, mend)
        return cls(of, (), str(error).removeprefix(f"{of}: "), mend)

    def typed(self, words: Mapping[str, tuple[str, str]], mend: str) -> Problem:
        """As it is said of the options that made the document. `words` are the option of a field, where that has not
        its name, and what mends it; `mend` is what mends others.
        """
        if not self.place:
            return self
        field, *rest = map(str, self.place)
        option, mends = words.get(field, (f"--{field.replace('_', '-')}", mend))
        inside = (each for each in rest if not each.isdecimal())  # no position in a list
        return Problem(f"{' '.join((option, *inside))}: {self.what}", self.mend or mends)


class AwsRefused(Problem):
    """AWS said no; `code` is its word for why."""

    def __init__(self, code: str, message: str, mend: str = "") -> None:
        super().__init__(message, mend)
        self.code = code


@contextmanager
def as_problem(*kinds: type[Exception]) -> Generator[None]:
    """What is raised within of these kinds, as a problem in its own words."""
    try:
        yield
    except kinds as error:
        raise Problem(str(error)) from None


@contextmanager
def translated(service: str) -> Generator[None]:
    """What botocore raises within, as problems. `service` is IAM's prefix, such as `states`."""
    errors: Any = import_module("botocore.exceptions")
    try:
        yield
    except errors.ClientError as error:
        raise _refused(service, error) from None
    except (errors.NoCredentialsError, errors.PartialCredentialsError, errors.CredentialRetrievalError) as error:
        raise Problem(f"no AWS credentials: {error}", _SIGN_IN) from None
    except (errors.ProfileNotFound, errors.SSOError, errors.TokenRetrievalError) as error:
        raise Problem(str(error), _SIGN_IN) from None
    except errors.NoRegionError:
        raise Problem("no AWS region", "pass --region, or set AWS_REGION") from None
    except errors.BotoCoreError as error:
        raise Problem(f"{service} cannot be called: {error}") from None


def _refused(service: str, error: Any) -> AwsRefused:
    answer: dict[str, Any] = error.response.get("Error", {})
    code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
    action = f"{service}:{error.operation_name}"
    if code in _FORBIDDEN:
        action = _ALLOWED_BY.get(action, action)
        return AwsRefused(code, f"you may not {action}", f"have {action} allowed to you")
    if code in _BAD_CREDENTIALS:
        return AwsRefused(code, f"AWS takes these credentials no longer, or never did ({code})", _SIGN_IN)
    return AwsRefused(code, f"{action}: {message or code}")
