"""Who may use the AWS services of this machine: whoever has the secret that this run of the local cloud made."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """AWS credentials without a session token. The secret is in no `repr`."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def new(cls) -> Credentials:
        """Random ones."""
        return cls(f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))

    def for_boto3(self) -> dict[str, str]:
        """Arguments of a boto3 client or session."""
        return {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}

    def environment(self) -> dict[str, str]:
        """The variables that every AWS SDK reads."""
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
