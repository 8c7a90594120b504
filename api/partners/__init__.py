"""The only outgoing network of the server: bounded, pinned GETs to partner instances.

Whatever a partner answers, or resolves to, costs no more than what was agreed to beforehand, and
reaches no machine that the world could not reach by itself.
"""

from api.partners.network import Resolver, system_addresses
from api.partners.remote import Remote

__all__ = ["Remote", "Resolver", "system_addresses"]
