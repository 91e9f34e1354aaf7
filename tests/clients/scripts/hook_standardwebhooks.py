# /// script
# requires-python = ">=3.11"
# dependencies = ["standardwebhooks==1.1.0"]
# ///
"""Says which messages the reference library of Standard Webhooks accepts. They come as JSON, a line each."""

import json
import sys

from standardwebhooks import Webhook, WebhookVerificationError

for line in sys.stdin:
    message = json.loads(line)
    try:
        event = Webhook(message["secret"]).verify(message["body"], message["headers"])
        print(event["type"])
    except WebhookVerificationError:
        print("refused")
