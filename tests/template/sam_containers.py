"""What `sam local` would do with a template and a file of `--env-vars`, by SAM's own code. Docker is left out: what it
would be asked to create is printed, and an invocation goes to where a container would answer.

    python sam_containers.py containers TEMPLATE ENV_VARS        prints {function: what Docker is asked to create}
    python sam_containers.py start-api TEMPLATE ENV_VARS PORT    serves, with {function: address} on standard input

It runs in the environment of aws-sam-cli, and imports nothing of this project.
"""

import json
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

from samcli.commands.local.cli_common.invoke_context import InvokeContext
from samcli.commands.local.lib.local_api_service import LocalApiService
from samcli.commands.local.lib.local_lambda import LocalLambdaRunner
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.local.lambdafn.runtime import LambdaRuntime

NETWORK = "host"
IMAGES = SimpleNamespace(build=lambda *_, **__: "image", get_config=lambda _: {})


class Docker:
    """Docker, and SAM's way to it: keeps what the last container was to be created with."""

    def __init__(self) -> None:
        self.containers = self._Containers()

    class _Containers:
        def create(self, image, **settings):
            self.asked = {"image": image, **settings}
            return SimpleNamespace(id="1")

    def create(self, container, context) -> None:
        container._validated_docker_client = self
        container.network_id = NETWORK
        container.create(context)


class Elsewhere(LambdaRuntime):
    """An emulator for each function, that somebody else started."""

    def __init__(self, addresses) -> None:
        self._addresses = addresses

    def invoke(self, function_config, event, *_, stdout=None, **__):
        url = f"http://{self._addresses[function_config.name]}/2015-03-31/functions/function/invocations"
        with urllib.request.urlopen(urllib.request.Request(url, event.encode())) as answer:
            stdout.write_str(answer.read().decode())


def runner_of(template, env_vars, runtime):
    stacks, _ = SamLocalStackProvider.get_stacks(template)
    here = str(Path(template).parent)
    values = InvokeContext._get_env_vars_value(env_vars)
    return stacks, LocalLambdaRunner(runtime, SamFunctionProvider(stacks), here, here, env_vars_values=values)


def containers(template, env_vars):
    _, runner = runner_of(template, env_vars, None)
    docker = Docker()
    found = {}
    for function in runner.provider.get_all():
        config = runner.get_invoke_config(function)
        LambdaRuntime(docker, IMAGES).create(config, container_host_interface="127.0.0.1")
        found[function.name] = docker.containers.asked
    print(json.dumps(found))


def start_api(template, env_vars, port):
    stacks, runner = runner_of(template, env_vars, Elsewhere(json.load(sys.stdin)))
    context = SimpleNamespace(
        stacks=stacks, local_lambda_runner=runner, stderr=None, get_cwd=lambda: str(Path(template).parent)
    )
    LocalApiService(context, int(port), "127.0.0.1", None, False, None).start()


if __name__ == "__main__":
    {"containers": containers, "start-api": start_api}[sys.argv[1]](*sys.argv[2:])
