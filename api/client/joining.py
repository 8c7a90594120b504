"""From an invitation to a profile (PROTOCOL.md §5)."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2

from api.client.caller import Client
from api.client.clocks import Clock, utc_now
from api.client.failures import NO_INSTANCE, CouldNotCheck, Refused, Unreachable
from api.client.profile import Profile
from api.client.session import Session
from api.crypto.bearers import parse_invitation
from api.crypto.failures import InvalidInput
from api.keyring import KeyFileError
from schemas.callers import JoinAnswer, JoinKeys


def leave(profile: Profile, *, transport: httpx2.BaseTransport | None = None) -> None:
    """End the profile's token. Raises Refused and Unreachable."""
    with Session(profile.address, profile.token, utc_now, transport) as session:
        session.call("DELETE", "/v1/tokens/current")


def join_and_save(
    line: str,
    path: Path,
    prove: Callable[[str], Mapping[str, Any] | JoinKeys] | None = None,
    *,
    transport: httpx2.BaseTransport | None = None,
) -> Profile:
    """Join, and keep the profile at `path`; raise as `join` does, or KeyFileError.

    A token that cannot be kept is ended: nobody would hold it, and nobody know of it.
    """
    profile = join(line, prove, transport=transport)
    try:
        profile.save(path)
    except KeyFileError:
        with contextlib.suppress(Refused, Unreachable):
            leave(profile, transport=transport)
        raise
    return profile


def join(
    line: str,
    prove: Callable[[str], Mapping[str, Any] | JoinKeys] | None = None,
    *,
    clock: Clock = utc_now,
    transport: httpx2.BaseTransport | None = None,
) -> Profile:
    """Redeem an invitation; return the new profile, pinned to the verified identity.

    A moderator's needs `prove`: for the code it gives her public keys and her proof, `sign`,
    `box` and `proof` (bytes, or base64).
    Raises InvalidInput `invalid-invitation`; Refused and Unreachable, after which the code may or
    may not have been used; CouldNotCheck if the instance is not the one that was meant: then the
    new token was ended, as far as that was possible.
    """
    invitation = parse_invitation(line)
    body: dict[str, Any] = {"code": invitation.code}
    if prove is not None:
        keys = JoinKeys.model_validate(prove(invitation.code))
        body["keys"] = keys.model_dump(mode="json")
    with Session(invitation.address, None, clock, transport) as session:
        joined = session.message(JoinAnswer, "POST", "/v1/tokens", json=body)
    try:
        profile = Profile(
            address=invitation.address,
            token=joined.token,
            root=invitation.root,
            collective=joined.collective,
        )
    except InvalidInput:
        raise Unreachable(NO_INSTANCE) from None
    with Client(profile, clock=clock, transport=transport) as client:
        try:
            client.identity()
        except CouldNotCheck:
            with contextlib.suppress(Refused, Unreachable):
                client.call("DELETE", "/v1/tokens/current")
            raise
        return client.profile
