"""Conversations: the bodies of their routes, and what is shown of one.

They are built when they are first needed: most requests are no such ones, and no other model contains them.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field

from .base import Wire
from .items import InputItem
from .limits import MAX_ADDED
from .request import Metadata

AddedItems: TypeAlias = Annotated[list[InputItem], Field(max_length=MAX_ADDED, fail_fast=True)]


class NewConversation(Wire):
    model_config = ConfigDict(defer_build=True)

    items: AddedItems | None = None
    metadata: Metadata | None = None


class ConversationChange(Wire):
    model_config = ConfigDict(defer_build=True)

    metadata: Metadata | None


class NewItems(Wire):
    model_config = ConfigDict(defer_build=True)

    items: Annotated[AddedItems, Field(min_length=1)]


class ConversationResource(Wire):
    """`created_at` is in Unix seconds."""

    model_config = ConfigDict(defer_build=True)

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: Metadata = {}
