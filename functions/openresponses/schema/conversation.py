"""Conversations: the bodies of their routes, and what is shown of one."""

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from .base import Wire
from .items import InputItem
from .limits import MAX_ADDED
from .request import Metadata

AddedItems: TypeAlias = Annotated[list[InputItem], Field(max_length=MAX_ADDED, fail_fast=True)]


class NewConversation(Wire):
    items: AddedItems | None = None
    metadata: Metadata | None = None


class ConversationChange(Wire):
    metadata: Metadata | None


class NewItems(Wire):
    items: Annotated[AddedItems, Field(min_length=1)]


class ConversationResource(Wire):
    """`created_at` is in Unix seconds."""

    id: str
    object: Literal["conversation"] = "conversation"
    created_at: int
    metadata: Metadata = {}
