"""What routes are given: the services that `api.parts` put together, and who is calling."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from fastapi.security.utils import get_authorization_scheme_param
from starlette.concurrency import run_in_threadpool

from api.errors import Forbidden, Unauthenticated
from api.services.callers import Callers
from api.services.feed import Asked, Feed, Visitor
from api.services.health import Health
from api.services.held import Held
from api.services.instance import Instance
from api.services.lookups import Lookups
from api.services.moderation import Moderation
from api.services.queue import Queue
from api.services.reports import Reports
from api.web.site import Site
from schemas.callers import Caller, Role


async def _callers(request: Request) -> Callers:
    return request.app.state.parts.callers  # type: ignore[no-any-return]


async def _feed(request: Request) -> Feed:
    return request.app.state.parts.feed  # type: ignore[no-any-return]


async def _health(request: Request) -> Health:
    return request.app.state.parts.health  # type: ignore[no-any-return]


async def _held(request: Request) -> Held:
    return request.app.state.parts.held  # type: ignore[no-any-return]


async def _instance(request: Request) -> Instance:
    return request.app.state.parts.instance  # type: ignore[no-any-return]


def lookups_of(request: Request) -> Lookups:
    """Return the look-ups: a dependency of their own would cost each of them ten microseconds."""
    return request.app.state.parts.lookups  # type: ignore[no-any-return]


async def _moderation(request: Request) -> Moderation:
    return request.app.state.parts.moderation  # type: ignore[no-any-return]


async def _queue(request: Request) -> Queue:
    return request.app.state.parts.queue  # type: ignore[no-any-return]


async def _reports(request: Request) -> Reports:
    return request.app.state.parts.reports  # type: ignore[no-any-return]


async def _site(request: Request) -> Site:
    return request.app.state.site  # type: ignore[no-any-return]


TheCallers = Annotated[Callers, Depends(_callers)]
TheFeed = Annotated[Feed, Depends(_feed)]
TheHealth = Annotated[Health, Depends(_health)]
TheHeld = Annotated[Held, Depends(_held)]
TheInstance = Annotated[Instance, Depends(_instance)]
TheModeration = Annotated[Moderation, Depends(_moderation)]
TheQueue = Annotated[Queue, Depends(_queue)]
TheReports = Annotated[Reports, Depends(_reports)]
TheSite = Annotated[Site, Depends(_site)]


class _Bearer(SecurityBase):
    """The scheme of bearer tokens, to be called with a request that may hold one."""

    def __init__(self) -> None:
        """Describe the scheme."""
        self.scheme_name = "HTTPBearer"
        self.model = HTTPBearer(description="A member's or moderator's token (§5).")


class _Member(_Bearer):
    """Who calls. One dependency: the scheme, its reader and the service would cost three."""

    async def __call__(self, request: Request) -> Caller:
        """Return who calls; raise Unauthenticated. Known callers cost no query."""
        scheme, bearer = get_authorization_scheme_param(request.headers.get("authorization"))
        if scheme.lower() != "bearer":
            raise Unauthenticated
        callers: Callers = request.app.state.parts.callers
        known = callers.remembered(bearer)
        return known if known is not None else await run_in_threadpool(callers.recognise, bearer)


member = _Member()
Member = Annotated[Caller, Security(member)]


async def moderator(caller: Member) -> Caller:
    """Return the moderator who calls; raise Forbidden for a member."""
    if caller.role is not Role.MODERATOR:
        raise Forbidden
    return caller


Moderator = Annotated[Caller, Depends(moderator)]


async def asked(request: Request) -> Asked:
    """Return a request as its sender signed it: as the bytes that came, but for the host."""
    path, query = request.scope["raw_path"], request.scope["query_string"]
    target = path + (b"?" + query if query else b"")
    return Asked(request.method, target.decode("latin-1"), request.headers.items())


def partner(feed: TheFeed, asked: Annotated[Asked, Depends(asked)]) -> Visitor:
    """Return the partner instance that calls; raise RefusedFeed."""
    return feed.recognise(asked)


ThePartner = Annotated[Visitor, Depends(partner)]


class _Reader(_Bearer):
    """Whoever may know who we are: members, and partners, new ones too."""

    async def __call__(self, request: Request) -> None:
        """Let in one of them; raise Unauthenticated or RefusedFeed."""
        if "signature-input" in request.headers:
            feed: Feed = request.app.state.parts.feed
            await run_in_threadpool(partial(feed.recognise, await asked(request), newcomers=True))
        else:
            await member(request)


reader = _Reader()


async def body(request: Request) -> bytes:
    """Return the body as it was sent."""
    return await request.body()


Body = Annotated[bytes, Depends(body)]
