"""Stored prompts: what a request that names one asks for."""

from typing import NamedTuple

from ..core.errors import RequestError
from ..core.ports import Ports
from ..core.prompts import SETTINGS, Prompt, filled
from ..schema.content import InputText
from ..schema.items import Message
from ..schema.request import CreateResponse, PromptReference, Variable


class Resolved(NamedTuple):
    """`messages` come before the input. They are not in it, so that an error still names the client's own item."""

    request: CreateResponse
    messages: list[Message]


async def resolved(request: CreateResponse, ports: Ports) -> Resolved:
    """The request as it would be without its prompt. What it says itself counts, and else what the prompt says.

    Its `prompt` names the version that was found, and the variables that are text: an image or a file is too large to
    be shown with each event. Raises RequestError.
    """
    messages: list[Message] = []
    if (reference := request.prompt) is not None:
        prompt = await _found(reference, ports)
        variables = reference.variables or {}
        instructions, messages = filled(prompt.body, variables)
        body = prompt.body.model_copy(update={"instructions": instructions})
        defaults = {name: getattr(body, name) for name in SETTINGS if getattr(request, name) is None}
        shown: dict[str, Variable] = {
            name: value for name, value in variables.items() if isinstance(value, str | InputText)
        }
        told = PromptReference(id=reference.id, version=str(prompt.version), variables=shown or None)
        request = request.model_copy(update={"model": request.model or body.model, **defaults, "prompt": told})
    if not request.model:
        raise RequestError("'model' is missing", param="model", code="missing_required_parameter")
    return Resolved(request, messages)


async def _found(reference: PromptReference, ports: Ports) -> Prompt:
    prompts = ports.storage and ports.storage.prompts
    if prompts and (prompt := await prompts.find(reference.id, reference.version)):
        return prompt
    if prompts and reference.version is not None and await prompts.find(reference.id):
        raise RequestError(
            f"The prompt {reference.id!r} has no version {reference.version!r}",
            param="prompt.version",
            code="prompt_not_found",
        )
    near = _nearest(reference.id, [each.id for each in await prompts.listed()]) if prompts else ""
    raise RequestError(f"There is no prompt {reference.id!r}{near}", param="prompt.id", code="prompt_not_found")


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # here, since few requests need it

    near = get_close_matches(name, known, 1)
    return f": did you mean {near[0]!r}?" if near else ""
