"""The launcher of the state machine, on Step Functions."""

import json

from ..core.errors import NotStarted, StorageUnavailable
from .clients import Aws, Refused


class StepFunctionsLauncher:
    """An execution is named after its response. Step Functions keeps a name for 90 days."""

    def __init__(self, aws: Aws, state_machine_arn: str, tenant: str) -> None:
        self._aws, self._arn, self._tenant = aws, state_machine_arn, tenant

    async def start(self, response_id: str, generation: int) -> None:
        """The input of the execution names the tenant: the functions of the state machine see no request.

        Raises NotStarted if Step Functions does not answer, or takes no more executions for a while.
        """
        execution = execution_of(self._tenant, response_id, generation)
        try:
            await self._aws.call("stepfunctions", "start_execution", stateMachineArn=self._arn, **execution)
        except StorageUnavailable as error:
            raise NotStarted("The response could not be handed over: try again") from error
        except Refused as refused:
            if refused.code != "ExecutionAlreadyExists":
                raise

    async def stop(self, response_id: str, generation: int) -> None:
        execution = f"{self._arn.replace(':stateMachine:', ':execution:')}:{_name(response_id, generation)}"
        try:
            await self._aws.call("stepfunctions", "stop_execution", executionArn=execution)
        except Refused as refused:
            # AWS does not document what it says of an execution that has ended meanwhile. An emulator finds it invalid.
            if refused.code not in ("ExecutionDoesNotExist", "ValidationException"):
                raise


def execution_of(tenant: str, response_id: str, generation: int) -> dict[str, str]:
    """Name and input of an execution."""
    start_input = {"response_id": response_id, "generation": generation, "tenant": tenant}
    return {"name": _name(response_id, generation), "input": json.dumps(start_input)}


def _name(response_id: str, generation: int) -> str:
    return f"{response_id}-{generation}" if generation else response_id
