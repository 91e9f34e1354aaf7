"""The offline model: deterministic, without a network or a vendor. It is a demo, and its answers say so.

- It reasons if reasoning is asked for (an `effort` other than `none`, or a `summary`).
- It calls tools if tools are offered and no call since the last user message has been answered, and whenever a call
  is required. It calls the tools that the user's words name, or else the first one; only one if parallel calls are
  not allowed. It makes the arguments from the tool's JSON schema.
- Then it answers: with an instance of the schema if structured output is asked for, else with text, which quotes
  the outputs of its calls, or else the user's words.
- It compacts a conversation to what was said in it, each message and output cut short.
- A token is a word. `max_output_tokens` and the usage count words, those of reasoning and of arguments included.

Directives in the last user message script it, for tests and demonstrations:

| directive                    | what happens                                                                 |
|------------------------------|------------------------------------------------------------------------------|
| `[[words 200]]`              | the text answer has exactly 200 words                                        |
| `[[slow 50ms]]`              | a pause before each word; nothing else ever sleeps                           |
| `[[refuse]]`                 | a refusal instead of anything else                                           |
| `[[length 9]]`, `[[length]]` | stops for length after 9 words (5)                                           |
| `[[filter 9]]`, `[[filter]]` | stops for the content filter after 9 words (5)                               |
| `[[error]]`, `[[throttle]]`  | ProviderUnavailable, ProviderThrottled before the first word                 |
| `[[fail after 3]]`           | ProviderUnavailable after 3 words                                            |
| `[[stall after 3]]`          | waits after 3 words, and then fails                                                 |
| `[[parallel 3]]`             | three calls in one turn, even if parallel calls are not allowed              |
| `[[turns 5]]`                | calls tools in five turns before it answers                                  |
| `[[call name {"a": 1}]]`     | exactly this call, even of a tool that isn't offered; may be repeated        |

A turn has a budget (`budget.py`): of 10,000 words, of 32 calls, of 300 seconds of pauses and stalls, and of what is
made from a schema. A number has five digits at most.

With `in turn 2`, `error`, `throttle`, `fail`, `stall`, `length` and `filter` apply to that turn only.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from itertools import takewhile

from ...core import deltas as d
from ...core.errors import ProviderThrottled, ProviderUnavailable
from ...core.settings import ProviderSettings
from ...core.turn import Turn
from ...schema.response import InputTokensDetails, OutputTokensDetails, Usage
from .._shared.tools import refuse_upstream_tools
from .budget import CALLS, Budget
from .instances import instance
from .script import Ending, Script, Situation, spoken

NAME = "offline/demo"
_INTRODUCTION = "This is the offline demo model: no real model ran."
_FILLER = "These words only make the answer as long as it was asked to be."
_QUOTED = 300
"""Characters of a tool's output, or of the user's words, that an answer repeats."""
_SUMMARY, _ASKED = 16_000, 4_000
"""Characters of a summary, and of each message of the user's in it: fewer words than a turn may have."""


def connect(settings: ProviderSettings) -> "Offline":
    """The offline model has nothing to configure."""
    return Offline(settings)


class Offline:
    def __init__(self, settings: ProviderSettings, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._settings, self._sleep = settings, sleep

    async def stream(self, turn: Turn) -> AsyncGenerator[d.Delta, None]:
        """One turn. Raises ProviderUnavailable or ProviderThrottled if the script says so, RequestError for options."""
        refuse_upstream_tools(turn)
        if turn.request.provider and turn.request.provider.options:  # there are none: import what refuses them late
            from .._shared.options import with_options

            with_options({}, turn, self._settings, ())
        situation = Situation.of(turn)
        script = situation.script
        ending = script.ending if script.ending and script.ending.turn in (None, situation.turn) else None
        if ending and ending.after == 0:
            _strike(ending)
        meter, budget = _Meter(situation.input_words), Budget()
        most = min(turn.max_output_tokens or budget.words, budget.words)
        yield meter.usage()
        reason: d.FinishReason = "stop"
        for delta in _say(turn, situation, budget):
            if _is_word(delta):
                if ending and meter.words == ending.after:
                    break
                if meter.words >= most:
                    reason = "length"
                    ending = None
                    break
                if script.pause:
                    await self._sleep(budget.wait(script.pause))
                meter.count(delta)
            yield delta
        yield meter.usage()
        if ending:
            _strike(ending)
            if ending.kind == "stall":
                await self._sleep(budget.wait(math.inf))
                raise ProviderUnavailable("The offline model stalled because its script says so")
            reason = "content_filter" if ending.kind == "filter" else "length"
        yield d.Finish(reason)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Meter:
    def __init__(self, input_words: int) -> None:
        self.words = 0
        self._input, self._reasoning = input_words, 0

    def count(self, delta: d.Delta) -> None:
        self.words += 1
        self._reasoning += isinstance(delta, d.Reasoning)

    def usage(self) -> d.Usage:
        return d.Usage(
            Usage(
                input_tokens=self._input,
                input_tokens_details=InputTokensDetails(),
                output_tokens=self.words,
                output_tokens_details=OutputTokensDetails(reasoning_tokens=self._reasoning),
                total_tokens=self._input + self.words,
            )
        )


def _strike(ending: Ending) -> None:
    if ending.kind in ("error", "fail"):
        raise ProviderUnavailable("The offline model fails because its script says so")
    if ending.kind == "throttle":
        raise ProviderThrottled("The offline model is throttled because its script says so", retry_after=1.0)


def _is_word(delta: d.Delta) -> bool:
    match delta:
        case d.Text() | d.Refusal() | d.Reasoning():
            return delta.text != ""
        case d.ToolCall():
            return delta.arguments != ""
        case _:
            return False


def _words(text: str) -> list[str]:
    """`text` in pieces of one word each, with the space that follows it."""
    pieces = text.split(" ")
    return [f"{piece} " for piece in pieces[:-1]] + pieces[-1:]


def _say(turn: Turn, situation: Situation, budget: Budget) -> Iterator[d.Delta]:
    """The deltas of a whole turn, without its usage and its finish."""
    if turn.keeps is not None:
        yield from (d.Text("text", word) for word in _words(_summary(turn, Budget(characters=_SUMMARY))))
        return
    script = situation.script
    calls = [] if script.refuse else _calls(turn, situation, budget)
    yield from _reason(turn, situation, calls)
    if script.refuse:
        yield from (d.Refusal("refusal", word) for word in _words("I can't help with that: the script says refuse."))
        yield d.End("refusal")
    elif calls:
        for key, (name, arguments) in enumerate(calls):
            yield d.ToolCall(key, name=name)
            yield from (d.ToolCall(key, word) for word in _words(arguments))
            yield d.End(key)
    else:
        yield from (d.Text("text", word) for word in _words(_answer(turn, situation, budget)))
        yield d.End("text")


def _reason(turn: Turn, situation: Situation, calls: list[tuple[str, str]]) -> Iterator[d.Delta]:
    settings = turn.request.reasoning
    if settings is None or settings.effort == "none" or not (settings.effort or settings.summary):
        return
    plan = f"call {', '.join(name for name, _ in calls)}" if calls else "answer"
    if settings.effort:
        thought = f"This is turn {situation.turn}. {len(situation.outputs)} calls are answered, so I {plan}."
        yield from (d.Reasoning("reasoning", word) for word in _words(thought))
    if settings.summary:
        yield from (d.Reasoning("reasoning", word, summary=0) for word in _words(f"Decided to {plan}."))
    if "reasoning.encrypted_content" in (turn.request.include or []):
        yield d.Opaque("reasoning", f"{NAME}:turn-{situation.turn}")
    yield d.End("reasoning")


def _calls(turn: Turn, situation: Situation, budget: Budget) -> list[tuple[str, str]]:
    """The calls of this turn, as (tool, arguments); none if it is time to answer."""
    script = situation.script
    scripted = bool(script.calls or script.turns)
    due = situation.turns_done < (script.turns or 1) and (scripted or bool(turn.tools))
    if turn.tool_choice != "required" and not due:
        return []
    chosen = script.calls or [(name, None) for name in _chosen(turn, script)]
    offered = {tool.name: tool for tool in turn.tools}
    made: list[tuple[str, str]] = []
    for name, arguments in chosen[:CALLS]:
        schema = (offered[name].parameters if name in offered else None) or {"type": "object"}
        made.append((name, arguments or json.dumps(instance(schema, script.words, budget), ensure_ascii=False)))
    return made


def _chosen(turn: Turn, script: Script) -> list[str]:
    """Which tools to call: the one that is required, or those that the user's words name, or the first."""
    names = [tool.name for tool in turn.tools]
    spoken = f" {' '.join(script.words.lower().replace('_', ' ').split())} "
    named = [name for name in names if name.lower().replace("_", " ") in spoken]
    chosen = [turn.must_call] if turn.must_call else named or names[:1]
    if script.parallel is not None and chosen:
        return [chosen[i % len(chosen)] for i in range(script.parallel)]
    return chosen if turn.request.parallel_tool_calls is not False else chosen[:1]


def _answer(turn: Turn, situation: Situation, budget: Budget) -> str:
    script = situation.script
    shape = turn.request.text.format if turn.request.text else None
    if shape is not None and shape.type == "json_schema":
        return json.dumps(instance(shape.schema_, script.words, budget), ensure_ascii=False)
    if shape is not None and shape.type == "json_object":
        return json.dumps({"model": NAME, "you_said": script.words[:_QUOTED]}, ensure_ascii=False)
    said = [_INTRODUCTION]
    answers = (f"The tool {name} answered: {_short(output)}" for name, output in situation.outputs)
    said += takewhile(lambda answer: budget.write(len(answer)), answers)
    if script.words and not situation.outputs:
        said.append(f'You said: "{_short(script.words)}"')
    text = " ".join(said)
    if script.length is None:
        return text
    words = text.split()
    filler = _FILLER.split()
    words += [filler[i % len(filler)] for i in range(script.length - len(words))]
    return " ".join(words[: script.length])


def _summary(turn: Turn, budget: Budget) -> str:
    """What each item says, of the last one apart, which asks for the summary."""
    parts = spoken(turn.items[:-1])
    said = (f"{who}: {_short(text, _ASKED if who == 'user' else _QUOTED)}" for who, text in parts if text)
    return " ".join([_INTRODUCTION, *takewhile(lambda each: budget.write(len(each)), said)])


def _short(text: str, most: int = _QUOTED) -> str:
    text = " ".join(text[: 10 * most].split())
    return text if len(text) <= most else f"{text[:most]}..."
