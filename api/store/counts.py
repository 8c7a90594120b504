"""Counts that several processes share, in a Valkey: how much of each thing there was of late.

The library `limits` has no storage there that counts several things or none, and it keeps the
moment of each; here it is one script, and of each count sums of a sixtieth of its time. Whose a
count is, Valkey is not told: its name is a keyed hash, and it goes when its time is over.
"""

import threading
from collections.abc import Sequence
from hashlib import blake2b

import structlog
from valkey import Valkey
from valkey.exceptions import ValkeyError

from api.errors import Unavailable
from api.store.windows import Wanted

PERSON = b"parasol-counts"
SECONDS = 0.1
"""How long an answer may take: a look-up waits for it, and all others behind it."""

SCRIPT = """
local now, wait, slots = tonumber(redis.call('TIME')[1]), 0, {}
for i, key in ipairs(KEYS) do
  local most, window, more = ARGV[3 * i - 2] + 0, ARGV[3 * i - 1] + 0, ARGV[3 * i] + 0
  local width = window / 60
  local used, oldest, kept = 0, now / width, redis.call('HGETALL', key)
  slots[i] = math.floor(now / width)
  for j = 1, #kept, 2 do
    local slot = kept[j] + 0
    if slot < slots[i] - 60 then
      redis.call('HDEL', key, kept[j])
    else
      used, oldest = used + kept[j + 1], math.min(oldest, slot)
    end
  end
  if used + more > most then
    wait = math.max(wait, math.ceil((oldest + 61) * width) - now, 1)
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    redis.call('HINCRBY', key, slots[i], ARGV[3 * i])
    redis.call('EXPIRE', key, math.ceil(ARGV[3 * i - 1] / 60 * 61))
  end
end
return wait
"""
"""Goes by the clock of Valkey, so those of several machines need not agree."""

log = structlog.get_logger()

LOOK = ("look", 1, 60, 0)


class SharedCounts:
    """Counts in one Valkey. While it does not answer, nobody waits for it. For any thread."""

    def __init__(self, url: str, key: bytes) -> None:
        """Count at `url`, under names that are hashed with `key`; `look` begins."""
        self._key = key
        self._valkey = Valkey.from_url(
            url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, protocol=2
        )
        self._script = self._valkey.register_script(SCRIPT)
        self._lock = threading.Lock()
        self._answers: bool | None = None

    @property
    def answers(self) -> bool:
        """Whether Valkey answered when it was last asked."""
        return bool(self._answers)

    def look(self) -> None:
        """Find out whether Valkey answers: not while somebody waits, but by and by."""
        try:
            self._ask([LOOK])  # and not a ping, which one that may not write answers too
        except ValkeyError as fault:
            self._found(fault)
        else:
            self._found(None)

    def hit(self, wanted: Sequence[Wanted]) -> int:
        """Count all that is wanted and return 0; or none, and return for how long to wait.

        Raises Unavailable where Valkey does not answer.
        """
        if not self._answers:
            raise Unavailable
        try:
            return self._ask(wanted)
        except ValkeyError as fault:
            self._found(fault)
            raise Unavailable from None

    def close(self) -> None:
        """Close the connections."""
        self._valkey.close()  # type: ignore[no-untyped-call]

    def _ask(self, wanted: Sequence[Wanted]) -> int:
        names = [self._name(one) for one in wanted]
        numbers = [number for _, *numbers in wanted for number in numbers]
        return int(self._script(keys=names, args=numbers))

    def _name(self, one: Wanted) -> bytes:
        name = f"{one[0]} {one[2]}".encode()
        return blake2b(name, key=self._key, person=PERSON, digest_size=16).digest()

    def _found(self, fault: ValkeyError | None) -> None:
        with self._lock:
            before, self._answers = self._answers, fault is None
        if before and fault:
            # Not its text: that has the address, and may have more.
            log.warning("valkey does not answer: counting alone", kind=type(fault).__name__)
        elif before is False and not fault:
            log.warning("valkey answers again: counting together")
