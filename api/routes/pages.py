"""The pages, for browsers. Ready bytes: nothing of a request is in any answer."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from fastapi import APIRouter, Request, Response

from api.errors import NotFound
from api.routes.parts import TheSite
from api.web.assets import Content
from api.web.site import FOLDER, PATHS

SWITCHED_OFF = (
    "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen",
    "geolocation", "gyroscope", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "usb",
    "xr-spatial-tracking",
)  # fmt: skip
"""What these pages never ask a browser for."""

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types parasol"
)
"""Also for scripts: a worker goes by the policy that comes with its own file."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": ", ".join(f"{feature}=()" for feature in SWITCHED_OFF),
        "X-Robots-Tag": "noindex, nofollow",
    }
)
"""Beside those that every answer has."""

FOR_EVER = "public, max-age=31536000, immutable"
READING = ("GET", "HEAD")

router = APIRouter(include_in_schema=False)


def _answer(content: Content, request: Request, headers: Mapping[str, str]) -> Response:
    coding, body = content.choose(request.headers.get("accept-encoding"))
    coded = {} if coding == "identity" else {"Content-Encoding": coding}
    return Response(body, media_type=content.media_type, headers={**HEADERS, **headers, **coded})


def _document(path: str) -> Callable[[Request, TheSite], Awaitable[Response]]:
    async def document(request: Request, site: TheSite) -> Response:
        query = request.query_params
        content = site.document(
            path, query.get("lang"), query.get("theme"), request.headers.get("accept-language")
        )
        return _answer(content, request, {"Vary": "Accept-Language, Accept-Encoding"})

    return document


for _path in PATHS:
    router.add_api_route(_path, _document(_path), methods=[*READING])


@router.api_route(FOLDER + "{name}", methods=[*READING])
async def static(name: str, request: Request, site: TheSite) -> Response:
    content = site.file(name)
    if content is None:
        raise NotFound
    return _answer(content, request, {"Cache-Control": FOR_EVER, "Vary": "Accept-Encoding"})
