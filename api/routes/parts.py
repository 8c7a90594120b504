"""What routes are given: the services that `api.app` put together, and who is calling."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
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

_bearer = HTTPBearer(auto_error=False, description="A member's or moderator's token (§5).")


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


async def _lookups(request: Request) -> Lookups:
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
TheLookups = Annotated[Lookups, Depends(_lookups)]
TheModeration = Annotated[Moderation, Depends(_moderation)]
TheQueue = Annotated[Queue, Depends(_queue)]
TheReports = Annotated[Reports, Depends(_reports)]
TheSite = Annotated[Site, Depends(_site)]


async def member(
    callers: TheCallers,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    """Return who calls; raise Unauthenticated. Known callers cost no query."""
    if credentials is None:
        raise Unauthenticated
    bearer = credentials.credentials
    known = callers.remembered(bearer)
    return known if known is not None else await run_in_threadpool(callers.recognise, bearer)


Member = Annotated[Caller, Depends(member)]


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


async def reader(
    callers: TheCallers,
    feed: TheFeed,
    asked: Annotated[Asked, Depends(asked)],
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> None:
    """Let in who may know who we are: members, and partners, new ones too."""
    if any(name == "signature-input" for name, _ in asked.headers):
        await run_in_threadpool(partial(feed.recognise, asked, newcomers=True))
    else:
        await member(callers, credentials)


async def body(request: Request) -> bytes:
    """Return the body as it was sent."""
    return await request.body()


Body = Annotated[bytes, Depends(body)]
