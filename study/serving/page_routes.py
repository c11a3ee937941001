"""The page for people: three files and a picture, from this package alone."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request, Response

FOLDER = Path(__file__).with_name("page")
TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
HEADERS = {
    # Nothing is loaded from elsewhere or sent elsewhere, and no other page shows this one in a frame.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # a browser asks again, and is told that nothing has changed
}


def page_router() -> APIRouter:
    """`GET /` and `GET /page/…`: the page, which asks `GET /card` and `POST /predict` of the same server.

    It holds nothing that a token guards, so it needs none; it asks the person for the server's token.
    """
    router = APIRouter(include_in_schema=False)
    for file in sorted(FOLDER.iterdir()):
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        _add(router, path, file.read_bytes(), TYPES[file.suffix])
    return router


def _add(router: APIRouter, path: str, content: bytes, media_type: str) -> None:
    headers = {**HEADERS, "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}

    @router.api_route(path, methods=["GET", "HEAD"])
    async def answer(request: Request) -> Response:
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)
