"""What the server answers over HTTP."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version as installed_version
from typing import Any

import numpy as np
from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from study.serving.access import Access, error_response
from study.serving.batching import Answer, Faces
from study.serving.bounds import Bounds
from study.serving.loaded_version import LoadedVersion
from study.serving.model_at_work import Admitted, ServedModel
from study.serving.openapi_parts import INVOCATION, PREDICTION
from study.serving.refusals import RequestRefusedError
from study.serving.request_images import Given, images_of, images_of_invocation
from trainables.devices.memory import is_for_want_of_memory

# N images, K classes

Card = Callable[[LoadedVersion], Mapping[str, Any]]
"""What a person should know of a version; it takes time, so a thread of its own asks."""
ReadBody = Callable[[str, bytes], list[Given]]

PATHS = (
    "/", "/predict", "/invocations", "/card", "/version", "/live", "/ready", "/ping", "/health", "/metrics",
    "/openapi.json",
)  # fmt: skip
DECIMALS = 6
"""Of a probability."""
_LONGEST_LENGTH = 18
"""Digits of a number that is taken for a length."""
_GONE = 499
"""As nginx counts requests whose sender has gone; nobody reads it."""
_LOG = logging.getLogger(__name__)


def application(
    server: ServedModel,
    bounds: Bounds,
    *,
    token: str | None = None,
    faces: Faces | None = None,
    card: Card | None = None,
    page: APIRouter | None = None,
) -> FastAPI:
    """The application of one server, which it starts and closes. It keeps no state of its own.

    Without `faces`, `find=face` is refused; without `card` there is no `/card`, without `page` no page.
    """
    app = FastAPI(
        title=f"{server.current.version.model}: image classification",
        version=installed_version("study"),
        docs_url=None,  # FastAPI's page loads its parts from elsewhere
        redoc_url=None,
        lifespan=_lifespan(server),
    )
    app.include_router(_predictions(server, bounds, faces))
    app.include_router(_states(server))
    if card is not None:
        app.include_router(_cards(server, card))
    if page is not None:
        app.include_router(page)
    app.add_middleware(Access, token=token, paths=frozenset(PATHS), note=server.metrics.note_request)
    app.add_exception_handler(RequestRefusedError, _refused)
    app.add_exception_handler(HTTPException, _not_found)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _failed)
    return app


def _lifespan(server: ServedModel) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        server.start()
        try:
            yield
        finally:
            await asyncio.to_thread(server.close)

    return lifespan


def _predictions(server: ServedModel, bounds: Bounds, faces: Faces | None) -> APIRouter:
    router = APIRouter()

    @router.post("/predict", openapi_extra=PREDICTION, summary="Label images.")
    async def predict(request: Request) -> Response:
        start = time.perf_counter()
        wanted = _wanted_faces(request, faces)
        answer = await _answered(server, bounds, request, images_of, wanted)
        return _json(_prediction(answer, (time.perf_counter() - start) * 1000))

    @router.post("/invocations", openapi_extra=INVOCATION, summary="Label images, as MLflow's servers do.")
    async def invocations(request: Request) -> Response:
        answer = await _answered(server, bounds, request, images_of_invocation, None)
        classes = answer.loaded.config.classes
        rows = [
            {"label": classes[best], **dict(zip(classes, row, strict=True))} for best, row in _rows(answer)
        ]
        return _json({"predictions": rows}, headers={"X-Model-Version": answer.loaded.version.name})

    return router


def _states(server: ServedModel) -> APIRouter:
    router = APIRouter()

    @router.get("/live", summary="Whether the process answers.")
    async def live() -> Response:
        return _json({"status": "live"})

    @router.get("/ready", summary="Whether requests are answered, and by which version.")
    async def ready() -> Response:
        state = {**_version(server.current), "following": server.problem or "yes"}
        return _json({"status": "ready", **state} if server.is_open else {"status": "ending"}, _code(server))

    @router.get("/ping", summary="The same, as MLflow's servers say it.")
    @router.get("/health", include_in_schema=False)
    async def ping() -> Response:
        return Response("\n", _code(server), media_type="application/json")

    @router.get("/version", summary="The version that answers now.")
    async def version() -> Response:
        return _json({**_version(server.current), "study": installed_version("study")})

    @router.get("/metrics", summary="Counters for Prometheus.")
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _cards(server: ServedModel, card: Card) -> APIRouter:
    router = APIRouter()

    @router.get("/card", summary="What the version that answers now can do, and its limits.")
    async def read() -> Response:
        return _json(await asyncio.to_thread(card, server.current))

    return router


async def _answered(
    server: ServedModel, bounds: Bounds, request: Request, read: ReadBody, faces: Faces | None
) -> Answer:
    with server.admit() as admitted:
        is_read = False
        try:
            async with asyncio.timeout(bounds.seconds):
                body = await _body(request, admitted)
                is_read = True
                reading = partial(read, request.headers.get("content-type", ""), body)
                return await server.answer(admitted, reading, faces)
        except TimeoutError:
            raise _too_slow(bounds, is_read=is_read) from None
        except (MemoryError, RuntimeError) as error:
            if not is_for_want_of_memory(error):
                raise
            _LOG.exception("no memory for a batch")
            raise RequestRefusedError(
                503, "there is no memory left for this request; send fewer images at a time", retry_after=1
            ) from None


async def _body(request: Request, admitted: Admitted) -> bytes:
    """The body, read as far as it may be. Raises RequestRefusedError for a longer one, at once where it says
    how long it is.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and len(length) <= _LONGEST_LENGTH:
        admitted.hold(int(length))
        return await request.body()
    chunks = []
    async for chunk in request.stream():
        admitted.hold(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def _wanted_faces(request: Request, faces: Faces | None) -> Faces | None:
    wanted = request.query_params.get("find") if request.scope["query_string"] else None
    if wanted is None:
        return None
    if wanted != "face":
        raise RequestRefusedError(
            400, f"find must be face, got {wanted[:40]!r}; leave it out for the whole picture"
        )
    if faces is None:
        raise RequestRefusedError(400, "find=face needs a server that finds faces: study serve --find-faces")
    return faces


def _prediction(answer: Answer, milliseconds: float) -> dict[str, Any]:
    classes = answer.loaded.config.classes
    predictions: list[dict[str, Any]] = [
        {"label": classes[best], "probabilities": dict(zip(classes, row, strict=True))}
        for best, row in _rows(answer)
    ]
    if answer.boxes is not None:
        for prediction, box in zip(predictions, answer.boxes, strict=True):
            prediction["box"] = box
    version = answer.loaded.version
    return {
        "model": version.model,
        "version": version.number,
        "milliseconds": round(milliseconds, 2),
        "predictions": predictions,
    }


def _rows(answer: Answer) -> list[tuple[int, list[float]]]:
    """Of each image the most probable class and all probabilities."""
    rounded_NK = answer.probabilities_NK.astype(np.float64).round(DECIMALS)
    return list(zip(answer.probabilities_NK.argmax(1).tolist(), rounded_NK.tolist(), strict=True))


def _version(loaded: LoadedVersion) -> dict[str, Any]:
    version = loaded.version
    return {"model": version.model, "version": version.number, "aliases": list(version.aliases)}


def _code(server: ServedModel) -> int:
    return 200 if server.is_open else 503


def _json(content: Mapping[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")
    return Response(text, status, headers, media_type="application/json")


def _too_slow(bounds: Bounds, *, is_read: bool) -> RequestRefusedError:
    if is_read:
        return RequestRefusedError(
            504,
            f"the answer took longer than {bounds.seconds:g} s; send fewer images, or try again later",
            retry_after=1,
        )
    return RequestRefusedError(408, f"the request did not arrive within {bounds.seconds:g} s; send it faster")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefusedError)
    return error_response(error)


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    served = ", ".join(path for path in PATHS if path != "/")
    reasons = {
        404: f"there is no {request.url.path[:80]!r} here; there are {served}",
        405: f"{request.url.path} does not take {request.method}",
    }
    refused = RequestRefusedError(error.status_code, reasons.get(error.status_code, str(error.detail)))
    response = error_response(refused)
    response.headers.update(error.headers or {})
    return response


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=_GONE)


async def _failed(_: Request, __: Exception) -> Response:
    return _json({"error": "this server failed, which is a mistake of its own; its log says where"}, 500)
