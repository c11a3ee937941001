"""Odd things that a stranger may send to what answers, drawn by a seed."""

import base64
import json
import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

_TEXTS = (
    "",
    " ",
    "x",
    "/etc/passwd",
    "file:///etc/passwd",
    "http://127.0.0.1/x.png",
    "data:",
    "data:,",
    "data:image/png;base64",
    "data:image/png;base64,",
    "=",
    "AAAA",
    "\x00",
    "\x1b[31m",
    "名前",
    "\ud800",
    "A" * 100_000,
    "[bold]",
    "nan",
    "-1",
)
_NUMBERS = (0, 1, -1, 255, 256, 0.5, 1e308, 2**63, 2**200, float("nan"), float("inf"), True, False)
_TYPES = (
    *("application/json",) * 8,
    *("text/csv", "application/x-parquet", "text/plain", "", "application/json; x"),
)
_COMMANDS = (
    *("list", "show", "stop", "extend", "pin", "unpin", "enqueue", "kill-trial", "rm", "replay", "recipes"),
    *("data show", "data list", "models", "history", "doctor", "promote", "rollback", "nope", ""),
)
_WORDS = ("--json", "--all", "--yes", "--trials", "--", "--help", "batch_size=64", "=", "a=b=c", "../x")


def odd_body(seed: int) -> tuple[str, bytes]:
    """A content type, and the body of a request to a served model."""
    draw = random.Random(seed)
    kind = draw.choice(_TYPES)
    if kind.startswith("application/json") and draw.random() < 0.85:
        return kind, _text(json.dumps(_tree(draw)))
    return kind, draw.choice((_noise, _nested, _csv))(draw)


def odd_log(seed: int) -> str:
    """What the log of a job may hold."""
    draw = random.Random(seed)
    lines = []
    for _ in range(draw.randint(1, 6)):
        content: Any = {
            "kind": draw.choice(("begun", "finished", "refused", "answer", "nope", None, 1)),
            draw.choice(("home", "message", "stdout", "x")): _value(draw, 2),
            "code": draw.choice(_NUMBERS),
        }
        text = json.dumps(draw.choice((content, _value(draw, 2), [content])))
        lines.append("study-reply " + text[: draw.choice((None, draw.randint(0, len(text))))])
    return "\n".join(lines)


def odd_answer(seed: int) -> tuple[int, bytes]:
    """A status and a body with which a server that is no dashboard, or a broken one, may answer."""
    draw = random.Random(seed)
    status = draw.choice((200,) * 6 + (204, 301, 400, 401, 403, 404, 418, 500, 503))
    job = {
        draw.choice(("submission_id", "x")): _value(draw, 1),
        draw.choice(("status", "x")): _value(draw, 1),
        "metadata": _value(draw, 2),
        "start_time": _value(draw, 1),
        "logs": _value(draw, 1),
        "ray_version": _value(draw, 1),
        "data": _value(draw, 2),
    }
    tree = draw.choice((job, [job], [job, job], _value(draw, 3)))
    return status, draw.choice((_text(json.dumps(tree)), _noise(draw), b"<html>nope</html>", b""))


def odd_words(seed: int, names: tuple[str, ...]) -> list[str]:
    """A command line that a submitter may send to the head of a cluster."""
    draw = random.Random(seed)
    command = draw.choice(_COMMANDS).split()
    more = (*names, *_WORDS)
    texts = [text for text in _TEXTS if "\x00" not in text and len(text) < 200]
    return [*command, *(draw.choice((*more, *texts)) for _ in range(draw.randint(0, 3)))]


def _tree(draw: random.Random) -> Any:
    rows = [{draw.choice(("image",) * 9 + ("x",)): _image(draw)} for _ in range(draw.randint(0, 3))]
    wrapped: tuple[Callable[[], Any], ...] = (
        lambda: {"dataframe_records": rows},
        lambda: {"dataframe_records": rows, "params": _value(draw, 2)},
        lambda: {"dataframe_split": {"columns": ["image"], "data": [[_image(draw)] for _ in rows]}},
        lambda: {"instances": [_image(draw) for _ in rows]},
        lambda: {"inputs": {"image": [_image(draw) for _ in rows]}},
        lambda: {draw.choice(("inputs", "instances", "dataframe_split", "messages", "x")): _value(draw, 3)},
        lambda: _value(draw, 3),
    )
    return draw.choice((*wrapped[:2], *wrapped))()


def _image(draw: random.Random) -> Any:
    made: tuple[Callable[[], Any], ...] = (
        lambda: _png(draw),
        lambda: _png(draw)[: draw.randint(0, 60)],
        lambda: "data:image/png;base64," + _png(draw),
        lambda: base64.b64encode(_noise(draw)).decode(),
        lambda: draw.choice(_TEXTS),
        lambda: _pixels(draw),
        lambda: _value(draw, 3),
    )
    return draw.choice(made)()


def _png(draw: random.Random) -> str:
    shape = draw.choice(((8, 8), (8, 8, 3), (8, 8, 4), (1, 1), (1, 300), (0 + 1, 1, 3)))
    content = BytesIO()
    pixels = np.frombuffer(draw.randbytes(int(np.prod(shape))), np.uint8).reshape(shape)
    Image.fromarray(pixels).save(content, draw.choice(("PNG", "GIF", "TIFF")))
    return base64.b64encode(content.getvalue()).decode()


def _pixels(draw: random.Random) -> Any:
    shape = [draw.choice((0, 1, 2, 3, 8)) for _ in range(draw.randint(0, 5))]
    array = np.full(shape, draw.choice((0, 7, 255)), dtype=int).tolist()
    if isinstance(array, list) and array and draw.random() < 0.4:
        array[draw.randrange(len(array))] = _value(draw, 2)
    return array


def _value(draw: random.Random, depth: int) -> Any:
    if depth and draw.random() < 0.4:
        parts = [_value(draw, depth - 1) for _ in range(draw.randint(0, 3))]
        return parts if draw.random() < 0.5 else {draw.choice(_TEXTS[:16]): part for part in parts}
    return draw.choice((*_TEXTS, *_NUMBERS, None))


def _noise(draw: random.Random) -> bytes:
    return draw.randbytes(draw.randint(0, 300))


def _nested(draw: random.Random) -> bytes:
    return b"[" * draw.choice((10, 900, 100_000)) + b"]" * draw.choice((0, 10))


def _csv(draw: random.Random) -> bytes:
    return _text("\n".join(["image", *(draw.choice(_TEXTS) for _ in range(draw.randint(0, 4)))]))


def _text(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
