"""A web page's HTML as Markdown. A program of its own, which `page` runs: it knows nothing of this package.

HTML of strangers is parsed by C code, and trees can be made that take seconds and gigabytes. So it happens in a process
that has no secrets, little memory and little time, and that may be killed.

    python reader.py BYTES SECONDS BASE_URL CHARSET <page.html

Standard output is JSON: the title, and the text.
"""

import json
import resource
import sys
from contextlib import suppress

_WITHOUT = "script, style, noscript, template, svg, iframe, nav, footer, aside, [hidden], [aria-hidden=true]"
"""What no reader of the page means by its text."""
_MAX_TITLE, _MAX_TEXT = 300, 200_000
"""Characters."""


def main(memory: str, seconds: str, base_url: str, charset: str) -> None:
    with suppress(ValueError, OSError):  # macOS, where only `dev` runs, has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from turbohtml import Markdown, parse

    page = sys.stdin.buffer.read()
    try:
        document = parse(page, encoding=charset or None, positions=False)
    except LookupError:  # a charset that nobody knows
        document = parse(page, positions=False)
    title = document.select_one("title")
    for each in document.select(_WITHOUT):
        each.decompose()
    with suppress(ValueError):  # a link that is none
        document.resolve_links(base_url)
    layout = Markdown(links=Markdown.Links(skip_internal=True), images=Markdown.Images(mode="ignore"))
    text = document.to_markdown(layout).strip()
    told = {"title": " ".join(title.text.split())[:_MAX_TITLE] if title else "", "text": text[:_MAX_TEXT]}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
