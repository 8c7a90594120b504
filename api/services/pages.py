"""The pages of a partner's log, fetched one ahead of whoever verifies and applies them."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pydantic import ValidationError

from api.crypto.failures import InvalidInput
from api.errors import PartnerFailure
from api.services.instance import Clock
from api.services.judging import JudgedPage, check_signers, opened_by
from api.services.positions import ContradictionError, Position, Positions
from api.services.succession import Remote
from api.trust import OpenedPage, open_checkpoint, open_log_entry, open_page
from schemas.documents import Checkpoint, Identity, Keys
from schemas.feed import MOST_ENTRIES, FeedEntry, Page, SignedEntry

PAGE_BYTES = 8 * 1024 * 1024
MOST_PAGES = 8
"""In one transaction: each changes nearly all pages of an index of hashes, be it long or short."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint of a log, as it was sent."""

    checkpoint: Checkpoint
    text: str


class Pages:
    """Fetches what follows a position. A page that is not what it must be is never given on."""

    def __init__(self, positions: Positions, remote: Remote, clock: Clock) -> None:
        """Ask `remote`."""
        self._positions = positions
        self._remote = remote
        self._clock = clock

    @contextmanager
    def ahead(self, position: Position, head: Head) -> Iterator[Iterator[Sequence[JudgedPage]]]:
        """Give the pages from `position` to `head`, those together that are here already.

        One is fetched while the last is verified and applied. Each raises as it is asked for:
        PartnerFailure, ContradictionError, or InvalidInput with the code of a bad page. A page
        in which the log announces an identity is given alone. What is left at the end of the block
        is not waited for.
        """
        # One of them fetches, the others help with what is fetched.
        workers = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="pages")
        try:
            yield self._pages(workers, position, head)
        finally:
            workers.shutdown(wait=False, cancel_futures=True)

    def _pages(
        self, workers: ThreadPoolExecutor, position: Position, head: Head
    ) -> Iterator[Sequence[JudgedPage]]:
        ours, by = position.row.checkpoint, self._positions.in_force(position.row.origin)
        waiting = workers.submit(self._fetched, position)
        run: list[JudgedPage] = []
        while True:
            try:
                page = _read(waiting.result())
                opened = self._opened(position, page, ours)
                _check_passing(position, opened, head, page)
            except Exception:
                if run:  # what stood before it was good
                    yield run
                raise
            position = replace(position, frontier=opened.frontier)
            ours = page.checkpoint.model_dump_json()
            is_last = position.frontier.size >= head.checkpoint.size
            renews = announced(opened.entries, position.identity) > 0
            if renews and run:
                yield run
                run = []
            run.append(opened_by(opened, ours, by, self._clock().date()))
            if not is_last:
                # Not before: two threads that need the interpreter are slower than one. And only
                # fetched, for the same reason.
                waiting = workers.submit(self._fetched, position)
            check_signers(run[-1].reports(), by, workers)
            # Where the next has to be waited for there is time to write.
            if is_last or renews or len(run) == MOST_PAGES or not waiting.done():
                yield run
                run = []
            if is_last:
                return
            if renews:
                by = self._positions.in_force(position.row.origin)

    def _opened(self, position: Position, page: Page, ours: str | None) -> OpenedPage:
        """Return the page behind `position`, of which `ours` is the checkpoint, as signed."""
        try:
            return open_page(page, position.identity, position.frontier)
        except InvalidInput as refused:
            if refused.code == "root-mismatch":
                self._probe(position, ours)
            raise

    def _fetched(self, position: Position, first: int | None = None) -> bytes:
        """Fetch a page from where we are; or, from `first` on, what ends where we are."""
        size = position.frontier.size
        start, limit = (size, MOST_ENTRIES) if first is None else (first, size - first)
        url = f"{position.feed}/entries?from={start}&limit={limit}"
        try:
            return self._remote.get(url, most=PAGE_BYTES)
        except PartnerFailure as failed:
            if failed.code == "too-large":
                raise InvalidInput("page-too-large") from None
            raise

    def _probe(self, position: Position, ours: str | None) -> None:
        """Ask what the log was when it was as long as what we have; raise where it was another.

        Of a page that does not fit it cannot be told whether the page is wrong, or the past.
        """
        size = position.frontier.size
        if ours is None or not size:
            return
        try:
            envelope = _read(self._fetched(position, size - 1)).checkpoint
            then = open_checkpoint(envelope, position.identity.log_key)
        except (InvalidInput, PartnerFailure):
            return  # it won't say: then the page is wrong
        same = (then.log, then.size) == (position.identity.log, size)
        if same and then.root != position.frontier.root:
            raise ContradictionError("fork", ours, envelope.model_dump_json())


def _read(body: bytes) -> Page:
    """Return the page that a partner has answered; raise PartnerFailure for anything else."""
    try:
        return Page.model_validate_json(body)
    except ValidationError:
        raise PartnerFailure("bad-answer") from None


def announced(entries: Sequence[FeedEntry], pinned: Identity) -> int:
    """Return the newest version that the log itself announces in `entries`; 0 for none."""
    newest = 0
    for entry in entries:
        if not isinstance(entry, SignedEntry) or entry.payload_type != Keys.payload_type:
            continue
        try:
            keys = open_log_entry(entry, pinned)
        except InvalidInput:
            continue
        if isinstance(keys, Keys):
            newest = max(newest, keys.identity_version)
    return newest


def _check_passing(position: Position, opened: OpenedPage, head: Head, page: Page) -> None:
    """Hold the head against the entries that lead there."""
    size = position.frontier.size
    if not size < head.checkpoint.size <= opened.frontier.size:
        return
    there = position.frontier.copy()
    there.extend(opened.leaves[: head.checkpoint.size - size])
    if there.root != head.checkpoint.root:
        raise ContradictionError("fork", head.text, page.checkpoint.model_dump_json())
