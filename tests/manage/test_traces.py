"""`openresponses traces`, on the local cloud: headers are kept as secrets, and shown to nobody."""

import json

import pytest

from openresponses_dev.manage import parameters
from openresponses_dev.manage.deployment import Where, deployment_at
from tests.manage.conftest import Cloud

pytestmark = pytest.mark.xdist_group("manage")


def test_headers_are_kept_as_a_secret_until_they_are_removed(cloud: Cloud) -> None:
    deployment = deployment_at(Where(local=cloud.origin))
    done = cloud.run("traces", "set", "Authorization", "x-team", stdin="Basic hidden\nhidden-team\n")
    assert done.status == 0, done.err
    assert "the collector's headers are set in the local cloud" in done.out
    kept = parameters.read(deployment, "otlp", "headers")
    assert kept
    assert kept.secure
    assert json.loads(kept.text) == {"Authorization": "Basic hidden", "x-team": "hidden-team"}
    wrong = cloud.run("traces", "set", "Authorization", stdin="hidd\u00e9n\n")
    assert (wrong.status, "HTTP can't carry it" in wrong.err) == (1, True)
    assert cloud.run("traces", "remove").status == 0
    again = cloud.run("traces", "remove")
    assert (again.status, "no headers are set" in again.err) == (1, True)
    assert "hidd" not in "".join(each.out + each.err for each in (done, wrong, again))
