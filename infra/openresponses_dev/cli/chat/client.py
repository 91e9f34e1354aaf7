"""The HTTP that `chat` speaks: one response as events, which a thread reads, so that it can be stopped meanwhile."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue

import httpx2

from openresponses_dev.cli.chat.server import API_KEY, Server, message_in
from openresponses_dev.local.answer.calls import Event
from openresponses_dev.local.command_line import command

ENDINGS = ("response.completed", "response.incomplete", "response.failed")
_TIMEOUT = httpx2.Timeout(10, read=120)  # the server's heartbeat comes far more often
_FOUND = ("model_not_found", "previous_response_not_found", "response_not_found")
"""Codes of an API that is there."""
_VERSION = re.compile(r"/v\d")
_MAKE = "keys create --tenant default"
_BREAKS = 3
"""How often a stream that breaks is resumed."""
PAUSE_S = 0.5
"""Before it is resumed for the first time; each further time it is as much longer."""
_NAMED_S, _ENDED_S = 20.0, 5.0
"""How long a response that is to be cancelled may take to get its id, and to end."""


class TurnFailed(Exception):
    """No answer came; the message is for the user, `mend` says what mends it, and `code` is the server's for it."""

    def __init__(self, message: str, mend: str = "", code: str = "") -> None:
        super().__init__(message)
        self.mend, self.code = mend, code


class ReadingOver(Exception):
    """No event comes any more."""


class Client:
    """Of one server. Every method raises TurnFailed."""

    def __init__(self, server: Server, transport: httpx2.BaseTransport | None = None) -> None:
        self.server = server
        headers = {"authorization": f"Bearer {server.api_key}"} if server.api_key else {}
        try:
            self.http = httpx2.Client(base_url=server.base_url, headers=headers, timeout=_TIMEOUT, transport=transport)
        except (httpx2.InvalidURL, UnicodeEncodeError, ValueError) as error:
            raise TurnFailed(f"{server.base_url} or its key cannot be used: {error}") from error

    def close(self) -> None:
        self.http.close()

    def models(self) -> list[str]:
        """Those that the key may use."""
        try:
            response = self.http.get("models")
            if response.status_code != 200:
                raise self.refused(response)
            return [str(each["id"]) for each in response.json()["data"]]
        except httpx2.HTTPError as error:
            raise self.unreached(error) from error
        except (ValueError, KeyError, TypeError) as error:
            raise TurnFailed(f"{self.server.base_url} lists no models: its answer has another shape") from error

    def cancel(self, response_id: str) -> Event:
        """The response, as it is then."""
        try:
            response = self.http.post(f"responses/{response_id}/cancel")
            if response.status_code != 200:
                raise self.refused(response)
            return dict(response.json())
        except httpx2.HTTPError as error:
            raise self.unreached(error) from error
        except (ValueError, TypeError) as error:
            raise TurnFailed("the answer is no response") from error

    def refused(self, response: httpx2.Response) -> TurnFailed:
        """What an HTTP error says, and what mends it."""
        body, status, url = response.read(), response.status_code, self.server.base_url
        said = f"HTTP {status}: {message_in(body) or response.reason_phrase or 'no reason was given'}"
        if status == 401:
            return TurnFailed(said, self._other_key())
        if response.is_redirect:
            return TurnFailed(f"{said} (to {response.headers.get('location')})", "--base-url with where the API is")
        if (seconds := response.headers.get("retry-after", "")).isdecimal():
            return TurnFailed(said, f"again in {seconds} s", code=_code_in(body))
        if status in (403, 404, 405) and _code_in(body) not in _FOUND and not _VERSION.search(url):
            return TurnFailed(f"{said} (at {url}/responses)", f"did you mean --base-url {url}/v1?")
        return TurnFailed(said, code=_code_in(body))

    def unreached(self, error: Exception) -> TurnFailed:
        url = self.server.base_url
        if isinstance(error, httpx2.ConnectError):
            mend = f"{command('dev')} starts one here; --base-url names another"
            return TurnFailed(f"cannot reach {url}: is `openresponses dev` running?", mend)
        return TurnFailed(f"the stream broke: {error or type(error).__name__}")

    def no_stream(self, response: httpx2.Response) -> TurnFailed:
        kind = response.headers.get("content-type") or "nothing"
        return TurnFailed(f"{self.server.base_url}/responses answers with {kind}, and not with events: is it the API?")

    def _other_key(self) -> str:
        if not self.server.api_key:
            return f"no key was sent: set {API_KEY} to the one that dev printed, or {command(_MAKE)} prints"
        return f"the key comes from {self.server.key_from}; {command(_MAKE)} makes another"


class Reading:
    """The events of one request, which a thread reads. `stop` ends it, and what the server still does for it."""

    def __init__(self, client: Client, body: Event) -> None:
        self._client, self._body = client, body
        self._events: SimpleQueue[Event | TurnFailed | None] = SimpleQueue()
        self._named, self._over = threading.Event(), threading.Event()
        self._id, self._last, self._stored = "", -1, bool(body.get("store"))
        self._stopped = False
        threading.Thread(target=self._run, daemon=True).start()

    def next(self, seconds: float) -> Event | None:
        """The next event; None if none comes within so many seconds. Raises ReadingOver, TurnFailed."""
        try:
            found = self._events.get(timeout=seconds)
        except Empty:
            return None
        if isinstance(found, TurnFailed):
            raise found
        if found is None:
            raise ReadingOver
        return found

    def stop(self, impatient: Callable[[], bool]) -> Event | None:
        """Cancel the response, and return it as it then is; None if it is not stored, or never was made: nobody can
        stop that one. Raises TurnFailed if it could not be cancelled.

        The server says its id within about a second of the request. Until then there is nothing to cancel, so this
        waits, unless the user is `impatient`.
        """
        waited = 0.0
        while not self._named.wait(0.1) and not self._over.is_set() and waited < _NAMED_S and not impatient():
            waited += 0.1
        self._stopped = True
        if not self._stored or not self._id:
            return None
        cancelled = self._client.cancel(self._id)
        self._over.wait(_ENDED_S)
        return cancelled

    def _run(self) -> None:
        try:
            self._read()
            self._events.put(None)
        except TurnFailed as failed:
            self._events.put(failed)
        except Exception as error:  # closed while it was read, say
            self._events.put(TurnFailed(f"the stream broke: {error or type(error).__name__}"))
        finally:
            self._over.set()

    def _read(self) -> None:
        ended, breaks, request = False, 0, ("POST", "responses")
        while True:
            detached = ""
            try:
                for event in self._stream(*request):
                    breaks, detached = 0, ""
                    self._note(event)
                    ended = ended or event.get("type") in ENDINGS
                    detached = str(event.get("resume") or "") if event.get("type") == "serverless:detached" else ""
                    self._events.put(event)
            except httpx2.HTTPError as error:
                if not self._resumable(ended) or breaks >= _BREAKS:
                    raise self._client.unreached(error) from error
            if self._stopped or not self._resumable(ended):
                return
            if not detached and breaks >= _BREAKS:
                mend = command(f"responses show {self._id}")
                raise TurnFailed(f"the stream ended early, {breaks + 1} times; {self._id} may still be made", mend)
            breaks += 1
            request = ("GET", detached or f"responses/{self._id}?stream=true&starting_after={self._last}")
            self._over.wait(0.0 if detached else PAUSE_S * breaks)

    def _resumable(self, ended: bool) -> bool:
        return bool(self._stored and self._id and not ended)

    def _stream(self, method: str, path: str) -> Iterator[Event]:
        body = self._body if method == "POST" else None
        with self._client.http.stream(method, path, json=body) as response:
            if method == "GET" and response.status_code >= 500:  # as where the server begins anew
                return
            if response.status_code != 200:
                raise self._client.refused(response)
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                raise self._client.no_stream(response)
            for sse in httpx2.EventSource(response, max_event_size=None):
                if sse.data != "[DONE]":
                    yield _event(sse.data)

    def _note(self, event: Event) -> None:
        with suppress(KeyError, TypeError, ValueError):
            self._last = max(self._last, int(event.get("sequence_number") or 0))
            if event.get("type") == "response.created":
                self._id = str(event["response"]["id"])
                self._stored = self._stored and event["response"].get("store") is not False
                self._named.set()


def _event(data: str) -> Event:
    """Raises TurnFailed."""
    try:
        event: Event = json.loads(data)
        if event.get("type") in ENDINGS:
            output: list[Event] = event["response"].get("output") or []
            for item in output:
                item.get("type")
    except ValueError as error:
        raise TurnFailed(f"the stream broke: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise TurnFailed("the stream broke: an event is not of the shape that the Responses API has") from error
    return event


def _code_in(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""
