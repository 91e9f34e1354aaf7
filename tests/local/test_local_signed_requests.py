"""The AWS stand-in answers programs that have its secret, and no web page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx2
import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.exceptions import ClientError

from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.services.signed_requests import Signed
from openresponses_dev.local.template.intrinsics import REGION

PARAMETER = "/openresponses/providers/openai"
SECRET = "sk-planted"

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "dynamodb": ("list_tables", {}),
    "lambda": ("invoke", {"FunctionName": "echo", "Payload": b"{}"}),
    "s3": ("list_objects_v2", {"Bucket": "bucket"}),
    "ssm": ("get_parameter", {"Name": PARAMETER, "WithDecryption": True}),
    "stepfunctions": ("list_state_machines", {}),
    "sts": ("get_caller_identity", {}),
}
"""A call of each service, and of each of AWS's protocols."""
REFUSALS = {
    "s3": ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    "sts": ("MissingAuthenticationToken", "InvalidClientTokenId", "SignatureDoesNotMatch"),
}
IN_JSON = ("MissingAuthenticationTokenException", "UnrecognizedClientException", "InvalidSignatureException")


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    aws = LocalAws(None, LambdaApi({"echo": lambda event: event}), parameters={PARAMETER: SECRET})
    aws.start()
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a b/ä~", Body=b"mine")
    yield aws
    aws.stop()


def client(aws: LocalAws, service: str, credentials: Credentials, url: str = "", **config: Any) -> Any:
    where = {"endpoint_url": url or aws.endpoint_url, "region_name": REGION}
    return boto3.client(service, **where, **credentials.for_boto3(), config=Config(**config))


def refusal(aws: LocalAws, service: str, credentials: Credentials, **config: Any) -> tuple[str, int]:
    method, arguments = CALLS[service]
    with pytest.raises(ClientError) as refused:
        getattr(client(aws, service, credentials, **config), method)(**arguments)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_the_signature_is_awss_own() -> None:
    """The example of AWS's documentation of the signature, with the key of its test suite."""
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "host": "iam.amazonaws.com",
        "x-amz-date": "20150830T123600Z",
    }
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    query = "Action=ListUsers&Version=2010-05-08"
    signed = Signed("GET", "/", query, headers, empty, "20150830", "us-east-1", "iam")
    expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    assert signed.signature("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY") == expected


@pytest.mark.parametrize("service", CALLS)
def test_whoever_has_the_secret_is_answered(aws: LocalAws, service: str) -> None:
    method, arguments = CALLS[service]
    answer = getattr(aws.client(service), method)(**arguments)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("service", CALLS)
def test_whoever_lacks_it_is_refused_in_the_services_own_words(aws: LocalAws, service: str) -> None:
    _, other_key, other_signature = REFUSALS.get(service, IN_JSON)
    guessed = replace(aws.credentials, secret_access_key="local")
    assert refusal(aws, service, Credentials("local", "local")) == (other_key, 403)
    assert refusal(aws, service, replace(aws.credentials, access_key_id="local")) == (other_key, 403)
    assert refusal(aws, service, guessed) == (other_signature, 403)


@pytest.mark.parametrize("service", sorted({*CALLS} - {"sts"}))  # botocore signs no call of that at all
def test_whoever_does_not_sign_is_refused(aws: LocalAws, service: str) -> None:
    status = refusal(aws, service, Credentials("local", "local"), signature_version=UNSIGNED)[1]
    assert status == 403


def test_names_that_need_an_encoding_are_signed_as_they_are_sent(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="bucket", Prefix="a b/")["Contents"]] == ["a b/ä~"]
    assert s3.get_object(Bucket="bucket", Key="a b/ä~")["Body"].read() == b"mine"
    s3.put_object(Bucket="bucket", Key="large", Body=b"x" * 5_000_000, Metadata={"a_b": "c  d"})
    assert s3.head_object(Bucket="bucket", Key="large")["ContentLength"] == 5_000_000


def test_a_bucket_may_come_first_in_the_host(aws: LocalAws) -> None:
    """As botocore says it where the endpoint is `localhost` and not an address."""
    host = f"bucket.localhost:{urlsplit(aws.endpoint_url).port}"
    url = "http://{}/?list-type=2&prefix=a%20b"
    asked = AWSRequest("GET", url.format(host))
    S3SigV4Auth(BotocoreCredentials(*aws.credentials.for_boto3().values()), "s3", REGION).add_auth(asked)
    headers = {**dict(asked.headers.items()), "host": host}
    answer = send(httpx2.Request("GET", url.format(urlsplit(aws.endpoint_url).netloc), headers=headers))
    assert (answer.status_code, "<Name>bucket</Name>" in answer.text) == (200, True)


def test_a_presigned_url_is_no_way_in(aws: LocalAws) -> None:
    url = aws.client("s3").generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "large"})
    assert "X-Amz-Signature" in url or "Signature" in url
    assert httpx2.get(url).status_code == 403


def signed(aws: LocalAws, path: str, body: str = "", target: str = "", **more: str) -> httpx2.Request:
    """As an SDK signs it; `more` are headers that are added afterwards."""
    headers = {"x-amz-target": target, "content-type": "application/x-amz-json-1.1"} if target else {}
    request = AWSRequest("POST", aws.endpoint_url + path, headers=headers, data=body)
    key = BotocoreCredentials(*aws.credentials.for_boto3().values())
    SigV4Auth(key, "ssm", REGION).add_auth(request)
    return httpx2.Request("POST", request.url, headers={**dict(request.headers.items()), **more}, content=body)


READ = {"body": json.dumps({"Name": PARAMETER, "WithDecryption": True}), "target": "AmazonSSM.GetParameter"}


def send(request: httpx2.Request) -> httpx2.Response:
    with httpx2.Client(trust_env=False) as http:
        return http.send(request)


def test_the_request_that_the_others_are_made_of_is_answered(aws: LocalAws) -> None:
    assert send(signed(aws, "/", **READ)).json()["Parameter"]["Value"] == SECRET


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8080", "", "itself"])
def test_no_page_is_answered_even_with_the_secret(aws: LocalAws, origin: str) -> None:
    origin = aws.endpoint_url if origin == "itself" else origin
    answer = send(signed(aws, "/", **READ, origin=origin))
    assert (answer.status_code, SECRET in answer.text) == (403, False)
    assert "access-control-allow-origin" not in answer.headers
    asked = {"origin": origin, "access-control-request-method": "POST"}
    preflight = httpx2.options(aws.endpoint_url, headers=asked)
    assert (preflight.status_code, "access-control-allow-origin" in preflight.headers) == (403, False)


HOSTS = [
    "evil.example",
    "evil.example:{port}",
    "127.0.0.1",
    "127.0.0.1:1",
    "127.0.0.1.nip.io:{port}",
    "s3.amazonaws.com",
]
HOSTS += ["localhost.evil.example:{port}", "motoapi.amazonaws.com", "127.0.0.1:{port}@evil.example", "[::2]:{port}", ""]


@pytest.mark.parametrize("host", HOSTS)
def test_another_name_of_the_server_is_refused(aws: LocalAws, host: str) -> None:
    host = host.format(port=urlsplit(aws.endpoint_url).port)
    answer = send(signed(aws, "/", **READ, host=host))
    assert (answer.status_code, SECRET in answer.text) == (403, False)


@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/data.json", "/moto-api/reset", "/moto-api", "/favicon.ico"])
@pytest.mark.parametrize("sign", [True, False])
def test_motos_own_pages_are_not_offered(aws: LocalAws, path: str, sign: bool) -> None:
    request = signed(aws, path) if sign else httpx2.Request("POST", aws.endpoint_url + path)
    assert send(request).status_code == 403
    assert aws.client("ssm").get_parameter(Name=PARAMETER)["Parameter"]["Value"] == SECRET


PATHS = ["/", "/latest/meta-data/iam/security-credentials/", "/bucket", "/ssm_us-east-1/", "/x/.well-known/jwks.json"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_nothing_is_answered_without_a_signature(aws: LocalAws, method: str, path: str) -> None:
    assert httpx2.request(method, aws.endpoint_url + path, trust_env=False).status_code == 403


def test_a_request_that_was_changed_is_refused(aws: LocalAws) -> None:
    other = httpx2.Request(
        "POST", aws.endpoint_url, headers=signed(aws, "/", **READ).headers, content=b"{}" + b" " * 55
    )
    other.headers["content-length"] = "57"
    retargeted = signed(aws, "/", **READ)
    retargeted.headers["x-amz-target"] = "AmazonSSM.PutParameter"
    moved = signed(aws, "/", **READ)
    moved.url = httpx2.URL(aws.endpoint_url + "/?a=b")
    undated = signed(aws, "/", **READ)
    del undated.headers["x-amz-date"]
    assert [send(each).status_code for each in (other, retargeted, moved, undated)] == [403] * 4


@pytest.mark.parametrize("end", ["", "0" * 64, "g", "\u00e9", "=" * 10_000])
def test_a_header_that_is_no_signature_is_refused(aws: LocalAws, end: str) -> None:
    scope = f"{aws.credentials.access_key_id}/20260101/us-east-1/ssm/aws4_request"
    text = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={end}"
    answer = httpx2.post(aws.endpoint_url, headers={"authorization": text.encode("latin-1")}, trust_env=False)
    assert answer.status_code == 403
