"""The images of a request: raw bytes, a form with files, or JSON; and their pixels."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from study.serving.bounds import Bounds
from study.serving.refusals import RequestRefusedError
from trainables.errors import DatasetError
from trainables.inference.classifier import ClassifierConfig, as_stored
from trainables.inference.given_images import given_image
from trainables.printable import quoted

# N images, H height, W width, C channels

Given = bytes | NDArray[np.uint8]
"""The bytes of a file, or pixels."""
ReadImages = Callable[[], list[Given]]
"""Reads the body of a request; it takes time, so a thread of its own calls it."""

WAYS = (
    "send the bytes of one image (image/*), a form with files (multipart/form-data), or JSON "
    '{"images": ["<base64>", ...]}'
)
RAW_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded")
"""The last one is what curl says of `--data-binary`."""
_STARTS = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF8",
    b"BM",
    b"II*\x00",  # TIFF
    b"MM\x00*",
    b"P4",  # PBM, PGM, PPM
    b"P5",
    b"P6",
)
_FORMATS = "PNG, JPEG, WebP, GIF, BMP, TIFF or PNM"


def images_of(content_type: str, body: bytes) -> list[Given]:
    """The images of a request to `/predict`, in its order, as they were sent. Raises RequestRefusedError."""
    kind = media_type(content_type)
    if kind in RAW_TYPES or kind.startswith("image/"):
        images: list[Given] = [body] if body else []
    elif kind == "multipart/form-data":
        images = list(_files_of_form(content_type, body))
    elif kind == "application/json":
        images = [_image(number, item) for number, item in enumerate(_listed(json_of(body)), 1)]
    else:
        raise RequestRefusedError(415, f"a request of type {quoted(kind)} cannot be read; {WAYS}")
    if not images:
        raise RequestRefusedError(
            400, f"a request must hold at least one image, and this one has none; {WAYS}"
        )
    return images


def images_of_invocation(content_type: str, body: bytes) -> list[Given]:
    """The images of a request in one of MLflow's forms of JSON, in its order. Raises RequestRefusedError."""
    kind = media_type(content_type)
    if kind not in ("", "application/json"):
        raise RequestRefusedError(415, f"/invocations takes application/json, got {quoted(kind)}")
    images = [_image(number, item) for number, item in enumerate(_invoked(json_of(body)), 1)]
    if not images:
        raise RequestRefusedError(400, "a request must hold at least one image, and this one has none")
    return images


def media_type(content_type: str) -> str:
    """What stands before its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def check_images(images: Sequence[Given], bounds: Bounds) -> None:
    """Raises RequestRefusedError where there are too many, or one is a file of a format that is not served.

    Pillow reads many formats, some of which start other programs; a server takes those that people send.
    """
    if len(images) > bounds.images_per_request:
        raise RequestRefusedError(
            413,
            f"a request may hold {bounds.images_per_request:,} images, and this one has {len(images):,}; "
            "send several requests",
        )
    for number, image in enumerate(images, 1):
        if isinstance(image, bytes) and not _is_served(image):
            reason = "empty" if not image else "none of these"
            raise refused_image(
                number, len(images), f"an image must be a {_FORMATS} file, and this one is {reason}"
            )


def stored_images(images: Sequence[Given], config: ClassifierConfig, bounds: Bounds) -> NDArray[np.uint8]:
    """Pixels (N, H, W, C) of images as the dataset stores them.

    Raises RequestRefusedError for what is no image, and for one of too many pixels before it is decoded.
    """
    return np.stack(
        [_stored(number, image, len(images), config, bounds) for number, image in enumerate(images, 1)]
    )


def refused_image(number: int, num_images: int, reason: str) -> RequestRefusedError:
    """The refusal of a request for one of its images, counted from 1."""
    which = f"image {number} of {num_images}: " if num_images > 1 else ""
    return RequestRefusedError(400, which + reason)


def json_of(body: bytes) -> dict[str, Any]:
    """The object of a body in JSON. Raises RequestRefusedError."""
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestRefusedError(400, f"the request is no JSON: {str(error)[:120]}; {WAYS}") from None
    if not isinstance(tree, dict):
        raise RequestRefusedError(400, f"JSON must be an object, got {quoted(tree)}; {WAYS}")
    return tree


def _listed(tree: dict[str, Any]) -> list[Any]:
    images = tree.get("images")
    if not isinstance(images, list):
        raise RequestRefusedError(
            400, f'JSON must have a list under "images", got the keys {quoted(sorted(tree))}; {WAYS}'
        )
    return images


def _invoked(tree: dict[str, Any]) -> list[Any]:
    """The images of MLflow's forms: tables by `split` or by `records`, `instances` and `inputs`."""
    forms = [form for form in _FORMS if form in tree]
    if len(forms) != 1:
        raise RequestRefusedError(
            400, f"JSON must have one of {', '.join(_FORMS)}, got the keys {quoted(sorted(tree))}"
        )
    return _FORMS[forms[0]](tree[forms[0]])


def _of_split(table: Any) -> list[Any]:
    columns, rows = (table.get("columns"), table.get("data")) if isinstance(table, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list) or "image" not in columns:
        raise RequestRefusedError(400, 'dataframe_split must have "columns" with "image", and "data"')
    position = columns.index("image")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise RequestRefusedError(400, f"each row of dataframe_split must have {len(columns)} values")
    return [row[position] for row in rows]


def _of_rows(rows: Any) -> list[Any]:
    if not isinstance(rows, list):
        raise RequestRefusedError(400, f"rows must be a list, got {quoted(rows)}")
    if not all("image" in row for row in rows if isinstance(row, dict)):
        raise RequestRefusedError(400, 'each row must have an "image"')
    return [row["image"] if isinstance(row, dict) else row for row in rows]


def _of_columns(columns: Any) -> list[Any]:
    if not isinstance(columns, dict):
        return _of_rows(columns)
    if not isinstance(columns.get("image"), list):
        raise RequestRefusedError(400, 'inputs must have a list under "image"')
    return list(columns["image"])


_FORMS: dict[str, Callable[[Any], list[Any]]] = {
    "dataframe_split": _of_split,
    "dataframe_records": _of_rows,
    "instances": _of_rows,
    "inputs": _of_columns,
}


def _image(number: int, item: Any) -> Given:
    try:
        return given_image(item)
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        raise RequestRefusedError(400, f"image {number}: {error}") from None


def _files_of_form(content_type: str, body: bytes) -> list[bytes]:
    """The contents of the files of a form, in order; what is no file is left out."""
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise RequestRefusedError(
            400, "multipart/form-data must name its boundary; let the client set the header"
        )
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks)
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise RequestRefusedError(400, f"the form cannot be read: {error}") from None
    if not form.is_whole:
        raise RequestRefusedError(400, "the form cannot be read: its last boundary is missing")
    return form.files


class _Form:
    """Collects the files of a form while it is parsed."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.is_whole = False
        self._name, self._value = bytearray(), bytearray()
        self._is_file = False
        self._parts: list[bytes] = []

    @property
    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._parts.append(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._whole,
        }

    def _begin(self) -> None:
        self._is_file, self._parts = False, []

    def _header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._is_file = b"filename" in parse_options_header(bytes(self._value))[1]
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        if self._is_file:
            self.files.append(b"".join(self._parts))

    def _whole(self) -> None:
        self.is_whole = True


def _is_served(image: bytes) -> bool:
    return image.startswith(_STARTS) or (image[:4] == b"RIFF" and image[8:12] == b"WEBP")


def _stored(
    number: int, image: Given, num_images: int, config: ClassifierConfig, bounds: Bounds
) -> NDArray[np.uint8]:
    try:
        return as_stored(image, config, max_pixels=bounds.image_pixels)
    except DatasetError as error:
        raise refused_image(number, num_images, str(error)) from None
