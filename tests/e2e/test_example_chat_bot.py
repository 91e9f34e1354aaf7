"""The example `chat-bot`: its function and its template, unchanged, in front of `openresponses dev`.

SQS, DynamoDB and the Parameter Store are moto's. Lambda's poller is the few lines of `Bot.deliver`, and the chat is a
server on loopback.
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import boto3
import httpx2
import pytest
from moto import mock_aws

from openresponses_dev.local.template.aws_resources import requests
from openresponses_dev.local.template.template import read_template
from tests.e2e.conftest import Endpoint

EXAMPLE = Path(__file__).parents[2] / "examples/chat-bot"
ECHO = "chat_completions/text!echo"
REGION = "us-east-1"


def new_id() -> str:
    return f"message-{secrets.token_hex(4)}"


@dataclass
class Chat:
    """`posts` are what it was told. It answers with a 503 to so many first posts."""

    posts: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    away: int = 0
    url: str = ""


@pytest.fixture
def chat() -> Iterator[Chat]:
    chat = Chat()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            post = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if chat.away:
                chat.away -= 1
                self.send_response(503)
            else:
                chat.posts.append(post)
                self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        chat.url = f"http://127.0.0.1:{server.server_port}/hooks/secret"
        yield chat
        server.shutdown()
        thread.join()


@dataclass
class Bot:
    """The function, and the queue that invokes it."""

    module: ModuleType
    queue: str
    sqs: Any

    def hear(self, **message: str) -> None:
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps(message))

    def deliver(self) -> list[Exception]:
        """Until the queue is empty. A message whose invocation raised comes again, here at once. Returns those."""
        raised: list[Exception] = []
        until = time.monotonic() + 60
        while self._left():
            assert time.monotonic() < until
            for found in self.sqs.receive_message(QueueUrl=self.queue).get("Messages", ()):
                record = {"messageId": found["MessageId"], "body": found["Body"], "eventSource": "aws:sqs"}
                receipt = {"QueueUrl": self.queue, "ReceiptHandle": found["ReceiptHandle"]}
                try:
                    self.module.handler({"Records": [record]}, None)
                except Exception as error:
                    raised.append(error)
                    self.sqs.change_message_visibility(**receipt, VisibilityTimeout=0)
                else:
                    self.sqs.delete_message(**receipt)
            time.sleep(0.02)
        return raised

    def _left(self) -> int:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(each) for each in found.values())


@pytest.fixture
def start(cloud: Endpoint, chat: Chat, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Bot]]:
    """What the template declares, and the function with its variables. It is given a model."""
    own = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}
    for name, value in own.items():
        monkeypatch.setenv(name, value)

    def started(model: str) -> Bot:
        values = {"BaseUrl": cloud.base_url, "ChatWebhook": chat.url, "Model": model}
        template = read_template(EXAMPLE / "template.yaml", values)
        for each in requests(template):
            getattr(boto3.client(each.service), each.method)(**each.arguments)
        sqs, variables = boto3.client("sqs"), template.functions["BotFunction"].environment
        queue = sqs.create_queue(QueueName="Messages", Attributes={"VisibilityTimeout": "180"})["QueueUrl"]
        boto3.client("ssm").put_parameter(Name=variables["KEY_PARAMETER"], Type="SecureString", Value=cloud.api_key)
        for name, value in {**variables, "QUEUE": queue}.items():
            monkeypatch.setenv(name, value)
        spec = importlib.util.spec_from_file_location("chat_bot", EXAMPLE / "bot/app.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return Bot(module, queue, sqs)

    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        yield started


def test_a_message_that_comes_twice_is_answered_once(start: Callable[[str], Bot], chat: Chat, cloud: Endpoint) -> None:
    bot, first, second, begin = start(ECHO), new_id(), new_id(), len(cloud.log_lines())
    heron = "/fake echo;delay_ms=300"
    for _ in range(2):
        bot.hear(id=first, chat="birds", text=heron)
    bot.hear(id=second, chat="birds", text="Grey heron?")  # while the conversation is at work
    assert bot.deliver() == []
    assert [line for line in cloud.log_lines()[begin:] if "conversation_locked" in line]
    bot.hear(id=first, chat="birds", text=heron)
    assert bot.deliver() == []
    posted = sorted(post["text"] for post in chat.posts)  # in whatever order the bot's polls found the answers
    assert posted == [heron, "Grey heron?"]
    assert {post["channel"] for post in chat.posts} == {"birds"}
    conversation = bot.module.conversation_of("birds")
    items = httpx2.get(
        f"{cloud.base_url}/conversations/{conversation}/items?order=asc",
        headers={"authorization": f"Bearer {cloud.api_key}"}, trust_env=False,
    ).json()["data"]  # fmt: skip
    assert [item["content"][0]["text"].strip() for item in items] == [heron, heron, "Grey heron?", "Grey heron?"]


def test_a_response_that_fails_is_told(start: Callable[[str], Bot], chat: Chat) -> None:
    bot = start(ECHO)
    bot.hear(id=new_id(), chat="birds", text="/fake status;code=400")
    bot.hear(id=new_id(), chat="fish", text="Trout?")
    assert bot.deliver() == []
    told = {post["channel"]: post["text"] for post in chat.posts}
    assert told["fish"] == "Trout?"
    assert told["birds"].startswith("That did not work: The provider refused the request")


def test_a_request_that_is_refused_is_told_also_if_the_chat_is_away_at_first(
    start: Callable[[str], Bot], chat: Chat
) -> None:
    bot, chat.away = start("nobody/small"), 1
    bot.hear(id=new_id(), chat="birds", text="Blue heron?")
    assert [str(each) for each in bot.deliver()] == ["HTTP 503"]
    (post,) = chat.posts
    assert post["text"].startswith("That did not work: ")
    assert "nobody" in post["text"]
