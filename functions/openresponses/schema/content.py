"""Content parts: what a message, a reasoning item or a tool's output is made of."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag

from .base import ABSENT_IF_NULL, FAST, GivenId, Json, JsonObject, Name, Wire, absent, fields_of
from .limits import MAX_FILENAME

ImageDetail: TypeAlias = Name
"""`low`, `high`, `auto`, OpenAI's `original`, and what comes next: a provider judges it."""


class InputText(Wire):
    type: Literal["input_text"] = "input_text"
    text: str


class InputImage(Wire):
    """`image_url` is an http(s) URL or a data URL."""

    type: Literal["input_image"] = "input_image"
    image_url: str | None = None
    detail: Annotated[ImageDetail, ABSENT_IF_NULL] = "auto"
    file_id: GivenId | None = absent()

    @classmethod
    def of(cls, fields: JsonObject) -> Self:
        """The image that an open object tells of. What is no string is left out: a provider refuses no image."""
        told = {
            name: value for name in ("image_url", "detail", "file_id") if isinstance(value := fields.get(name), str)
        }
        return cls.model_validate(told)


class InputFile(Wire):
    """`file_data` is base64, with or without a data-URL prefix."""

    type: Literal["input_file"] = "input_file"
    filename: Annotated[str, Field(max_length=MAX_FILENAME)] | None = absent()
    file_url: str | None = absent()
    file_data: str | None = absent()
    file_id: GivenId | None = absent()


class InputVideo(Wire):
    type: Literal["input_video"] = "input_video"
    video_url: str


class TopLogProb(Wire):
    token: str
    logprob: float
    bytes: Annotated[list[int], FAST, ABSENT_IF_NULL] = []


class LogProb(TopLogProb):
    top_logprobs: Annotated[list[TopLogProb], FAST, ABSENT_IF_NULL] = []


class UrlCitation(Wire):
    """`start_index` and `end_index` count characters of the part's text."""

    type: Literal["url_citation"] = "url_citation"
    url: str
    start_index: Annotated[int, Field(ge=0)]
    end_index: Annotated[int, Field(ge=0)]
    title: str


class FileCitation(Wire):
    """OpenAI's extension. `index` counts characters of the part's text."""

    type: Literal["file_citation"] = "file_citation"
    file_id: str
    filename: str
    index: Annotated[int, Field(ge=0)]


class ContainerFileCitation(Wire):
    """OpenAI's extension: a file that code interpreter made."""

    type: Literal["container_file_citation"] = "container_file_citation"
    container_id: str
    file_id: str
    filename: str
    start_index: Annotated[int, Field(ge=0)]
    end_index: Annotated[int, Field(ge=0)]


class FilePath(Wire):
    """OpenAI's extension. `index` is the file's place in the list of files."""

    type: Literal["file_path"] = "file_path"
    file_id: str
    index: Annotated[int, Field(ge=0)]


class ExtensionAnnotation(Wire):
    """An annotation of another type, kept and returned as it came."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Json]  # pyright: ignore[reportIncompatibleVariableOverride]

    type: str


_ANNOTATIONS = ("url_citation", "file_citation", "container_file_citation", "file_path")


def _annotation_tag(value: object) -> str:
    kind = fields_of(value).get("type")
    return kind if isinstance(kind, str) and kind in _ANNOTATIONS else "extension"


Annotation: TypeAlias = Annotated[
    Annotated[UrlCitation, Tag("url_citation")]
    | Annotated[FileCitation, Tag("file_citation")]
    | Annotated[ContainerFileCitation, Tag("container_file_citation")]
    | Annotated[FilePath, Tag("file_path")]
    | Annotated[ExtensionAnnotation, Tag("extension")],
    Discriminator(_annotation_tag),
]


class OutputText(Wire):
    type: Literal["output_text"] = "output_text"
    text: Annotated[str, ABSENT_IF_NULL] = ""
    annotations: Annotated[list[Annotation], FAST, ABSENT_IF_NULL] = []
    logprobs: Annotated[list[LogProb], FAST, ABSENT_IF_NULL] = []


class Refusal(Wire):
    type: Literal["refusal"] = "refusal"
    refusal: Annotated[str, ABSENT_IF_NULL] = ""


class Text(Wire):
    type: Literal["text"] = "text"
    text: str


class SummaryText(Wire):
    type: Literal["summary_text"] = "summary_text"
    text: Annotated[str, ABSENT_IF_NULL] = ""


class ReasoningText(Wire):
    type: Literal["reasoning_text"] = "reasoning_text"
    text: Annotated[str, ABSENT_IF_NULL] = ""


InputPart: TypeAlias = InputText | InputImage | InputFile | InputVideo
OutputPart: TypeAlias = OutputText | Refusal | ReasoningText
Part: TypeAlias = Annotated[
    InputText | InputImage | InputFile | InputVideo | OutputText | Refusal | Text | SummaryText | ReasoningText,
    Discriminator("type"),
]
