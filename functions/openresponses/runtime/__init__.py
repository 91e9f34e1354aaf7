"""A Lambda runtime that streams: it serves the ASGI app named by `_HANDLER` from the Lambda Runtime API.

It knows the Runtime API, API Gateway's events and ASGI; nothing of Open Responses. Nothing imports it but the
interpreter that `functions/bootstrap` starts, so it goes the day AWS streams from Python by itself.

One variable of our own: `OPENRESPONSES_RESPONSE_MODE=streaming|buffered` overrides what the environment suggests,
which is to stream, except under `sam local` and the Runtime Interface Emulator.
"""
