"""Whom the AWS stand-in answers: programs that sign with its secret, and no web page.

The signature is AWS's own, version 4, in the Authorization header; a presigned URL is none.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import quote

from openresponses_dev.local.address import LOOPBACK
from openresponses_dev.local.own_host import is_own_bucket, is_own_host
from openresponses_dev.local.services.credentials import Credentials

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM} Credential=(?P<key>[^/, ]+)/(?P<date>\d{{8}})/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request,"
    r" ?SignedHeaders=(?P<headers>[\w.;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_NOT_HASHED = re.compile("UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]+")  # what S3 takes in place of a body's hash
_MOTOS_OWN = re.compile("/(moto-api.*|favicon.ico)", re.DOTALL)


class Refused(Exception):
    """`code` is S3's word, the word of the services that speak XML, and the word of those that speak JSON."""

    def __init__(self, code: tuple[str, str, str], message: str) -> None:
        super().__init__(message)
        self.code = code


_NO_SIGNATURE = ("AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException")
_OTHER_KEY = ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException")
_OTHER_SIGNATURE = ("SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException")
_FORBIDDEN = ("AccessDenied", "AccessDenied", "AccessDeniedException")


class SignedRequests:
    """A WSGI application in front of `application`: 403 for all that it may not see. `address` is one that it is
    reached at besides loopback.
    """

    def __init__(self, application: Application, credentials: Credentials, address: str = LOOPBACK) -> None:
        self.application = application
        self._credentials, self._address = credentials, address

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            _check_origin(environ, self._address)
            _check_signature(environ, self._credentials)
        except Refused as refused:
            kind, body = _worded(refused, environ)
            head = [("content-type", kind), ("content-length", str(len(body)))]
            start_response("403 Forbidden", [*head, ("x-amzn-errortype", refused.code[2])])
            return [body]
        return self.application(environ, start_response)


def _check_origin(environ: Environ, address: str) -> None:
    """No page, whatever it calls itself, and none of moto's own pages. Raises Refused."""
    host, port = environ.get("HTTP_HOST", ""), int(environ["SERVER_PORT"])
    check_page(is_own_host(host, port, address) or is_own_bucket(host, port), environ.get("HTTP_ORIGIN"))
    if _MOTOS_OWN.fullmatch(environ["PATH_INFO"]):
        raise Refused(_FORBIDDEN, "this is not offered")


def check_page(own_host: bool, origin: str | None) -> None:
    """No page, whatever it calls itself. Raises Refused."""
    if not own_host:
        raise Refused(_FORBIDDEN, "this server has another name")
    if origin is not None:
        raise Refused(_FORBIDDEN, "no web page may call this")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is made of. `path` and `query` are as they were sent."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    payload: str
    date: str
    region: str
    service: str

    def signature(self, secret: str) -> str:
        """In hexadecimal digits."""
        scope = f"{self.date}/{self.region}/{self.service}/aws4_request"
        timestamp = self.headers.get("x-amz-date", "")
        text = "\n".join((_ALGORITHM, timestamp, scope, sha256(self._canonical().encode()).hexdigest()))
        key = f"AWS4{secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()

    def _canonical(self) -> str:
        pairs = sorted(pair.partition("=")[::2] for pair in self.query.split("&") if pair)
        query = "&".join(f"{name}={value}" for name, value in pairs)
        headers = [f"{name}:{' '.join(value.split())}" for name, value in self.headers.items()]
        return "\n".join(
            (self.method, self._canonical_path(), query, *headers, "", ";".join(self.headers), self.payload)
        )

    def _canonical_path(self) -> str:
        if self.service == "s3":
            return self.path
        utils: Any = import_module("botocore.utils")  # untyped
        return quote(utils.normalize_url_path(self.path), safe="/~")


def _check_signature(environ: Environ, credentials: Credentials) -> None:
    """Puts the body back that it reads. Raises Refused."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    found = _own_key(authorization, credentials)
    headers = {name: environ.get(_variable(name), "") for name in found["headers"].split(";")}
    body = _take_body(environ)
    check_signature(environ["REQUEST_METHOD"], environ["RAW_URI"], authorization, headers, body, credentials)


def check_signature(
    method: str, target: str, authorization: str, headers: Mapping[str, str], body: bytes, credentials: Credentials
) -> None:
    """`target` is path and query as they were sent; `headers` has those that were signed, by their names in lower case.

    Raises Refused.
    """
    given = _own_key(authorization, credentials)
    named = {name: headers.get(name, "") for name in sorted(given["headers"].split(";"))}
    path, _, query = target.partition("?")
    payload = _payload(named.get("x-amz-content-sha256"), body)
    signed = Signed(method, path, query, named, payload, given["date"], given["region"], given["service"])
    right = hmac.compare_digest(signed.signature(credentials.secret_access_key), given["signature"])
    if not right or "host" not in named or not named.get("x-amz-date"):
        raise Refused(_OTHER_SIGNATURE, "the signature is not made with the local cloud's secret, or of this request")


def _own_key(authorization: str, credentials: Credentials) -> re.Match[str]:
    given = _AUTHORIZATION.fullmatch(authorization)
    if given is None:
        raise Refused(_NO_SIGNATURE, "the request has no signature in its Authorization header")
    if not hmac.compare_digest(given["key"].encode(), credentials.access_key_id.encode()):
        raise Refused(_OTHER_KEY, "the access key is not the local cloud's")
    return given


def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"


def _take_body(environ: Environ) -> bytes:
    """The body, which stays in place for who comes after."""
    whole = environ.get("wsgi.input_terminated")  # chunked
    body = environ["wsgi.input"].read(*([] if whole else [int(environ.get("CONTENT_LENGTH") or 0)]))
    environ["wsgi.input"] = BytesIO(body)
    return body


def _payload(claimed: str | None, body: bytes) -> str:
    """The hash of the body, unless the client says that it signed none."""
    return claimed if claimed and _NOT_HASHED.fullmatch(claimed) else sha256(body).hexdigest()


def _worded(refused: Refused, environ: Environ) -> tuple[str, bytes]:
    """Content type and body of an answer that the service's SDK understands."""
    of_s3, in_xml, in_json = refused.code
    message = str(refused)
    kind, scope = environ.get("CONTENT_TYPE", ""), environ.get("HTTP_AUTHORIZATION", "")
    if "/s3/aws4_request" in scope:
        text = f"<Error><Code>{of_s3}</Code><Message>{escape(message)}</Message></Error>"
        return "application/xml", f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    if kind.startswith("application/x-www-form-urlencoded"):
        text = f"<Type>Sender</Type><Code>{in_xml}</Code><Message>{escape(message)}</Message>"
        return "text/xml", f"<ErrorResponse><Error>{text}</Error></ErrorResponse>".encode()
    return "application/json", json.dumps({"__type": in_json, "message": message}).encode()
