"""What only AWS knows: the region, the credentials of the function's role, and the signature of a request.

botocore does it, in a thread: its import takes a fifth of a second, and credentials may have to be fetched. Its client
doesn't make the request. It would block a thread for as long as a turn lasts, could not be told to stop before the
reply begins, and refuses fields that are newer than itself, while the one in Lambda's runtime is months old.
Anthropic's SDK does for Bedrock what is done here.
"""

import asyncio
from collections.abc import Mapping
from importlib import import_module
from re import match
from typing import Any

from ...aws.session import session, session_lock
from ...aws.signing import signed
from ...core.errors import ProviderMisconfigured, ProviderUnavailable

_SERVICE = "bedrock"


class Signer:
    """Signs requests to Bedrock. If `region` is empty, botocore finds it: in the environment or the profile."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._endpoint = ""

    async def endpoint(self) -> str:
        """The region's own address of Bedrock, in whichever partition the region is. Raises ProviderMisconfigured."""
        if not self._endpoint:
            self._endpoint = await asyncio.to_thread(self._find_endpoint)
        return self._endpoint

    async def sign(self, url: str, body: bytes) -> Mapping[str, str]:
        """The headers that sign a POST of `body`. Raises ProviderError if there are no credentials."""
        return await asyncio.to_thread(self._sign, url, body)

    def _sign(self, url: str, body: bytes) -> Mapping[str, str]:
        return signed("POST", url, body, _SERVICE, self._find_region(), self._frozen_credentials())

    def _frozen_credentials(self) -> Any:
        errors = import_module("botocore.exceptions")
        try:
            with session_lock:
                credentials = session().get_credentials()
            if credentials is None:
                raise ProviderMisconfigured("There are no AWS credentials to sign requests to the provider with")
            return credentials.get_frozen_credentials()
        except (errors.CredentialRetrievalError, errors.MetadataRetrievalError, errors.HTTPClientError):
            raise ProviderUnavailable("The AWS credentials for the provider could not be fetched") from None
        except errors.BotoCoreError:
            raise ProviderMisconfigured("The AWS credentials for the provider are incomplete") from None

    def _find_endpoint(self) -> str:
        region = self._find_region()
        with session_lock:
            partitions = session().get_data("partitions")["partitions"]
        for each in partitions:
            if match(each["regionRegex"], region):
                return f"https://bedrock-runtime.{region}.{each['outputs']['dnsSuffix']}"
        raise ProviderMisconfigured(f"The provider's option 'region' is no region of AWS: {region}")

    def _find_region(self) -> str:
        if not self._region:
            with session_lock:
                self._region = session().get_config_variable("region") or ""
        if not self._region:
            raise ProviderMisconfigured("There is no AWS region for the provider: set its option 'region'")
        return self._region
