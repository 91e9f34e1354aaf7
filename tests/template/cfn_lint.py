"""Run with the SAM CLI's own Python, which has cfn-lint: what it says of templates.

Standard input has one template a line, standard output gets a line for each: a list of [rule, path, message].
"""

import json
import sys

from cfnlint.api import ManualArgs, lint

REGIONS = ["us-east-1", "us-gov-west-1", "cn-north-1"]  # of three partitions

for line in sys.stdin:
    found = lint(line, config=ManualArgs(regions=REGIONS))
    print(json.dumps([[each.rule.id, each.path_string, each.message] for each in found]))
