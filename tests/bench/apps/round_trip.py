"""How long one call of storage takes for a process of its own: prints milliseconds, of each of so many.

python -m tests.bench.apps.round_trip <count>, with the variables of the cloud's AWS
"""

import json
import sys
import time

import boto3

from openresponses_dev.local.template.intrinsics import REGION

dynamodb = boto3.client("dynamodb", region_name=REGION)
(table, *_) = dynamodb.list_tables()["TableNames"]
key = {"pk": {"S": "none"}, "sk": {"S": "none"}}
times = list[float]()
for _ in range(int(sys.argv[1]) + 20):
    began = time.monotonic()
    dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
    times.append((time.monotonic() - began) * 1e3)
print(json.dumps(times[20:]))
