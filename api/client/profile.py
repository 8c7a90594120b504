"""Where a caller looks up, and as whom: what an invitation leaves behind on her device."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Self

from platformdirs import user_config_path
from pydantic import ValidationError

from api.crypto.bearers import Invitation, bearer_bytes, format_invitation, parse_invitation
from api.crypto.failures import InvalidInput
from api.keyring import KeyFileError, refuse_if_open, rewrite_secret
from schemas.base import Base64, Identifier, Message, Ordinal

LONGEST = 16 * 1024
_NAME = "profile.json"


class _ProfileFile(Message):
    """A profile as it is written."""

    address: str
    token: str
    root: Annotated[bytes, Base64(32, 32)]
    version: Ordinal | None = None
    sha256: Annotated[bytes, Base64(32, 32)] | None = None
    collective: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """An instance's address, the bearer token there, and what is trusted of it.

    `version` and `sha256` pin the newest identity that was accepted, `root` is the fingerprint of
    its root keys: the invitation's at first. It moves on with the pin, so that keys which the
    operator has replaced can't start a chain again.
    """

    address: str
    token: str = field(repr=False)
    root: bytes
    version: int | None = None
    sha256: bytes | None = None
    collective: str | None = None

    def __post_init__(self) -> None:
        """Hold the address to the rule for invitations (no plain http to a place elsewhere).

        Raises InvalidInput `invalid-invitation`, or `unauthenticated` for a malformed token.
        """
        check_address(self.address)
        bearer_bytes(self.token)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a profile; raise KeyFileError if it is absent, malformed or open to others."""
        if not path.exists():
            raise KeyFileError(f"{path} is not there: join first, with an invitation")
        refuse_if_open(path)
        try:
            with path.open("rb") as file:
                read = _ProfileFile.model_validate_json(file.read(LONGEST))
            return cls(**dict(read))
        except (OSError, ValidationError, InvalidInput):
            raise KeyFileError(f"{path} is not a profile: join again") from None

    def save(self, path: Path) -> None:
        """Write the profile at once, mode 0600; raise KeyFileError where that can't be done."""
        members = _ProfileFile(
            address=self.address,
            token=self.token,
            root=self.root,
            version=self.version,
            sha256=self.sha256,
            collective=self.collective,
        ).model_dump(mode="json", exclude_none=True)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            rewrite_secret(path, json.dumps(members, indent=1) + "\n")
        except OSError:
            raise KeyFileError(f"{path} cannot be written") from None


def default_profile_path() -> Path:
    """Return $PARASOL_PROFILE, or `profile.json` in the user's configuration folder."""
    chosen = os.environ.get("PARASOL_PROFILE")
    return Path(chosen) if chosen else user_config_path("parasol", appauthor=False) / _NAME


def check_address(address: str) -> None:
    """Accept an address that an invitation could name; raise InvalidInput `invalid-invitation`."""
    line = format_invitation(Invitation(address=address, code="0" * 43, root=bytes(32)))
    if parse_invitation(line).address != address:
        raise InvalidInput("invalid-invitation")
