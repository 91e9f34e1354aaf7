"""Webhook endpoints: the bodies of their routes, as the OpenAI SDK has them (openai.types.webhooks).

They are built when they are first needed: most requests are no such ones, and no other model contains them.
"""

from typing import Annotated, Literal, TypeAlias, get_args

from pydantic import ConfigDict, Field

from .base import ABSENT_IF_NULL, Wire
from .limits import MAX_EVENT_TYPES, MAX_NAME, MAX_WEBHOOK_URL

EventType: TypeAlias = Literal["response.completed", "response.failed", "response.incomplete", "response.cancelled"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
EndpointName: TypeAlias = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
EndpointUrl: TypeAlias = Annotated[str, Field(max_length=MAX_WEBHOOK_URL)]
EventTypes: TypeAlias = Annotated[list[EventType], Field(min_length=1, max_length=MAX_EVENT_TYPES, fail_fast=True)]


class NewEndpoint(Wire):
    model_config = ConfigDict(defer_build=True)

    name: EndpointName
    url: EndpointUrl
    event_types: EventTypes


class EndpointChange(Wire):
    """What is not said stays as it is."""

    model_config = ConfigDict(defer_build=True)

    name: EndpointName | None = None
    url: EndpointUrl | None = None
    event_types: EventTypes | None = None


class SecretRotation(Wire):
    model_config = ConfigDict(defer_build=True)

    keep_old_secret_active_for_24_hours: Annotated[bool, ABSENT_IF_NULL] = False


class EndpointTrial(Wire):
    model_config = ConfigDict(defer_build=True)

    event_type: EventType
