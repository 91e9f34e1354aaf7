"""Content parts: what a message, a reasoning item or a tool's output is made of."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field

from .base import Wire, absent

ImageDetail: TypeAlias = Literal["low", "high", "auto", "original"]


def _auto_if_null(value: object) -> object:
    return "auto" if value is None else value


class InputText(Wire):
    type: Literal["input_text"] = "input_text"
    text: str


class InputImage(Wire):
    """`image_url` is an http(s) URL or a data URL."""

    type: Literal["input_image"] = "input_image"
    image_url: str | None = None
    detail: Annotated[ImageDetail, BeforeValidator(_auto_if_null)] = "auto"
    file_id: str | None = absent()


class InputFile(Wire):
    """`file_data` is base64, with or without a data-URL prefix."""

    type: Literal["input_file"] = "input_file"
    filename: str | None = absent()
    file_url: str | None = absent()
    file_data: str | None = absent()
    file_id: str | None = absent()


class InputVideo(Wire):
    type: Literal["input_video"] = "input_video"
    video_url: str


class TopLogProb(Wire):
    token: str
    logprob: float
    bytes: list[int] = []


class LogProb(TopLogProb):
    top_logprobs: list[TopLogProb] = []


class UrlCitation(Wire):
    """`start_index` and `end_index` count characters of the part's text."""

    type: Literal["url_citation"] = "url_citation"
    url: str
    start_index: Annotated[int, Field(ge=0)]
    end_index: Annotated[int, Field(ge=0)]
    title: str


class OutputText(Wire):
    type: Literal["output_text"] = "output_text"
    text: str = ""
    annotations: list[UrlCitation] = []
    logprobs: list[LogProb] = []


class Refusal(Wire):
    type: Literal["refusal"] = "refusal"
    refusal: str = ""


class Text(Wire):
    type: Literal["text"] = "text"
    text: str


class SummaryText(Wire):
    type: Literal["summary_text"] = "summary_text"
    text: str = ""


class ReasoningText(Wire):
    type: Literal["reasoning_text"] = "reasoning_text"
    text: str = ""


InputPart: TypeAlias = InputText | InputImage | InputFile | InputVideo
OutputPart: TypeAlias = OutputText | Refusal | ReasoningText
Part: TypeAlias = Annotated[
    InputText | InputImage | InputFile | InputVideo | OutputText | Refusal | Text | SummaryText | ReasoningText,
    Discriminator("type"),
]
