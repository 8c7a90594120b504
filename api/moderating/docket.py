"""What a moderator does with her bearer token alone (PROTOCOL.md §6)."""

from collections.abc import Iterator
from typing import Final, TypeVar

from api.client import Client, CouldNotCheck
from api.client.session import understood
from api.crypto.bearers import Invitation, format_invitation, parse_invitation
from api.crypto.failures import InvalidInput
from api.crypto.identifiers import Identifier
from api.moderating.checks import Mismatch
from schemas.base import Message, encode_base64
from schemas.callers import InvitationAnswer, InvitationRequest
from schemas.held import HeldAnswer, HeldItem, HeldPage, HeldQuestion
from schemas.moderation import Merge, QueueItem, QueuePage, Rejection, RejectReason
from schemas.reports import Status, StatusAnswer

REPORTS: Final = "/v1/moderation/reports"
HELD: Final = "/v1/moderation/held"
PAGE: Final = 100

_Answer = TypeVar("_Answer", bound=Message)


class Docket:
    """Her collective's reports, and the decisions that need no signature.

    Every method raises Refused and Unreachable, as `Client.call` does.
    """

    def __init__(self, client: Client) -> None:
        """Work through `client`, whose profile is a moderator's."""
        self.client = client

    def queue(
        self, status: Status | None = None, token: bytes | None = None
    ) -> Iterator[QueueItem]:
        """Give her collective's reports, danger first, oldest first.

        By default those that are open; with `token`, those that hold it, in any status.
        Raises Mismatch if one of them does not hold it.
        """
        wanted = {"limit": str(PAGE)}
        if status is not None:
            wanted["status"] = status
        if token is not None:
            wanted["token"] = encode_base64(token)
        seen: set[str] = set()
        while True:
            response = self.client.call("GET", REPORTS, params=wanted)
            page = understood(QueuePage, response)
            if not page.items and page.next is not None:
                raise Mismatch("The instance shows a queue without an end.")
            for item in page.items:
                if item.id in seen:
                    raise Mismatch("The instance shows a report twice.")
                seen.add(item.id)
                if token is not None and all(one.token != token for one in item.identifiers):
                    raise Mismatch("The instance shows a report about another identifier.")
                yield item
            if page.next is None:
                return
            wanted["after"] = page.next

    def find(self, identifier: Identifier) -> Iterator[QueueItem]:
        """Give her collective's reports about `identifier`, in any status.

        Raises CouldNotCheck as `Client.tokens` does.
        """
        (token,) = self.client.tokens([identifier])
        return self.queue(token=token)

    def reject(self, report: str, reason: RejectReason) -> StatusAnswer:
        """End a report unpublished."""
        return self.decide(StatusAnswer, report, "reject", Rejection(reason=reason))

    def merge(self, report: str, into: str) -> StatusAnswer:
        """End a report as part of the report `into`, about the same identifier."""
        return self.decide(StatusAnswer, report, "merge", Merge(into=into))

    def release(self, report: str) -> StatusAnswer:
        """Take back what is pending: a dispute, or a decision that still lacks a signature."""
        return self.decide(StatusAnswer, report, "release", None)

    def held(self) -> Iterator[HeldItem]:
        """Give what waits of partners' reports, danger first, oldest first: any collective decides.

        Raises Mismatch for a list without an end, or one that repeats a report.
        """
        wanted = {"limit": str(PAGE)}
        seen: set[str] = set()
        while True:
            page = understood(HeldPage, self.client.call("GET", HELD, params=wanted))
            if not page.items and page.next is not None:
                raise Mismatch("The instance shows a list without an end.")
            for item in page.items:
                if item.entry in seen:
                    raise Mismatch("The instance shows a report twice.")
                seen.add(item.entry)
                yield item
            if page.next is None:
                return
            wanted["after"] = page.next

    def decide_held(self, item: HeldItem, *, accept: bool) -> HeldAnswer:
        """Accept or refuse a partner's report, or its erasure, as what `item` shows it."""
        question = HeldQuestion(kind=item.kind).model_dump(mode="json")
        decision = "accept" if accept else "refuse"
        response = self.client.call("POST", f"{HELD}/{item.entry}/{decision}", json=question)
        return understood(HeldAnswer, response)

    def invite(self, count: int = 1) -> list[tuple[str, str]]:
        """Return invitations for members, each with the id by which it can be ended.

        The line is put together here: from the instance comes only the code, and the address
        and the root are those that she trusts herself. Raises CouldNotCheck for a malformed code.
        """
        request = InvitationRequest(count=count).model_dump(mode="json")
        response = self.client.call("POST", "/v1/moderation/invitations", json=request)
        issued = understood(InvitationAnswer, response).invitations
        return [(one.id, self._line(one.code)) for one in issued]

    def end_member(self, member: str) -> None:
        """End a member's token, or an unused code, by the id that `invite` gave with it."""
        self.client.call("DELETE", f"/v1/moderation/members/{member}")

    def decide(
        self, kind: type[_Answer], report: str, decision: str, body: Message | None
    ) -> _Answer:
        """Send a decision about `report` and return what it led to."""
        members = None if body is None else body.model_dump(mode="json", exclude_none=True)
        response = self.client.call("POST", f"{REPORTS}/{report}/{decision}", json=members)
        return understood(kind, response)

    def _line(self, code: str) -> str:
        profile = self.client.profile
        line = format_invitation(Invitation(profile.address, code, profile.root))
        try:
            parse_invitation(line)
        except InvalidInput:
            raise CouldNotCheck("The instance gave a code that is none.") from None
        return line
