"""Items to the input of the Responses API. Pure.

Nothing is stored upstream (`store: false`), so items go whole, and without ids: an id would be looked up, or
tied to other items that must then come along (OpenAI: "was provided without its required 'reasoning' item").
What needs one has it: reasoning its own, to which its encrypted content is bound ("Encrypted content item_id did
not match the target item id"); calls that the provider ran, one made of ours, with the prefix that OpenAI checks.
"""

from collections.abc import Sequence

from pydantic import JsonValue

from ...core.turn import Turn
from ...schema.base import JsonObject
from ...schema.content import (
    ContainerFileCitation,
    FileCitation,
    FilePath,
    InputFile,
    InputImage,
    OutputText,
    Part,
    Refusal,
    UrlCitation,
)
from ...schema.items import (
    Compaction,
    CustomToolCall,
    CustomToolCallOutput,
    ExtensionItem,
    FunctionCall,
    FunctionCallOutput,
    Item,
    Message,
    Reasoning,
)
from ...schema.server_items import HostedToolCall
from .._shared.history import PastCall, arguments_text, past_calls, place
from .._shared.json import fields, loads, objects
from .._shared.naming import Naming
from .._shared.parts import data_url, said, unsendable, within
from .._shared.shared_state import names_shared
from .models import ResponsesOptions


def content(parts: Sequence[Part], where: str) -> list[JsonValue]:
    """`where` is the list's place in the request, if any."""
    return [_part(part, within(where, f"[{index}]")) for index, part in enumerate(parts)]


def spoken(parts: Sequence[Part]) -> str:
    """What a message of the assistant says, as one string: every server takes that, and no id is needed for it."""
    return "".join(said(part) or "" for part in parts)


def cited(parts: Sequence[Part], *, files: bool) -> list[JsonObject]:
    """What a message of the assistant says, as the provider made it, where it cites something; empty where it doesn't.
    Without `files`, only addresses of the web are cited.

    The citations tell the model which files it made or read. The form is that of `ResponseOutputMessageParam` in
    OpenAI's SDK, which has an id, and four types of citations.
    """
    made: list[JsonObject] = []
    for part in parts:
        if isinstance(part, Refusal):
            made.append({"type": "refusal", "refusal": part.refusal})
        elif (text := said(part)) is not None:
            annotations = part.annotations if isinstance(part, OutputText) else []
            kinds = (UrlCitation, FileCitation, ContainerFileCitation, FilePath) if files else (UrlCitation,)
            citations = [each for each in annotations if isinstance(each, kinds)]
            shown: list[JsonValue] = [each.model_dump(mode="json") for each in citations]
            made.append({"type": "output_text", "text": text, "annotations": shown})
    return made if any(each.get("annotations") for each in made) else []


def _part(part: Part, where: str) -> JsonObject:
    if (text := said(part)) is not None:
        return {"type": "input_text", "text": text}
    match part:
        case InputImage():
            return _image(part, where)
        case InputFile():
            return _file(part, where)
        case _:
            raise unsendable(f"a part of type {part.type!r}", where)


def _image(part: InputImage, where: str) -> JsonObject:
    image: JsonObject = {"type": "input_image", "detail": part.detail}
    if part.image_url:
        return {**image, "image_url": part.image_url}
    if part.file_id:
        return {**image, "file_id": part.file_id}
    raise unsendable("'input_image' without 'image_url'", where)


def _file(part: InputFile, where: str) -> JsonObject:
    if part.file_url:
        return {"type": "input_file", "file_url": part.file_url}
    if part.file_id:
        return {"type": "input_file", "file_id": part.file_id}
    if not part.file_data:
        raise unsendable("'input_file' without 'file_data' and 'file_url'", where)
    name = part.filename or "file"
    return {"type": "input_file", "filename": name, "file_data": data_url(part.file_data, name)}


_ID_PREFIX = {
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "mcp_list_tools": "mcpl",
    "mcp_call": "mcp",
    "mcp_approval_request": "mcpr",
}
_WITHOUT_ID = {"mcp_approval_response", "tool_search_call", "tool_search_output"}
_WITHOUT_STATUS = {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response"}


def input_items(turn: Turn, options: ResponsesOptions, names: Naming) -> list[JsonValue]:
    """Raises RequestError for what this wire can't carry, and for an output that answers no call."""
    history = _Input(turn, options, names)
    for index, item in enumerate(turn.items):
        history.add(index, item)
    return history.end()


class _Input:
    """`_reasoning` waits for what the model made of it: reasoning that nothing follows is refused by OpenAI
    ("was provided without its required following item"), and is of no use to any model.

    `_outputs` wait for the rest of the calls that the model made in one turn, where reasoning goes back as text: such
    a server would take a call behind an output for a new turn, and miss the reasoning of that one (DeepSeek).
    """

    def __init__(self, turn: Turn, options: ResponsesOptions, names: Naming) -> None:
        self.items: list[JsonValue] = []
        self._turn, self._options, self._names = turn, options, names
        self._calls = past_calls(turn, Naming(64).another)
        self._reasoning: list[JsonObject] = []
        self._outputs: list[JsonObject] = []
        self._reasoned = False
        self._namespaces: dict[str, JsonValue] = {}

    def add(self, index: int, item: Item) -> None:
        match item:
            case Message(role="assistant"):
                self._say(item, self._trusted(index))
            case Message():
                role = "system" if item.role == "developer" and not self._options.developer_role else item.role
                parts = content(item.content, place(self._turn, index, "content"))
                self._given({"type": "message", "role": role, "content": parts})
            case Reasoning():
                self._state(_state(item.encrypted_content))
            case FunctionCall() | CustomToolCall() | HostedToolCall():
                self._call(self._calls[index])
            case FunctionCallOutput() | CustomToolCallOutput():
                self._output(self._calls[index])
            case Compaction():
                self._given({"type": "compaction", "encrypted_content": item.encrypted_content})
            case ExtensionItem():
                self._extension(item, self._trusted(index))
            case _:  # a turn shows all others as one of these: see `core.client_tools`
                pass

    def end(self) -> list[JsonValue]:
        self._given()
        return self.items

    def _given(self, *items: JsonObject) -> None:
        self.items += [*self._outputs, *items]
        self._reasoning, self._outputs, self._reasoned = [], [], False

    def _made(self, item: JsonObject, *, is_call: bool = False) -> None:
        """A call without reasoning goes on with the turn that had some."""
        if is_call and self._reasoned and not self._reasoning:
            self.items.append(item)
            return
        reasoning = self._reasoning
        self._given(*reasoning, item)
        self._reasoned = bool(reasoning) and self._options.echo_reasoning == "content"

    def _state(self, state: JsonObject) -> None:
        """Of a call, of a compaction, or of reasoning, which has no type of its own here."""
        match state:
            case {"type": "function_call", "call_id": str(call_id), "namespace": namespace}:
                self._namespaces[call_id] = namespace
            case {"type": "compaction"}:
                self._given(state)
            case {"encrypted_content": _} | {"content": _} if self._options.echo_reasoning != "never":
                reasoning: JsonObject = {"type": "reasoning", "summary": [], **state}
                self._reasoning.append(reasoning if self._options.reasoning_ids else _without(reasoning, "id"))
            case _:
                pass

    def _trusted(self, index: int) -> bool:
        """Whether an item may name files and containers of the account: a client can't have made it up, or may."""
        return self._options.shared_files or index >= self._turn.made

    def _say(self, item: Message, trusted: bool) -> None:
        if text := spoken(item.content):
            message: JsonObject = {"type": "message", "role": "assistant", "content": text}
            if (
                self._options.upstream_tools
                and self._options.reasoning_ids
                and (parts := cited(item.content, files=trusted))
            ):
                message |= {"id": _upstream_id("msg", item.id), "status": "completed", "content": [*parts]}
            self._made(message | ({"phase": item.phase} if item.phase else {}))

    def _call(self, call: PastCall) -> None:
        item = call.item
        sent: JsonObject = {"call_id": call.call_id, "name": self._names.wire(call.name)}
        if namespace := self._namespaces.get(item.call_id):
            sent["namespace"] = namespace
        if self._options.custom_tools and isinstance(item, CustomToolCall):
            self._made({"type": "custom_tool_call", **sent, "input": item.input}, is_call=True)
        else:
            self._made({"type": "function_call", **sent, "arguments": arguments_text(item)}, is_call=True)
        if call.answer is None:
            self._output(call)

    def _output(self, call: PastCall) -> None:
        custom = self._options.custom_tools and isinstance(call.item, CustomToolCall)
        kind = "custom_tool_call_output" if custom else "function_call_output"
        value = call.output if isinstance(call.output, str) else content(call.output, call.where)
        output: JsonObject = {"type": kind, "call_id": call.call_id, "output": value}
        if call.answer is None and self._reasoned:
            self._outputs.append(output)
        else:
            self._given(output)

    def _extension(self, item: ExtensionItem, trusted: bool) -> None:
        """A tool's item goes back where its tool can be. One that was cut short says nothing.

        One that names what is in the provider's account goes back within its response alone, unless all who may use the
        provider may read there. The reasoning before it then stays away too: it must not stand before something else.
        """
        tool = "mcp" if item.type.startswith("mcp_") else item.type.removesuffix("_call").removesuffix("_output")
        known = item.type in _ID_PREFIX or item.type in _WITHOUT_ID
        if not known or tool not in self._options.upstream_tools or item.status == "incomplete":
            return
        if not trusted and _points(item):
            self._reasoning = []
            return
        sent = _without(item.model_dump(mode="json"), *(("id", "status") if item.type in _WITHOUT_STATUS else ("id",)))
        if request := sent.get("approval_request_id"):
            sent["approval_request_id"] = _upstream_id("mcpr", str(request))
        if item.type == "mcp_approval_response":
            self._given(sent)
        elif item.type in _WITHOUT_ID:
            self._made(sent)
        else:
            self._made({**sent, "id": _upstream_id(_ID_PREFIX[item.type], item.id)})


_FOUND = ("function", "custom", "namespace", "mcp")
"""What a search for tools may have found: tools that a request could declare itself."""


def _points(item: ExtensionItem) -> bool:
    """Whether it says where something is in the provider's account, and not what it is: a container, which the tool
    would go on in ("auto mode", OpenAI's guide "Code Interpreter"), files, an image by its id alone, or tools that do.
    """
    match item.type:
        case "code_interpreter_call" | "file_search_call":
            return True
        case "image_generation_call":
            return not item.__pydantic_extra__.get("result")
        case "tool_search_output":
            found = item.__pydantic_extra__.get("tools")
            return any(each.get("type") not in _FOUND for each in objects(found)) or names_shared(found)
        case _:
            return False


def _state(data: str | None) -> JsonObject:
    """What `items` made; nothing for what isn't an object."""
    try:
        return fields(loads(data or "null"))
    except ValueError:
        return {}


def _without(item: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in item.items() if name not in names}


def _upstream_id(prefix: str, item_id: str) -> str:
    return f"{prefix}_{item_id.partition('_')[2] or item_id}"
