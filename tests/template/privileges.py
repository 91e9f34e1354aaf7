"""What each role of the template may do, as a table for docs/security.md.

`uv run python -m tests.template.privileges` prints it, and with `--write` puts it into the page.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.template.expanding import FREE_TEXT, expand, read, values
from tests.template.reading import ROOT, Json
from tests.template.stack import Stack, everything, statements

PAGE = ROOT / "docs/security.md"
BEGIN, END = "<!-- begin: tests.template.privileges -->\n", "<!-- end: tests.template.privileges -->"

WHO = {
    "ApiFunctionRole": "the API function",
    "WorkerFunctionRole": "the worker function",
    "AuthorizerFunctionRole": "the authorizer",
    "EndedFunctionRole": "the function behind the stream",
    "SocketFunctionRole": "the socket function",
    "SocketWorkerFunctionRole": "the socket worker",
    "SocketAuthorizerFunctionRole": "the socket authorizer",
    "LoopStateMachineRole": "the state machine",
    "WebhookStateMachineRole": "the state machine of webhooks",
    "ExampleToolFunctionRole": "the example tool",
    "ExampleToolRefundFunctionRole": "the example tool that answers later",
    "ApiGatewayLogsRole": "API Gateway, for every API of the account",
}


def _leading(*patterns: str) -> str:
    keys = {"dynamodb:LeadingKeys": [*patterns]}
    return json.dumps({"ForAllValues:StringLike": keys, "Null": {"dynamodb:LeadingKeys": "false"}})


CONDITIONS = {
    _leading("*/*"): "items of responses only (`<tenant>/…`)",
    _leading("key#*"): "items of client keys only (`key#…`)",
    _leading("*/*", "key#*"): "items of responses and of client keys",
    '{"StringNotEquals": {"ssm:Overwrite": "true"}}': "where there is none",
    '{"Null": {"lambda:SourceFunctionArn": "true"}}': "where Lambda itself asks, and not the function's code",
}


def _words(stack: Stack) -> dict[str, str]:
    """What an ARN of a statement is, in words."""
    functions = f"arn:aws:lambda:{stack.region}:{stack.account}:function"
    logs = (
        "Api",
        "Worker",
        "Authorizer",
        "Ended",
        "Socket",
        "SocketWorker",
        "SocketAuthorizer",
        "ExampleTool",
        "ExampleToolRefund",
    )
    sockets = f"arn:aws:execute-api:{stack.region}:{stack.account}:{stack.physical('WebSocketApi')}/responses"
    return {
        stack.arn("ResponsesTable"): "the table",
        f"{stack.arn('ResponsesTable')}/index/by-time": "its index",
        stack.arn("ResponsesBucket"): "the bucket",
        f"{stack.arn('ResponsesBucket')}/*": "the bucket's objects",
        stack.arn("LoopStateMachine"): "the state machine",
        stack.arn("LoopStateMachine").replace(":stateMachine:", ":execution:") + ":*": "the state machine's executions",
        stack.arn("WorkerFunction"): "the worker function",
        stack.arn("WebhookStateMachine"): "the state machine of webhooks",
        stack.arn("EndedFunction"): "the function behind the stream",
        stack.arn("EndedDeadLetters"): "the queue of what it gave up",
        stack.stream("ResponsesTable"): "the table's stream",
        f"{stack.arn('ResponsesTable')}/stream/*": "the table's streams",
        stack.arn("ExampleToolTable"): "the table of its counters",
        stack.arn("SocketWorkerFunction"): "the socket worker",
        f"{sockets}/POST/@connections/*": "messages to its sockets",
        f"{sockets}/DELETE/@connections/*": "their end",
        **{stack.arn(f"{name}FunctionLogs"): "its own log" for name in logs},
        f"{functions}:{stack.outputs['ToolFunctionPrefix']}*": "functions named `<ToolFunctionPrefix>…`",
        "arn:aws:bedrock:*::foundation-model/*": "every model",
        f"arn:aws:bedrock:*:{stack.account}:inference-profile/*": "AWS's profiles",
        f"arn:aws:bedrock:*:{stack.account}:application-inference-profile/*": "the account's profiles",
        "*": "anything: AWS takes no resource here",
    }


def _resource(stack: Stack, arn: str) -> str:
    parameters = f"arn:aws:ssm:{stack.region}:{stack.account}:parameter{stack.outputs['SsmPrefix']}"
    if arn.startswith(parameters):
        return f"`<prefix>{arn.removeprefix(parameters)}`"
    given = [name for name, value in stack.parameters.items() if value == arn]
    return f"`{given[0]}`" if given else _words(stack).get(arn, f"`{arn}`")


def _condition(condition: Json) -> str:
    text = json.dumps(condition)
    if "kms:ViaService" in text:
        return "through " + ", ".join(re.findall(r'"(\w+)\.us-east-1\.', text))
    return CONDITIONS.get(text, f"`{text}`")


def _only_with(given: Mapping[str, str], without: Mapping[str, list[Stack]], there: Callable[[Stack], bool]) -> str:
    """The parameters without which something is not there, as words for the end of a cell."""
    needed = [
        f"`{name}`" if name in FREE_TEXT else f"`{name}={given[name]}`"
        for name, others in without.items()
        if not any(map(there, others))
    ]
    return f" (with {', '.join(needed)})" if needed else ""


def rows(template: Json) -> Iterator[tuple[str, str, str]]:
    """Of each role that the template has as we ship it."""
    given = everything(template)
    stack = Stack("kit", template, given)
    without = {
        name: [Stack("kit", template, {**given, name: other}) for other in found if other != given[name]]
        for name, found in values(template).items()
    }
    for role, who in WHO.items():
        for arn in stack.resources[role]["Properties"].get("ManagedPolicyArns", []):
            switch = _only_with(given, without, lambda other, role=role: role in other.resources)
            yield who, f"AWS's policy `{arn.rpartition('/')[2]}`", f"logs of API Gateway{switch}"
        for statement in statements(stack, role):
            several = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            where = ", ".join(dict.fromkeys(_resource(stack, each) for each in several))
            if condition := statement.get("Condition"):
                where += f": {_condition(condition)}"

            def there(other: Stack, role: str = role, actions: list[str] = statement["Action"]) -> bool:
                return role in other.resources and actions in [each["Action"] for each in statements(other, role)]

            yield who, _actions(statement["Action"]), where + _only_with(given, without, there)


def _actions(actions: list[str]) -> str:
    service = actions[0].partition(":")[0]
    return f"{service}: " + ", ".join(f"`{action.partition(':')[2]}`" for action in actions)


def table(template: Json) -> str:
    lines = ["| who | may | with what |", "|---|---|---|"]
    before = ""
    for who, action, resource in rows(template):
        lines.append(f"| {who if who != before else ''} | {action} | {resource} |")
        before = who
    return "\n".join(lines)


def on_page(page: str) -> str:
    """The table that the page has. Raises ValueError where it has none, or two."""
    found = re.findall(f"{BEGIN}(.*?)\n*{END}", page, re.DOTALL)
    if len(found) != 1:
        raise ValueError(f"{PAGE} has {len(found)} parts between {BEGIN.strip()} and {END}")
    return found[0].strip()


def write(page: Path, text: str) -> None:
    before = page.read_text()
    on_page(before)
    page.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n\n{END}", before, flags=re.DOTALL))


if __name__ == "__main__":
    text = table(expand(read()))
    print(text)
    if "--write" in sys.argv:
        write(PAGE, text)
