"""A refund that a person approves: an example of a Lambda function that models may call, and that answers later.

The server invokes it with {call_id, response_id, idempotency_token, name, arguments, task_token}, and waits until
somebody answers with that token, as long as the parameter's `timeout` says. What this returns is no answer. If it
raises, the model is told at once that the call failed.

This one asks in its log. A real one sends a mail, or a message with two buttons, to whoever may decide, and answers by
Step Functions' SendTaskSuccess. Whoever has the token can answer: treat it as a secret.

A call can come twice, with the same idempotency_token: then the first task_token is worth nothing any more.
"""
# pyright: basic

import json
from typing import Any

MOST = 10_000
"""What nobody may approve is refused at once."""


def handler(event: dict[str, Any], context: object) -> None:
    order, amount = event["arguments"]["order"], event["arguments"]["amount"]
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 < amount <= MOST:
        raise ValueError(f"amount must be a number above 0, of {MOST} at most")
    answer = f"openresponses tools answer {event['task_token']}"
    print(
        f"A refund of {amount} for order {json.dumps(order)} waits for a person:\n"
        f"  {answer} --output Approved\n"
        f"  {answer} --error 'Not approved: say why'",
        flush=True,
    )
