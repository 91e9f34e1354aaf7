"""Stand-ins for the world outside, on loopback: a scripted upstream for each of the providers' dialects.

How to add a dialect's: write `tests/fakes/<dialect>.py`, named as the dialect's module in `providers/` is.

- A `Wire` (see `tests.fakes.wire`): `serves` knows its paths, `check` refuses what the real server refuses (with
  `need(condition, message, status, code)`; where these are many, in `<dialect>_rules.py`), `read` gives the
  scenarios their neutral view of the request, `error` makes the vendor's error object. `settings` and `model` say
  how a provider is set up to use it.
- A `Stream`: `begin`, then words of reasoning, text or refusal and whole calls, then `end`, each as bytes. It
  opens and closes the vendor's blocks itself. Reasoning that the vendor signs is signed with `sign(dialect, text)`;
  `check` refuses a signature that `is_signed` doesn't know, and a lost one where the vendor does.
- `WIRE = <the class>`, and `if __name__ == "__main__": main(<the class>)`.

`tests.fakes.server.fake_upstream("<dialect>")` serves it in a test, `python -m tests.fakes.<dialect> --port 0` in
a process of its own; what it can be told is in `tests.fakes.scenarios`. The tests of all dialects find it by name.
"""
