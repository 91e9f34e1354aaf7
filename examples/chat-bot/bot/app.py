"""A chat bot whose answers may take minutes, in a function that never waits for one.

A message of the queue is a question: {id, chat, text}, with an id that no other chat has. The function asks in the
background, and puts the message back with the response's id, to be seen again after a delay: {id, chat, text, response,
waits}. It does so until the response is over, and posts the answer to the chat. A queue may bring a message twice: the
question is asked once, by its Idempotency-Key, and answered once, by a mark in the table.
"""

import json
import os
import time
import urllib.error
import urllib.request

import boto3  # in Lambda's runtime

WEEK_S = 7 * 86_400
LONGEST_S = 60

sqs = boto3.client("sqs")
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
parameter = boto3.client("ssm").get_parameter(Name=os.environ["KEY_PARAMETER"], WithDecryption=True)
KEY = parameter["Parameter"]["Value"]


class Failed(OSError):
    """An answer that is an error."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.body = status, body


class Busy(Exception):
    """Another question of the chat is being answered, or the key's limit is reached."""


class Refused(Exception):
    """The server would refuse the request again."""


def handler(event: dict, context: object) -> None:
    """An exception leaves the message in the queue, which brings it again."""
    for record in event["Records"]:
        message = json.loads(record["body"])
        try:
            look(message) if "response" in message else ask(message)
        except Busy:
            later(message)
        except Refused as refused:
            tell(message, f"That did not work: {refused}")


def ask(message: dict) -> None:
    request = {"model": os.environ["MODEL"], "input": message["text"], "background": True}
    request["conversation"] = conversation_of(message["chat"])
    response = call("POST", "/responses", request, {"Idempotency-Key": message["id"]})
    later({**message, "response": response["id"], "waits": 0})


def look(message: dict) -> None:
    response = call("GET", f"/responses/{message['response']}")
    if response["status"] in ("queued", "in_progress"):
        later(message)
    else:
        tell(message, text_of(response))


def text_of(response: dict) -> str:
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    text = "".join(part.get("text") or part.get("refusal", "") for part in parts).strip()
    if response["status"] == "completed":
        return text
    why = response["error"] or response["incomplete_details"] or {}
    return f"{text}\nThat did not work: {why.get('message') or why.get('reason') or response['status']}".strip()


def conversation_of(chat: str) -> str:
    key = {"id": f"chat/{chat}"}
    kept = table.get_item(Key=key, ConsistentRead=True).get("Item")
    if kept:
        return kept["conversation"]
    made = call("POST", "/conversations", {"metadata": {"chat": chat}})["id"]
    update = "SET conversation = if_not_exists(conversation, :made)"  # two messages may come at once
    values = {":made": made}
    kept = table.update_item(Key=key, UpdateExpression=update, ExpressionAttributeValues=values, ReturnValues="ALL_NEW")
    return kept["Attributes"]["conversation"]


def later(message: dict) -> None:
    """After 1 second, then 2, 4 and so on."""
    waits = message.get("waits", 0)
    body = json.dumps({**message, "waits": waits + 1})
    sqs.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=body, DelaySeconds=min(2**waits, LONGEST_S))


def tell(message: dict, text: str) -> None:
    """Once for a message. If the function dies between mark and post, the chat hears nothing: better than twice."""
    mark = {"id": f"told/{message['id']}"}
    try:
        item = {**mark, "expires": int(time.time()) + WEEK_S}
        table.put_item(Item=item, ConditionExpression="attribute_not_exists(id)")
    except table.meta.client.exceptions.ConditionalCheckFailedException:
        return
    try:
        send("POST", os.environ["CHAT_WEBHOOK"], {"channel": message["chat"], "text": text})
    except OSError:
        table.delete_item(Key=mark)
        raise


def call(method: str, path: str, body: dict | None = None, headers: dict | None = None) -> dict:
    """Raises Busy and Refused, and OSError for what may be mended by itself."""
    try:
        content = send(
            method, os.environ["BASE_URL"] + path, body, {"Authorization": f"Bearer {KEY}", **(headers or {})}
        )
    except Failed as failed:
        if failed.status in (409, 429):
            raise Busy from None
        if failed.status >= 500:
            raise
        raise Refused(json.loads(failed.body)["error"]["message"]) from None
    return json.loads(content)


def send(method: str, url: str, body: dict | None, headers: dict | None = None) -> bytes:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.read()
    except urllib.error.HTTPError as error:
        with error:
            raise Failed(error.code, error.read()) from None
