"""Pages of a log: whether their entries are those that its checkpoints speak of."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.crypto.envelopes import entry_id
from api.crypto.failures import InvalidInput
from api.crypto.merkle import Frontier
from api.trust.checkpoints import open_checkpoint
from schemas.canonical import PAYLOAD_LIMIT
from schemas.documents import Checkpoint, Identity
from schemas.feed import MOST_ENTRIES, FeedEntry, Page, SignedEntry


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """A verified page: its entries with their leaf hashes, and where the log stands behind it."""

    entries: Sequence[FeedEntry]
    leaves: Sequence[bytes]
    frontier: Frontier
    checkpoint: Checkpoint


def open_page(page: Page, identity: Identity, frontier: Frontier) -> OpenedPage:
    """Return a page that goes on, without a gap, where `frontier` is in the log of `identity`.

    Raises `wrong-log`, `wrong-cursor`, `page-too-large`, `wrong-order`, `truncated-page`,
    `entry-too-large`, `root-mismatch`, and as `open_checkpoint` does.
    """
    entries = page.entries
    checkpoint = open_checkpoint(page.checkpoint, identity.log_key)
    if page.log != identity.log or checkpoint.log != identity.log:
        raise InvalidInput("wrong-log")
    if page.first != frontier.size:
        raise InvalidInput("wrong-cursor")
    if len(entries) > MOST_ENTRIES:
        raise InvalidInput("page-too-large")
    if any(entry.seq != seq for seq, entry in enumerate(entries, page.first)):
        raise InvalidInput("wrong-order")
    if not entries or not page.first + len(entries) == page.to == checkpoint.size:
        raise InvalidInput("truncated-page")
    signed = (entry for entry in entries if isinstance(entry, SignedEntry))
    if any(len(entry.payload) > PAYLOAD_LIMIT for entry in signed):
        raise InvalidInput("entry-too-large")
    leaves = [entry_leaf(entry) for entry in entries]
    after = frontier.copy()
    after.extend(leaves)
    if after.root != checkpoint.root:
        raise InvalidInput("root-mismatch")
    return OpenedPage(entries, leaves, after, checkpoint)


def entry_leaf(entry: FeedEntry) -> bytes:
    """Return the leaf hash of an entry as it was served."""
    if isinstance(entry, SignedEntry):
        return entry_id(entry.payload_type, entry.payload)
    return entry.leaf
