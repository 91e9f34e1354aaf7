"""Which deployment a command is about, on AWS or local, and where its table, bucket and parameters are."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, TypeAlias

import httpx2
from cyclopts import Group, Parameter, Token

from openresponses_dev.local.address import DEV_PORT, DEV_URL, at_port, is_port, is_url
from openresponses_dev.local.command_line import LOCAL, command
from openresponses_dev.local.private_folder import NotPrivate, read_private
from openresponses_dev.local.services.credentials import Credentials
from openresponses_dev.local.status_page import JSON_PATH
from openresponses_dev.manage.problems import AwsRefused, Problem, translated
from openresponses_dev.manage.running import running_dev

_DEFAULT_STACK = "openresponses"
_OURS = "ResponsesTableName"
"""An output that only our own stack has: a project's may pass others on."""
_SAMCONFIG = Path("samconfig.toml")


def _local_url(_: object, tokens: Sequence[Token]) -> str:
    """The URL of what is after --local, as `Where` has it. Raises ValueError."""
    word = tokens[0].value
    if is_port(word):
        return at_port(word)
    if not is_url(word):
        raise ValueError(f"{word} is no port and no URL, such as 9000 or {DEV_URL}")
    return word.rstrip("/").removesuffix("/v1")  # as OPENAI_BASE_URL has it


Local: TypeAlias = Annotated[
    str | None,
    Parameter(
        metavar="[PORT|URL]",
        n_tokens=-1,
        consume_multiple=(0, 1),
        converter=_local_url,
        help=f"the local cloud (default: the one that runs in this folder or above it, or else at port {DEV_PORT})",
    ),
]
"""The option --local: empty where it names no cloud, None where it is not given."""


@Parameter(
    name="*",
    group=Group("Which deployment", help="On AWS by your own credentials, or in the local cloud with --local."),
)
@dataclass(frozen=True, slots=True)
class Where:
    """The options that name a deployment."""

    local: Local = None
    stack: Annotated[
        str | None, Parameter(metavar="NAME", help="its stack on AWS (default: samconfig.toml's, or openresponses)")
    ] = None
    region: Annotated[str | None, Parameter(metavar="REGION", help="default: as the AWS CLI chooses it")] = None
    profile: Annotated[str | None, Parameter(metavar="PROFILE", help="of your AWS configuration")] = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """`flags` are the options that name it on the command line. `config_seconds` is how long its functions may use
    what they have read of the configuration. Only on AWS it has a `stack` and its `state`, and perhaps a KMS key of
    its own, the id of a WebSocket API, and what the names of tools' functions begin with. Only the local cloud lists
    its `functions`.
    """

    title: str
    flags: str
    region: str
    base_url: str
    table: str
    bucket: str
    state_machine: str
    prefix: str
    default_provider: str
    config_seconds: str
    stack: str = ""
    state: str = ""
    key_arn: str = ""
    websocket_base_url: str = ""
    websocket_api: str = ""
    tool_prefix: str = ""
    functions: tuple[str, ...] = ()
    session: Any = field(default=None, repr=False)
    endpoint_url: str | None = None

    @property
    def local(self) -> bool:
        return not self.stack

    @property
    def soon(self) -> str:
        """Where a change was made, and when it counts."""
        return f"in {self.title}, in force within {self.config_seconds} s"

    def client(self, service: str, region: str | None = None) -> Any:
        """Of the deployment's own Region, unless another one is named."""
        return _client(self.session, service, self.endpoint_url, region)

    def command(self, words: str) -> str:
        """The command that does this to this deployment."""
        return command(f"{words}{self.flags}")


def deployment_at(where: Where) -> Deployment:
    """The one that the options name. Raises Problem."""
    if where.local is None:
        return _on_aws_unless_here(where)
    if where.local:
        return _local(where.local, f" {LOCAL} {_short(where.local)}", f"no local cloud answers at {where.local}")
    found = running_dev()
    url = found.origin if found else DEV_URL
    return _local(url, f" {LOCAL}", f"no local cloud runs in this folder or above it, or at {url}")


def _on_aws_unless_here(where: Where) -> Deployment:
    """Who names no deployment may mean the local cloud that runs here. Raises Problem."""
    try:
        return _on_aws(where)
    except Problem as problem:
        if where == Where() and (found := running_dev()):
            problem.mend = f"{LOCAL}, for the local cloud at {found.origin}; or {problem.mend}"
        raise


def session_of(where: Where) -> Any:
    """The user's own credentials and region. They become this process's: a dialect that signs its requests looks for
    them itself, as it does in Lambda. Raises Problem.
    """
    configured = _samconfig()
    chosen = {
        "AWS_PROFILE": where.profile or configured.get("profile"),
        "AWS_DEFAULT_REGION": where.region or configured.get("region") or os.environ.get("AWS_REGION"),
    }
    os.environ.update({name: value for name, value in chosen.items() if value})
    boto3: Any = import_module("boto3")  # untyped, and half a second to import
    with translated("sts"):
        return boto3.Session()


def _on_aws(where: Where) -> Deployment:
    name = where.stack or _samconfig().get("stack_name") or _DEFAULT_STACK
    session = session_of(where)
    cloudformation = _client(session, "cloudformation", None)
    named = _stack(cloudformation, name, str(session.region_name))
    below = [] if _OURS in _outputs(named) else _nested(cloudformation, name)
    stack = next((each for each in below if _OURS in _outputs(each)), named)
    outputs = _outputs(stack)
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    given = {"stack": name, "region": where.region, "profile": where.profile}
    try:
        return Deployment(
            title=f"stack {name} in {session.region_name}",
            flags="".join(f" --{option} {quote(value)}" for option, value in given.items() if value),
            region=session.region_name,
            base_url=outputs["BaseUrl"],
            table=outputs["ResponsesTableName"],
            bucket=outputs["ResponsesBucketName"],
            state_machine=outputs["LoopStateMachineArn"],
            prefix=outputs["SsmPrefix"],
            default_provider=parameters["DefaultProvider"],
            config_seconds=parameters["ConfigSeconds"],
            stack=stack["StackName"],
            state=named["StackStatus"],
            key_arn=parameters.get("KeyArn", ""),
            websocket_base_url=outputs.get("WebSocketBaseUrl", ""),
            websocket_api=outputs.get("WebSocketApiId", ""),
            tool_prefix=outputs.get("ToolFunctionPrefix", ""),
            session=session,
        )
    except KeyError as missing:
        raise Problem(
            f"stack {name} has no {missing.args[0]}: is it openresponses, of this version?", "sam deploy"
        ) from None


def _stack(cloudformation: Any, name: str, region: str) -> dict[str, Any]:
    try:
        with translated("cloudformation"):
            return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except AwsRefused as refused:
        if refused.code != "ValidationError":
            raise
        mend = "sam deploy it, name it with --stack and --region, or say --local for the local cloud"
        raise Problem(f"there is no stack {name} in {region}", mend) from None


def _outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}


def _nested(cloudformation: Any, name: str) -> list[dict[str, Any]]:
    """The stacks that are nested in one, as ours is in a project's. The id of such a resource is the stack's:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html
    """
    with translated("cloudformation"):
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        stacks = [each for each in found if each["ResourceType"] == "AWS::CloudFormation::Stack"]
        ids = [each["PhysicalResourceId"] for each in stacks if each.get("PhysicalResourceId")]
        return [cloudformation.describe_stacks(StackName=each)["Stacks"][0] for each in ids]


def _short(url: str) -> str:
    """As it is typed after --local."""
    port = url.removeprefix(at_port(""))
    return port if is_port(port) else url


def _local(url: str, flags: str, silent: str) -> Deployment:
    """`silent` says that nothing answers there."""
    try:
        answer = httpx2.get(url + JSON_PATH, timeout=10, trust_env=False)
        status: dict[str, Any] = answer.raise_for_status().json()
        functions, access = tuple(status.pop("functions")), str(status.pop("access"))
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, AttributeError, LookupError, TypeError):
        raise Problem(silent, f"{command('dev')}, or name its port: {LOCAL} PORT") from None
    endpoint_url, credentials = _access(url, access)
    boto3: Any = import_module("boto3")
    return Deployment(
        title=f"the local cloud at {url}",
        flags=flags,
        session=boto3.Session(region_name=status["region"], **credentials.for_boto3()),
        functions=functions,
        endpoint_url=endpoint_url,
        **status,
    )


def _access(url: str, path: str) -> tuple[str, Credentials]:
    """What leads to its services, from the file that it says. Only the user who runs it can have made that one."""
    if not path:
        raise Problem(f"the local cloud at {url} lets no command in", f"start it with {command('dev')}")
    try:
        found = {name: str(value) for name, value in read_private(Path(path)).items()}
        credentials = Credentials(found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"])
        return found["AWS_ENDPOINT_URL"], credentials
    except (NotPrivate, OSError, ValueError, KeyError) as error:
        raise Problem(
            f"the secret of the local cloud at {url} cannot be read ({error})",
            f"run this as the user, and on the machine, of {command('dev')}",
        ) from None


@cache
def _samconfig() -> Mapping[str, str]:
    """What `sam deploy` in this directory would take for the stack. Raises Problem."""
    if not _SAMCONFIG.is_file():
        return {}
    try:
        commands: dict[str, Any] = tomllib.loads(_SAMCONFIG.read_text()).get("default", {})
    except ValueError as error:
        raise Problem(f"{_SAMCONFIG}: {error}") from None
    common, deploy = (commands.get(each, {}).get("parameters", {}) for each in ("global", "deploy"))
    return {**common, **deploy}


@cache
def _client(session: Any, service: str, endpoint_url: str | None, region: str | None = None) -> Any:
    config: Any = import_module("botocore.config").Config(
        connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
    )
    with translated(service):
        return session.client(service, region_name=region, endpoint_url=endpoint_url, config=config)
