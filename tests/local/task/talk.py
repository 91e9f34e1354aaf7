"""Functions behind a WebSocket API: they do what they are asked, and tell what they were given."""

import json
import os
import signal
import time
from pathlib import Path

CLIENTS = {}


def client(service):
    """Importing boto3 takes a while, and half of the functions need none."""
    import boto3

    return CLIENTS.setdefault(service, boto3.client(service))


def gate(event, context):
    asked = event["headers"]["Authorization"]
    if asked == "crash":
        raise ValueError("planted")
    if asked == "unauthorized":
        raise Exception("Unauthorized")
    if asked == "odd":
        return "not a policy"
    statement = {"Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Effect": "Deny" if asked == "deny" else "Allow"}]}
    told = {"tenant": "acme", "n": 1, "yes": True, "event": json.dumps(event)}
    return {"principalId": "who", "policyDocument": policy, "context": told}


def handler(event, context):
    match event["requestContext"]["eventType"]:
        case "CONNECT":
            asked = json.loads((event.get("queryStringParameters") or {}).get("do", "{}"))
        case "DISCONNECT":
            return keep(event)
        case "MESSAGE":
            asked = message(event["body"])
    return do(asked, event)


def message(text):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"tell": True}


def keep(event):
    if "KEEP" in os.environ:
        name = event["requestContext"]["connectionId"]
        there = Path(os.environ["KEEP"], f"{name}.part")
        there.write_text(json.dumps(event))
        there.rename(there.with_suffix(".json"))
    return {"statusCode": 200}


def do(asked, event):
    connection = event["requestContext"]["connectionId"]
    if "sleep" in asked:
        time.sleep(asked["sleep"])
    if "keep" in asked:
        keep(event)
    if "raise" in asked:
        raise ValueError(asked["raise"])
    if "die" in asked:
        os.kill(os.getpid(), signal.SIGKILL)
    if "tell" in asked:
        where = {name: value for name, value in os.environ.items() if "URL" in name}
        post(connection, json.dumps({"event": event, "where": where}))
    for number in range(asked.get("count", 0)):
        post(connection, str(number) * asked.get("size", 1))
    if "close" in asked:
        client("apigatewaymanagementapi").delete_connection(ConnectionId=connection)
    if "later" in asked:
        payload = json.dumps({**asked["later"], "requestContext": {"connectionId": connection}})
        answer = client("lambda").invoke(FunctionName=os.environ["WORKER"], InvocationType="Event", Payload=payload)
        post(connection, str(answer["StatusCode"]))
    return asked.get("answer", {"statusCode": 200})


def later(event, context):
    return do(event, event)


def mourn(event, context):
    """Tells of one that failed, and fails at the second."""
    first = event["requestPayload"]
    while "requestPayload" in first:
        first = first["requestPayload"]
    post(first["requestContext"]["connectionId"], json.dumps(event))
    if "again" in first:
        raise ValueError("planted")


def post(connection, text):
    client("apigatewaymanagementapi").post_to_connection(ConnectionId=connection, Data=text)


def http(event, context):
    seen = {name.lower(): value for name, value in event["headers"].items()}
    return {"statusCode": 426, "body": json.dumps({"key": "sec-websocket-key" in seen, "path": event["path"]})}
