"""The page on which a person corrects labels, on this machine alone."""

from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict
from starlette.middleware.trustedhost import TrustedHostMiddleware

from study.errors import SpecError
from study.field.labelling import Labelling

PAGE = Path(__file__).with_name("label_page")
HOSTS = ("127.0.0.1", "localhost")
"""Names by which a browser may ask: a page of elsewhere that leads its own name here asks by that."""
_SHOWN_BY_BROWSERS = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Change(BaseModel):
    """A label for an image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: str
    label: str | None
    """None takes it away."""


def label_application(labelling: Labelling) -> FastAPI:
    """Serves the page, the images and the labels of a folder; all changes come one after the other."""
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    application.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))

    @application.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        """Pages of elsewhere may ask nothing to be changed, and whatever is sent is what it says it is."""
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return JSONResponse({"error": "labels are changed by the page of this address alone"}, 403)
        response: Response = await call_next(request)
        response.headers.update(_HEADERS)
        return response

    @application.exception_handler(SpecError)
    async def refuse(_: Request, error: SpecError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    for path, name in (("/", "index.html"), ("/page.css", "page.css"), ("/page.js", "page.js")):
        application.add_api_route(path, _file(PAGE / name), methods=["GET"])

    @application.get("/favicon.ico")
    async def icon() -> Response:
        return Response(status_code=204)  # browsers ask for it, and note an error without an answer

    @application.get("/state")
    async def state() -> dict[str, Any]:
        return _state(labelling)

    @application.get("/images/{number}")
    def image(number: int) -> Response:
        if not 0 <= number < len(labelling.names):
            return JSONResponse({"error": f"there is no image {number}"}, 404)
        return _image(labelling.folder / labelling.names[number])

    @application.post("/label")
    async def label(change: Change) -> dict[str, Any]:
        labelling.set(change.file, change.label)
        return {"file": change.file, "label": change.label, "num_labelled": labelling.num_labelled}

    @application.post("/undo")
    async def undo() -> dict[str, Any]:
        name = labelling.undo()
        label = None if name is None else labelling.label(name)
        return {"file": name, "label": label, "num_labelled": labelling.num_labelled}

    return application


def _file(path: Path) -> Any:
    async def answer() -> FileResponse:
        return FileResponse(path)

    return answer


def _state(labelling: Labelling) -> dict[str, Any]:
    return {
        "folder": str(labelling.folder),
        "output": str(labelling.file),
        "classes": labelling.classes,
        "num_labelled": labelling.num_labelled,
        "images": [
            {
                "file": name,
                "label": labelling.label(name),
                "guess": None if guess is None else guess.label,
                "confidence": None if guess is None else guess.confidence,
            }
            for name in labelling.names
            for guess in (labelling.guesses.get(name),)
        ],
    }


def _image(file: Path) -> Response:
    """The file as it is; one that no browser shows, as PNG."""
    if file.suffix.lower() in _SHOWN_BY_BROWSERS:
        return FileResponse(file) if file.is_file() else JSONResponse({"error": "the file is gone"}, 404)
    content = BytesIO()
    try:
        with Image.open(file) as picture:
            ImageOps.exif_transpose(picture).convert("RGB").save(content, "PNG")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        return JSONResponse({"error": f"the file is no image: {error}"}, 404)
    return Response(content.getvalue(), media_type="image/png")
