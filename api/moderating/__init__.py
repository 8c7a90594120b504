"""A moderator's side as a library: her keys, and what she decides with them (PROTOCOL.md §§6, 7).

The instance is not trusted here: what it shows is compared with what the reporter sealed, and
nothing is signed that differs. No key made here ever leaves the device unencrypted.
"""

from api.moderating.checks import Mismatch
from api.moderating.desk import Desk, Opened
from api.moderating.docket import Docket
from api.moderating.keys import ModeratorKeys

__all__ = ["Desk", "Docket", "Mismatch", "ModeratorKeys", "Opened"]
