"""An app that is not at the top of the task root."""

from apps import plain as app

__all__ = ["app"]
