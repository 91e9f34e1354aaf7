from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Place(BaseModel):
    city: str
    title: str = ""


@dataclass
class Report:
    on: date
    lines: list[str]


async def describes(
    place: Place,
    unit: Literal["c", "f"] = "c",
    days: Annotated[int, Field(ge=1, le=7, description="How many days.")] = 1,
    size: int = 0,
) -> Report:
    """Report the weather
    of a place.

    More than the model needs to know.

    Args:
        place: Where. It may take
            two lines.
        unit: Of the temperature: c or f.
    """
    return Report(date(2026, 1, 2), [f"{place.city} {unit} {days}", "x" * size])
