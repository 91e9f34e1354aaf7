"""The properties of one resource of a template: resolved, typed, and refused with their place where they are wrong."""

from __future__ import annotations

from dataclasses import dataclass

from openresponses_dev.local.template.yaml_tree import Table, TemplateError, table, text


@dataclass(frozen=True, slots=True)
class Properties:
    """Resolved properties, and where they are in the template."""

    values: Table
    where: str

    def at(self, key: str) -> str:
        return f"{self.where}.{key}"

    def text(self, key: str, default: str | None = None) -> str:
        if self.values.get(key) is None and default is None:
            raise TemplateError(self.at(key), "is required")
        return text(self.values.get(key, default), self.at(key))

    def number(self, key: str, default: int, low: int, high: int) -> int:
        try:
            number = int(self.text(key, str(default)))
        except ValueError as error:
            raise TemplateError(self.at(key), f"{self.values[key]!r} is not a whole number") from error
        if not low <= number <= high:
            raise TemplateError(self.at(key), f"{number} is not between {low} and {high}")
        return number

    def table(self, key: str) -> Properties:
        return Properties(table(self.values.get(key), self.at(key)), self.at(key))

    def list(self, key: str) -> list[str]:
        """A list of strings; an absent one is empty."""
        found = self.values.get(key) or []
        if not isinstance(found, list):
            raise TemplateError(self.at(key), f"must be a list, not {found!r}")
        return [text(item, self.at(key)) for item in found]

    def texts(self) -> dict[str, str]:
        return {key: self.text(key) for key in self.values}
