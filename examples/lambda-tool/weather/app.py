"""The tool `weather`: what the thermometer of a city measured last.

The server invokes it with {call_id, response_id, idempotency_token, name, arguments}. The model reads what it returns:
text as it is, anything else as JSON. An exception tells the model that the call failed, and why.
"""

import os

import boto3  # in Lambda's runtime

readings = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event: dict, context: object) -> dict:
    city = event["arguments"]["city"]
    reading = readings.get_item(Key={"city": city}).get("Item")
    if reading is None:
        raise ValueError(f"There is no thermometer in {city}.")
    return {"city": city, "celsius": float(reading["celsius"])}
