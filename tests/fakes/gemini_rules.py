"""What the real Gemini API refuses, for the fake upstream, in its own words where they are known.

Sources: Gemini API, "Thought signatures", "Function calling", "Structured outputs", "Gemini thinking", "Combine
built-in tools and function calling"; its error messages as they are quoted in issue trackers.
"""

import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs, unquote

from tests.fakes.wire import Body, Received, Rules, is_signed, need

DUMMIES = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
BODY = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent"}
BODY |= {"serviceTier", "store"}
CONFIG = {"temperature", "topP", "topK", "maxOutputTokens", "stopSequences", "presencePenalty", "frequencyPenalty"}
CONFIG |= {"seed", "candidateCount", "responseMimeType", "responseSchema", "responseJsonSchema", "responseLogprobs"}
CONFIG |= {"logprobs", "thinkingConfig", "responseModalities", "mediaResolution", "speechConfig"}
DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult"}
DATA |= {"toolCall", "toolResponse"}
FIELDS = {
    "inlineData": {"mimeType", "data", "displayName"},
    "fileData": {"mimeType", "fileUri"},
    "functionCall": {"id", "name", "args"},
    "functionResponse": {"id", "name", "response", "parts"},
    "executableCode": {"id", "language", "code"},
    "codeExecutionResult": {"id", "outcome", "output"},
    "toolCall": {"id", "toolType", "args"},
    "toolResponse": {"id", "toolType", "response"},
}
SCHEMA = {"$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items", "prefixItems"}
SCHEMA |= {"minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties", "additionalProperties"}
SCHEMA |= {"required", "propertyOrdering"}
GOOGLES = {"googleSearch", "codeExecution", "urlContext", "googleMaps", "fileSearch"}
RESPONSE_MEDIA = {"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}


def model_of(path: str) -> str:
    """From `/v1beta/models/<model>:streamGenerateContent?alt=sse`."""
    return unquote(path.partition("?")[0]).partition("/v1beta/")[2].removeprefix("models/").rpartition(":")[0]


def generation(path: str) -> float:
    found = re.match(r"gemini-(\d+(?:\.\d+)?)", model_of(path))
    return float(found[1]) if found else 2.0


def check(request: Received, rules: Rules) -> None:
    """Raises Refused. With the rule `reasoning`, a call of the fake's own must come back with its own signature."""
    query = parse_qs(request.path.partition("?")[2])
    need("key" not in query, "The key belongs into a header")
    need(query.get("alt") == ["sse"], "This server only streams events: alt=sse is missing")
    key = request.headers.get("x-goog-api-key", "")
    need(not rules.api_key or key == rules.api_key, "API key not valid. Please pass a valid API key.", 400, "KEY")
    known(request.body, BODY, "")
    generates = generation(request.path)
    contents = request.body.get("contents")
    need(contents, "* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(request.body["contents"]):
        _content(content, f"contents[{index}]", generates)
    if instruction := request.body.get("systemInstruction"):
        known(instruction, {"role", "parts"}, "system_instruction")
        need(instruction.get("role") in (None, "user", "system"), "Please use a valid role: user, model.")
        need(all(part.keys() == {"text"} for part in instruction["parts"]), "System instructions must be text")
    _turns(request.body["contents"])
    if generates >= 3:
        _signatures(request.body["contents"], rules)
    _config(request.body, generates, model_of(request.path))
    _tools(request.body, generates, model_of(request.path))


def known(value: Body, fields: set[str], where: str) -> None:
    for name in value:
        place = f" at '{where}'" if where else ""
        need(name in fields, f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.')


def _content(content: Body, where: str, generates: float) -> None:
    known(content, {"role", "parts"}, where)
    need(content.get("role") in ("user", "model"), "Please use a valid role: user, model.")
    need(content.get("parts"), f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.")
    for index, part in enumerate(content["parts"]):
        at = f"{where}.parts[{index}]"
        known(part, DATA | {"thought", "thoughtSignature"}, at)
        held = DATA & part.keys()
        message = f"* GenerateContentRequest.{at}.data: required oneof field 'data' must have one initialized field"
        need(len(held) == 1, message)
        (kind,) = held
        if kind == "text":
            need(part["text"] or "thoughtSignature" in part, "Unable to submit request because it must have a text")
            continue
        known(part[kind], FIELDS[kind], f"{at}.{kind}")
        need(kind not in ("functionCall", "functionResponse") or part[kind].get("name"), f"{at}: name is empty")
        need(part[kind].get("mimeType", "x") != "", f"{at}: Unsupported MIME type: ")
        for media in part[kind].get("parts", ()):
            need(generates >= 3, "Multimodal function responses are not supported for this model")
            known(media, {"inlineData"}, f"{at}.function_response.parts")
            need(media["inlineData"]["mimeType"] in RESPONSE_MEDIA, "Unsupported MIME type in a function response")


def _turns(contents: list[Body]) -> None:
    """Calls come after the user's turn, or after responses; and their responses come at once, and all of them."""
    waiting: list[tuple[str | None, str]] = []
    before = ""
    for content in contents:
        calls = [(part["functionCall"].get("id"), part["functionCall"]["name"]) for part in having(content, "Call")]
        responses = [part["functionResponse"] for part in having(content, "Response")]
        answered = [(response.get("id"), response["name"]) for response in responses]
        need(
            answered == waiting,
            "Please ensure that function response turn comes immediately after a function call turn. And the number of "
            "function response parts should be equal to number of function call parts of the function call turn.",
        )
        if responses:
            need(content["role"] == "user" and len(responses) == len(content["parts"]), "Responses go back alone")
            need(all(isinstance(each.get("response"), dict) for each in responses), "A response must be an object")
        if content["role"] == "model":
            need(before != "model", "Please ensure that multiturn requests alternate between user and model.")
        if calls:
            need(
                before == "user",
                "Please ensure that function call turn comes immediately after a user turn or after a function "
                "response turn.",
            )
            need(all(isinstance(part["functionCall"].get("args"), dict) for part in having(content, "Call")), "args")
        waiting, before = calls, content["role"]
    need(not waiting, "Please ensure that function response turn comes immediately after a function call turn.")
    need(before == "user", "Requests ending with a model turn are not supported.")


def having(content: Body, kind: str) -> Iterator[Body]:
    return (part for part in content["parts"] if f"function{kind}" in part)


def _signatures(contents: list[Body], rules: Rules) -> None:
    asked = [i for i, each in enumerate(contents) if each["role"] == "user" and not any(having(each, "Response"))]
    current = asked[-1] if asked else -1
    calls = 0
    for index, content in enumerate(contents):
        for part in content["parts"]:
            if (signature := part.get("thoughtSignature")) is not None:
                dummy = signature in DUMMIES and "functionCall" in part and not (rules.reasoning and _is_ours(part))
                need(dummy or is_signed(signature, "gemini", *signed(part, calls)), "Thought signature is not valid")
            calls += "functionCall" in part
        first = next(having(content, "Call"), None)
        if first and index > current:
            name = first["functionCall"]["name"]
            need(
                "thoughtSignature" in first,
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {index + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
            )


def signed(part: Body, calls: int) -> tuple[str, str]:
    """What a signature is of: this kind of part, saying this, under its own id, or else after so many calls. It is
    refused on another part."""
    call = part.get("functionCall")
    if call is None:
        return "thought" if part.get("thought") else "text", part.get("text", "")
    which = call["id"] if _is_ours(part) else calls
    return "functionCall", json.dumps([which, call["name"], call["args"]], sort_keys=True)


def _is_ours(part: Body) -> bool:
    return str(part["functionCall"].get("id")).startswith("gemini_")


def _config(body: Body, generates: float, model: str) -> None:
    config = body.get("generationConfig", {})
    known(config, CONFIG, "generation_config")
    lite, pro = "-lite" in model, "-pro" in model
    if generates >= (3.5 if lite else 3.6):
        need(not config.keys() & {"presencePenalty", "frequencyPenalty"}, "Penalty is not enabled for this model")
    thinking = config.get("thinkingConfig", {})
    known(thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"}, "generation_config.thinking_config")
    need(not thinking or generates >= 2.5, "Unable to submit request because thinking is not supported by this model")
    level = thinking.get("thinkingLevel")
    need(not level or "thinkingBudget" not in thinking, "You can only set only one of thinking budget and level.")
    need(not level or generates >= 3, "Thinking level is not supported for this model.")
    need(level in (None, "MINIMAL", "LOW", "MEDIUM", "HIGH"), f"Invalid value at 'thinking_level': {level}")
    minimal = lite or (generates < 3.7 and not pro)
    need(level != "MINIMAL" or minimal, "Thinking level MINIMAL is not supported for this model.")
    # https://ai.google.dev/gemini-api/docs/thinking: Gemini 3 Pro has "low" and "high"
    first_pro = pro and 3 <= generates < 3.1
    need(level != "MEDIUM" or not first_pro, "Thinking level MEDIUM is not supported for this model.")
    need(thinking.get("thinkingBudget") != 0 or not pro, "Budget 0 is invalid. This model only works in thinking mode.")
    as_json = config.get("responseMimeType") == "application/json"
    if "responseJsonSchema" in config:
        need(as_json, "responseMimeType must be application/json")
        _schema(config["responseJsonSchema"], "generation_config.response_json_schema")
    functions = any("functionDeclarations" in tool for tool in body.get("tools", ()))
    # googleapis/python-genai#867; snailyp/gemini-balance#264 for Google's own tools
    use = "Function calling" if functions else "Tool use"
    unsupported = f"{use} with a response mime type: 'application/json' is unsupported"
    need(generates >= 3 or not (as_json and body.get("tools")), unsupported)
    need("logprobs" not in config or config.get("responseLogprobs"), "Logprobs need response_logprobs")


def _tools(body: Body, generates: float, model: str) -> None:
    config = body.get("toolConfig", {})
    known(config, {"functionCallingConfig", "includeServerSideToolInvocations"}, "tool_config")
    tools = body.get("tools", [])
    declared = [function for tool in tools for function in tool.get("functionDeclarations", ())]
    names = [function.get("name", "") for function in declared]
    for tool in tools:
        known(tool, GOOGLES | {"functionDeclarations"}, "tools")
        need(tool, "tools[0].tool_type: required one_of 'tool_type' must have one initialized field")
    for function in declared:
        known(function, {"name", "description", "parametersJsonSchema"}, "tools.function_declarations")
        name = function.get("name", "")
        good = re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", name)
        need(good, f"Invalid function name {name!r}. Must start with a letter or an underscore.")
        need(names.count(name) == 1, f"Duplicate function declaration found: {name}")
        if "parametersJsonSchema" in function:
            _schema(function["parametersJsonSchema"], "parameters_json_schema")
            need(function["parametersJsonSchema"].get("type", "object") == "object", "parameters must be an object")
    calling = config.get("functionCallingConfig")
    if calling is not None:
        need(declared, "Function calling config is set without function_declarations.")
        known(calling, {"mode", "allowedFunctionNames"}, "tool_config.function_calling_config")
        need(calling.get("mode") in ("AUTO", "ANY", "NONE", "VALIDATED"), "Invalid function calling mode")
        allowed = calling.get("allowedFunctionNames", [])
        need(not allowed or calling["mode"] in ("ANY", "VALIDATED"), "allowed_function_names needs the mode ANY")
        need(set(allowed) <= set(names), "allowed_function_names must be a subset of the declared functions")
    mixed, included = (
        bool(declared and any(GOOGLES & tool.keys() for tool in tools)),
        "includeServerSideToolInvocations",
    )
    circulates = f"Tool call context circulation is not enabled for models/{model}"
    need(generates >= 3 or not config.get(included), circulates)
    enable = (
        "Please enable tool_config.include_server_side_tool_invocations to use Built-in tools with Function calling."
    )
    need(not mixed or config.get(included), enable)


def _schema(schema: object, where: str) -> None:
    if not isinstance(schema, Mapping):
        need(isinstance(schema, bool), f"{where}: a schema must be an object")
        return
    known(dict(schema), SCHEMA, where)
    if "$ref" in schema:
        need(all(name.startswith("$") for name in schema), f"{where}: no other properties may be set beside $ref")
    need(all(not isinstance(each, bool | None) for each in schema.get("enum", ())), f"{where}.enum: strings or numbers")
    need(schema.get("enum", [0]), f"{where}.enum: cannot be empty")
    for name in ("properties", "$defs"):
        for key, each in schema.get(name, {}).items():
            _schema(each, f"{where}.{name}[{key}]")
    for name in ("items", "additionalProperties"):
        if name in schema:
            _schema(schema[name], f"{where}.{name}")
    for name in ("anyOf", "oneOf", "prefixItems"):
        for each in schema.get(name, ()):
            _schema(each, f"{where}.{name}")
