"""The local AWS services with a file that keeps what is in them: after a restart all of it is there again."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from openresponses_dev.local.kept import Kept, Key, Row
from openresponses_dev.local.private_folder import PrivateFolder
from openresponses_dev.local.sandbox.lambda_api import LambdaApi
from openresponses_dev.local.services.local_aws import LocalAws
from openresponses_dev.local.template.aws_resources import AwsCall, put_parameter, requests
from openresponses_dev.local.template.template import read_template
from tests.local.local_project import ROOT

TABLE, PLAIN, BUCKET = "Pairs", "Singles", "things"
DAY = 86_400


def _table(name: str, **keys: str) -> Iterator[AwsCall]:
    schema = [{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()]
    types = [{"AttributeName": name, "AttributeType": "B" if name == "id" else "S"} for name in keys]
    given: Any = {"TableName": name, "KeySchema": schema, "AttributeDefinitions": types}
    yield AwsCall("dynamodb", "create_table", {**given, "BillingMode": "PAY_PER_REQUEST"})
    ttl: Any = {"AttributeName": "ttl", "Enabled": True}
    yield AwsCall("dynamodb", "update_time_to_live", {"TableName": name, "TimeToLiveSpecification": ttl})


RULE: Any = {"ID": "days", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 7}}
STORES = [
    *_table(TABLE, pk="HASH", sk="RANGE"),
    *_table(PLAIN, id="HASH"),
    AwsCall("s3", "create_bucket", {"Bucket": BUCKET}),
    AwsCall(
        "s3", "put_bucket_lifecycle_configuration", {"Bucket": BUCKET, "LifecycleConfiguration": {"Rules": [RULE]}}
    ),
]


class Services:
    def __init__(self, aws: LocalAws, found: list[Row]) -> None:
        self.aws, self.found = aws, found
        self.table, self.s3, self.ssm = (aws.client(service) for service in ("dynamodb", "s3", "ssm"))

    def all(self) -> dict[str, Any]:
        """What clients see of what is stored."""
        objects = {
            each["Key"]: (self.s3.get_object(Bucket=BUCKET, Key=each["Key"]), each["LastModified"])
            for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        }
        names = [each["Name"] for each in self.ssm.describe_parameters()["Parameters"]]
        parameters = [self.ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"] for name in sorted(names)]
        kept = ("Name", "Type", "Value", "Version")
        return {
            TABLE: sorted(self.table.scan(TableName=TABLE)["Items"], key=str),
            PLAIN: sorted(self.table.scan(TableName=PLAIN)["Items"], key=str),
            BUCKET: {
                name: (got["Body"].read(), got["ContentType"], got["Metadata"], modified)
                for name, (got, modified) in objects.items()
            },
            "parameters": [{name: each[name] for name in kept} for each in parameters],
        }


Start = Callable[..., Any]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(tmp_path: Path, said: list[str]) -> Start:
    @contextmanager
    def start(kept: Kept | None = None, extra: Iterable[AwsCall] = STORES) -> Iterator[Services]:
        found: list[Row] = []
        kept = kept or Kept(PrivateFolder(tmp_path), now=time.time(), say=said.append)
        aws = LocalAws(None, LambdaApi({}), extra=[*extra], kept=kept, found=found.append, say=said.append)
        aws.start()
        try:
            yield Services(aws, found)
        finally:
            aws.stop()
            kept.close()

    return start


def key(n: int) -> dict[str, Any]:
    return {"pk": {"S": f"p{n % 3}"}, "sk": {"S": f"s{n}"}}


def item(n: int) -> dict[str, Any]:
    deep = {"L": [{"NULL": True}, {"BOOL": False}, {"B": b"\x00\xff"}, {"M": {"B": {"S": "x"}, "BS": {"L": []}}}]}
    sets = {"bytes": {"BS": [b"a", b"\xfe"]}, "texts": {"SS": ["a", "é"]}, "numbers": {"NS": ["1", "2.5"]}}
    return {**key(n), "n": {"N": str(n)}, "b": {"B": bytes([n % 256]) * n}, "deep": {"M": {"a": deep}}, **sets}


OPERATIONS: dict[str, Callable[[Services, int], object]] = {
    "put": lambda at, n: at.table.put_item(TableName=TABLE, Item=item(n)),
    "put without a sort key": lambda at, n: at.table.put_item(TableName=PLAIN, Item={"id": {"B": bytes([n])}}),
    "update": lambda at, n: at.table.update_item(
        TableName=TABLE,
        Key=key(n),
        UpdateExpression="SET deep.a = :a ADD #n :one",
        ConditionExpression="attribute_exists(pk)",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":a": {"S": "new"}, ":one": {"N": "1"}},
    ),
    "update into being": lambda at, n: at.table.update_item(
        TableName=TABLE,
        Key=key(n),
        UpdateExpression="SET #n = :n",
        ExpressionAttributeNames={"#n": "n"},
        ExpressionAttributeValues={":n": {"N": str(n)}},
    ),
    "delete": lambda at, n: at.table.delete_item(TableName=TABLE, Key=key(n)),
    "batch": lambda at, n: at.table.batch_write_item(
        RequestItems={
            TABLE: [{"PutRequest": {"Item": item(n)}}, {"DeleteRequest": {"Key": key(n + 1)}}],
            PLAIN: [{"DeleteRequest": {"Key": {"id": {"B": bytes([n])}}}}],
        }
    ),
    "transaction": lambda at, n: at.table.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": TABLE, "Item": item(n)}},
            {"Delete": {"TableName": TABLE, "Key": key(n + 1)}},
            {"ConditionCheck": {"TableName": TABLE, "Key": key(n + 2), "ConditionExpression": "attribute_exists(pk)"}},
        ]
    ),
    "statement": lambda at, n: at.table.execute_statement(
        Statement=f"DELETE FROM \"{TABLE}\" WHERE pk = 'p{n % 3}' AND sk = 's{n}'"
    ),
    "object": lambda at, n: at.s3.put_object(
        Bucket=BUCKET, Key=f"log/{n}", Body=bytes([n]) * n, ContentType="text/plain", Metadata={"n": str(n)}
    ),
    "copy": lambda at, n: at.s3.copy_object(
        Bucket=BUCKET, Key=f"to {n}", CopySource={"Bucket": BUCKET, "Key": f"log/{n}"}
    ),
    "upload in parts": lambda at, n: _upload(at.s3, f"parts/{n}"),
    "delete object": lambda at, n: at.s3.delete_object(Bucket=BUCKET, Key=f"log/{n}"),
    "delete objects": lambda at, n: at.s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": f"log/{n}"}, {"Key": f"to {n}"}]}
    ),
    "parameter": lambda at, n: at.ssm.put_parameter(
        Name=f"/p/{n}", Value=f"value {n}", Type="SecureString", Overwrite=True
    ),
    "another value": lambda at, n: at.ssm.put_parameter(Name=f"/p/{n}", Value="another", Type="String", Overwrite=True),
    "delete parameter": lambda at, n: at.ssm.delete_parameter(Name=f"/p/{n}"),
    "delete parameters": lambda at, n: at.ssm.delete_parameters(Names=[f"/p/{n}", f"/p/{n + 1}"]),
}


def _upload(s3: Any, name: str) -> None:
    where = {"Bucket": BUCKET, "Key": name}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, Metadata={"in": "parts"})["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})


def test_whatever_was_done_is_there_again(start: Start, request: pytest.FixtureRequest) -> None:
    """A walk of operations, refused ones among them, and restarts between them."""
    draw = random.Random(request.config.option.sweep_seed)
    with start() as services:
        for operation in OPERATIONS.values():
            with suppress(ClientError):
                operation(services, 7)
        for name in ("put", "put without a sort key", "object", "parameter"):
            OPERATIONS[name](services, 20)  # the walk comes to 12 at most: these stay
        before = services.all()
    done = set[str]()
    for _ in range(2):
        with start() as services:
            assert services.all() == before
            for name in draw.sample([*OPERATIONS] * 2, len(OPERATIONS) * 2):
                with suppress(ClientError):
                    OPERATIONS[name](services, draw.randrange(1, 12))
                    done.add(name)
            before = services.all()
    with start() as services:
        assert services.all() == before
    assert len(done) > len(OPERATIONS) / 2, "most are refused"
    assert all(before.values())


def test_what_the_template_and_the_options_say_prevails_and_is_not_kept(start: Start) -> None:
    def said(value: str) -> list[AwsCall]:
        return [*STORES, put_parameter("/p/a", value), put_parameter("/p/b", value)]

    with start(extra=said("one")) as services:
        services.ssm.put_parameter(Name="/p/a", Value="by command", Overwrite=True)
        services.ssm.delete_parameter(Name="/p/b")
    with start(extra=said("two")) as services:
        assert [each["Value"] for each in services.all()["parameters"]] == ["two", "two"]
    with start() as services:
        assert [(each["Name"], each["Value"]) for each in services.all()["parameters"]] == [("/p/a", "by command")]


def test_what_expires_on_aws_is_deleted_and_so_the_file_does_not_grow(start: Start) -> None:
    now = int(time.time())
    kept_for = {"forever": None, "over": now - 1, "soon": now + 2, "long": now + DAY}

    def names(services: Services) -> set[str]:
        return {each["pk"]["S"] for each in services.table.scan(TableName=TABLE)["Items"]}

    with start() as services:
        for name, end in kept_for.items():
            ttl = {} if end is None else {"ttl": {"N": str(end)}}
            services.table.put_item(TableName=TABLE, Item={"pk": {"S": name}, "sk": {"S": "a"}, **ttl})
        for name in ("log/a", "other/a"):
            services.s3.put_object(Bucket=BUCKET, Key=name, Body=b"x")
        assert names(services) == {*kept_for}
        services.aws.expire()
        assert names(services) == {*kept_for} - {"over"}
    with start() as services:
        assert {row.key.name: row.expires for row in services.found if row.key.kind == "object"} == {
            "log/a": (now // DAY + 8) * DAY,
            "other/a": None,
        }
        time.sleep(max(0.0, now + 2.1 - time.time()))
        services.aws.expire()
        assert names(services) == {"forever", "long"}
        assert {row.key.kind for row in services.found} == {"item", "object"}


def test_what_has_no_place_any_more_or_cannot_be_read_is_told_and_stays(
    start: Start, tmp_path: Path, said: list[str]
) -> None:
    with start() as services:
        services.table.put_item(TableName=TABLE, Item=item(1))
        services.table.put_item(TableName=PLAIN, Item={"id": {"B": b"x"}})
        services.s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    kept = Kept(PrivateFolder(tmp_path), now=0, say=said.append)
    kept.write([Row(Key("item", TABLE, "[]"), "no JSON"), Row(Key("item", TABLE, "[1]"), '{"pk": {"S": "x"}}')])
    with start(kept, extra=_table(PLAIN, id="HASH")) as services:
        assert [row.key.place for row in services.found] == [PLAIN]
    with start() as services:
        assert [row.key.place for row in services.found] == [TABLE, PLAIN, BUCKET]
    assert all("entries of" in each for each in said)
    assert [each.partition("cannot be used, and stay there: ")[2].partition(":")[0] for each in said] == [
        "Pairs is not in the template",
        "things is not in the template",
        "JSONDecodeError",
        "MockValidationException",
    ]


class Full(Kept):
    """A disk that is full, for as long as it is said."""

    full = False

    def write(self, rows: Iterable[Row], gone: Iterable[Key] = ()) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().write(rows, gone)


def test_a_full_disk_is_told_once_and_what_it_refused_is_written_later(
    start: Start, tmp_path: Path, said: list[str]
) -> None:
    kept = Full(PrivateFolder(tmp_path), now=time.time(), say=said.append)
    with start(kept) as services:
        services.table.put_item(TableName=TABLE, Item=item(1))
        kept.full = True
        for n in (2, 3):
            services.table.put_item(TableName=TABLE, Item=item(n))
        services.table.delete_item(TableName=TABLE, Key=key(1))
        kept.full = False
        services.s3.put_object(Bucket=BUCKET, Key="a", Body=b"x")
        before = services.all()
    assert ["cannot be written" in each for each in said] == [True, False]
    assert "can be written again, and nothing is missing" in said[1]
    with start() as services:
        assert services.all() == before


def test_the_bucket_of_the_template_forgets_as_it_does_on_aws() -> None:
    rules = [
        call.arguments["LifecycleConfiguration"]
        for call in requests(read_template(ROOT / "template.yaml"))
        if call.method == "put_bucket_lifecycle_configuration"
    ]
    fixed = {"Status": "Enabled"}
    assert rules == [
        {
            "Rules": [
                {"ID": "responses", **fixed, "Filter": {"Prefix": "response/"}, "Expiration": {"Days": 30}},
                {"ID": "logs", **fixed, "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 7}},
            ]
        }
    ]
