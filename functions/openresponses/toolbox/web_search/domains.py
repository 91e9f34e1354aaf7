"""The domains that a search is limited to."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_DOMAIN = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def domain_of(text: str) -> str:
    """A domain as it is compared: in ASCII and lower case. Raises ValueError for what is none."""
    domain = text.strip().rstrip(".")
    domain = (domain if domain.isascii() else domain.encode("idna").decode()).lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError("no domain")
    return domain


def is_within(url: str, domains: Iterable[str]) -> bool:
    """Whether it is a web page of one of the domains, or of a subdomain. Without domains every one is."""
    try:
        split = urlsplit(url)
        host = domain_of(split.hostname or "") if domains else split.hostname
    except ValueError:
        return False
    if split.scheme not in ("http", "https") or not host:
        return False
    within = [host == domain or host.endswith(f".{domain}") for domain in domains]
    return any(within) or not within
