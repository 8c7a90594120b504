"""The table groups, in one transaction."""

from sqlmodel import Session, text

from api.store.arrivals import Arrivals
from api.store.audit import Audit
from api.store.backup import Backup
from api.store.buckets import Buckets
from api.store.callers import Callers
from api.store.collectives import Collectives
from api.store.conversion import Conversion
from api.store.foreign import Foreign
from api.store.leases import Leases
from api.store.log import Log
from api.store.partners import Partners
from api.store.receipts import Receipts
from api.store.reports import Reports


class Transaction:
    """What a service may do between begin and commit."""

    def __init__(self, session: Session, *, copied: bool = False) -> None:
        """Work inside `session`, which the caller begins and commits; `copied` is a replica's."""
        self._session = session
        self.copied = copied
        self.arrivals = Arrivals(session)
        self.audit = Audit(session)
        self.backup = Backup(session)
        self.buckets = Buckets(session)
        self.callers = Callers(session)
        self.collectives = Collectives(session)
        self.conversion = Conversion(session)
        self.foreign = Foreign(session)
        self.leases = Leases(session)
        self.log = Log(session)
        self.partners = Partners(session)
        self.receipts = Receipts(session)
        self.reports = Reports(session)

    def revision(self) -> str | None:
        """Return the schema's revision, or None where there is no schema at all."""
        connection = self._session.connection()
        if not connection.dialect.has_table(connection, "alembic_version"):
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return str(row[0]) if row else None
