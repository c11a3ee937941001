"""Odd sources of images, of every format that is read, by name; and what may become of one."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Make = Callable[[Path], Path]
"""Makes a source in an empty folder and returns its path."""
NUM_IMAGES = 12


def pixels(number: int, side: int = 6, channels: int = 1) -> Any:
    """Distinct random pixels."""
    shape = (side, side) if channels == 1 else (side, side, channels)
    return np.random.default_rng(number).integers(0, 256, shape, np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of a file with a picture."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


PICTURE = Image.fromarray(pixels(0))
PNG = encoded(PICTURE)


def _images() -> dict[str, bytes]:
    """The bytes of an odd image file, by name."""
    colour = Image.fromarray(pixels(1, channels=3))
    flipped = PICTURE.getexif()
    flipped[274] = 6
    odd = {
        "empty": b"",
        "text": b"no image at all",
        "zeros": bytes(1000),
        "truncated": PNG[: len(PNG) // 2],
        "header alone": PNG[:33],
        "surplus bytes": PNG + b"x" * 100,
        "one pixel": encoded(Image.new("L", (1, 1))),
        "one line": encoded(Image.new("L", (300, 1))),
        "colour": encoded(colour),
        "palette": encoded(colour.convert("P")),
        "palette with transparency": encoded(colour.convert("P"), transparency=0),
        "alpha": encoded(colour.convert("RGBA")),
        "gray with alpha": encoded(PICTURE.convert("LA")),
        "bits": encoded(PICTURE.convert("1")),
        "16 bits": encoded(Image.fromarray(pixels(2).astype(np.uint16) * 200)),
        "cmyk": encoded(colour.convert("CMYK"), "JPEG"),
        "ycbcr": encoded(colour.convert("YCbCr"), "JPEG"),
        "lab": encoded(colour.convert("LAB"), "TIFF"),
        "32 bits": encoded(PICTURE.convert("I"), "TIFF"),
        "fractions": encoded(PICTURE.convert("F"), "TIFF"),
        "turned": encoded(PICTURE, exif=flipped),
        "animated": encoded(PICTURE, "GIF", save_all=True, append_images=[Image.fromarray(pixels(3))]),
        "webp": encoded(colour, "WEBP"),
        "icon": encoded(colour, "ICO"),
        "bitmap": encoded(colour, "BMP"),
        "many pixels": encoded(Image.new("1", (9_500, 9_500))),
        "more pixels than pillow takes": encoded(Image.new("1", (13_400, 13_400))),
        "width that lies": PNG[:16] + b"\x7f\xff\xff\xff" + PNG[20:],
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='6' height='6'/>",
        "pdf": b"%PDF-1.4\n%%EOF",
    }
    draw = random.Random(0)
    for number in range(10):
        changed = bytearray(PNG)
        for _ in range(3):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        odd[f"changed bytes {number}"] = bytes(changed)
    return odd


def _folder(root: Path, classes: tuple[str | bytes, ...] = ("a", "b")) -> Path:
    for number in range(NUM_IMAGES):
        name = classes[number % len(classes)]
        folder = root / (name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(number)).save(folder / f"{number}.png")
    return root


def _with_image(root: Path, content: bytes) -> Path:
    _folder(root)
    (root / "a" / "odd.png").write_bytes(content)
    return root


FOLDERS: dict[str, tuple[str | bytes, ...]] = {
    "one class": ("a",),
    "class not utf-8": (b"\xff\xfe", "b"),
    "class with markup": ("[red]", "a["),
    "class with escape": ("\x1b[31m", "new\nline"),
    "class of 255 letters": ("x" * 255, "b"),
    "class with blanks": (" ", "  "),
    "classes that differ in case": ("A", "a"),
    "classes that differ in composition": ("e\u0301", "\u00e9"),
    "class turned": ("\u202eabc", "b"),
    "class called train": ("train", "b"),
    "class with a dot": ("a.b", "..c"),
    "class with a quote": ("a'b", 'a"b'),
    "class of numbers": ("1", "01"),
    "many classes": tuple(f"class{number}" for number in range(NUM_IMAGES)),
    "hidden class": (".a", "b"),
}


def _table(root: Path, **columns: Any) -> Path:
    images = [encoded(Image.fromarray(pixels(number))) for number in range(NUM_IMAGES)]
    content = {"image": pa.array(images), "label": pa.array([0, 1] * (NUM_IMAGES // 2)), **columns}
    metadata = content.pop("metadata", None)
    table = pa.table({name: column for name, column in content.items() if column is not None})
    pq.write_table(table.replace_schema_metadata(metadata), root / "odd.parquet")
    return root / "odd.parquet"


def _labels(values: list[Any], kind: Any = None) -> dict[str, Any]:
    return {"label": pa.array([values[row % len(values)] for row in range(NUM_IMAGES)], kind)}


def _named(names: Any) -> dict[str, Any]:
    info = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
    return {"metadata": {"huggingface": json.dumps(info)}}


def _structs(**fields: Any) -> dict[str, Any]:
    return {"image": pa.array([fields] * NUM_IMAGES)}


TABLES: dict[str, dict[str, Any]] = {
    "labels missing": {"label": None},
    "images missing": {"image": None},
    "labels null": _labels([None], pa.int64()),
    "labels partly null": _labels([0, 1, None], pa.int64()),
    "labels negative": _labels([-1, 0, 1]),
    "labels huge": _labels([0, 2**62]),
    "labels beyond 64 bits": _labels([0, 2**64 - 1], pa.uint64()),
    "labels fractions": _labels([0.5, 1.0]),
    "labels truth values": _labels([True, False]),
    "labels lists": _labels([[0], [1]]),
    "labels structs": _labels([{"a": 1}, {"a": 2}]),
    "labels dates": _labels([0, 1], pa.date32()),
    "labels bytes": _labels([b"a", b"\xff"]),
    "labels empty text": _labels(["", "a"]),
    "labels with markup": _labels(["a[/b]", "[bold]x"]),
    "labels with escapes": _labels(["\x1b[31m", "\x00"]),
    "labels long": _labels(["x" * 5000, "b"]),
    "labels dictionary": {"label": _labels(["a", "b"])["label"].dictionary_encode()},
    "names as one text": _named("ab"),
    "names as numbers": _named([1, 2]),
    "names null": _named([None, {}]),
    "names double": _named(["a", "a"]),
    "names too few": _named(["a"]),
    "names none": _named([]),
    "names many": _named([f"c{number}" for number in range(3000)]),
    "metadata no json": {"metadata": {"huggingface": "{"}},
    "metadata of lists": {"metadata": {"huggingface": "[]"}},
    "metadata deep": {"metadata": {"huggingface": "[" * 5000}},
    "metadata not utf-8": {"metadata": {b"huggingface": b"\xff"}},
    "images null": {"image": pa.array([None] * NUM_IMAGES, pa.binary())},
    "images text": {"image": pa.array(["x"] * NUM_IMAGES)},
    "images numbers": {"image": pa.array([1] * NUM_IMAGES)},
    "images lists": {"image": pa.array([[1, 2]] * NUM_IMAGES)},
    "images empty": {"image": pa.array([b""] * NUM_IMAGES)},
    "images structs without bytes": _structs(path="a.png"),
    "images structs with text": _structs(bytes="a", path="a.png"),
    "images structs with numbers as paths": _structs(bytes=PNG, path=5),
    "images structs with odd paths": _structs(bytes=PNG, path="\x1b[31m\n"),
    "images all the same": {"image": pa.array([PNG] * NUM_IMAGES)},
    "no rows": {"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())},
}


def _double_columns(root: Path) -> Path:
    images, labels = pa.array([PNG] * NUM_IMAGES), pa.array([0, 1] * (NUM_IMAGES // 2))
    pq.write_table(
        pa.table([images, images, labels], names=["image", "image", "label"]), root / "odd.parquet"
    )
    return root / "odd.parquet"


def _idx(root: Path, change: Callable[[bytes, bytes], tuple[bytes, bytes]], suffix: str = "") -> Path:
    images = b"".join(pixels(number).tobytes() for number in range(NUM_IMAGES))
    head = b"".join(size.to_bytes(4, "big") for size in (0x803, NUM_IMAGES, 6, 6))
    labels = (0x801).to_bytes(4, "big") + NUM_IMAGES.to_bytes(4, "big") + bytes([0, 1] * (NUM_IMAGES // 2))
    one, other = change(head + images, labels)
    (root / f"train-images-idx3-ubyte{suffix}").write_bytes(one)
    (root / f"train-labels-idx1-ubyte{suffix}").write_bytes(other)
    return root


IDX: dict[str, Callable[[bytes, bytes], tuple[bytes, bytes]]] = {
    "as it should be": lambda images, labels: (images, labels),
    "images empty": lambda images, labels: (b"", labels),
    "labels empty": lambda images, labels: (images, b""),
    "images truncated": lambda images, labels: (images[:-5], labels),
    "header truncated": lambda images, labels: (images[:7], labels),
    "surplus": lambda images, labels: (images + b"x", labels),
    "sizes huge": lambda images, labels: (images[:8] + b"\xff" * 8 + images[16:], labels),
    "sizes zero": lambda images, labels: (images[:8] + bytes(8) + images[16:], labels),
    "counts huge": lambda images, labels: (
        images[:4] + b"\xff" * 4 + images[8:],
        labels[:4] + b"\xff" * 4 + labels[8:],
    ),
    "counts zero": lambda images, labels: (images[:4] + bytes(4) + images[8:], labels[:4] + bytes(4)),
    "exchanged": lambda images, labels: (labels, images),
    "labels of 255": lambda images, labels: (images, labels[:8] + b"\xff" * NUM_IMAGES),
}
CSVS: dict[str, bytes] = {
    "empty": b"",
    "header alone": b"emotion,pixels,Usage\n",
    "not utf-8": b"emotion,pixels,Usage\n0,\xff\xfe,Training\n",
    "nul": b"emotion,pixels,Usage\n0,\x00,Training\n",
    "label of text": b"emotion,pixels,Usage\nhappy,1 2 3 4,Training\n",
    "label beyond": b"emotion,pixels,Usage\n7,1 2 3 4,Training\n0,1 2 3 4,Training\n",
    "label huge": b"emotion,pixels,Usage\n" + b"9" * 5000 + b",1 2 3 4,Training\n",
    "label negative": b"emotion,pixels,Usage\n-1,1 2 3 4,Training\n",
    "pixels not square": b"emotion,pixels,Usage\n0,1 2 3,Training\n",
    "pixels beyond": b"emotion,pixels,Usage\n0,1 2 3 256,Training\n",
    "pixels huge": b"emotion,pixels,Usage\n0," + b"9" * 400 + b",Training\n",
    "usage unknown": b"emotion,pixels,Usage\n0,1 2 3 4,\x1b[31m\n",
    "columns twice": b"emotion,pixels,pixels\n0,1 2 3 4,1 2 3 4\n",
    "fields too many": b"emotion,pixels,Usage\n0,1 2 3 4,Training,5\n",
    "quote open": b'emotion,pixels,Usage\n0,"1 2 3 4,Training\n',
    "line of megabytes": b"emotion,pixels,Usage\n0," + b"1 " * 9_000_000 + b",Training\n",
    "gzip": gzip.compress(b"emotion,pixels,Usage\n"),
}
LISTINGS: dict[str, bytes] = {
    "as it should be": b"filename,label\nROWS",
    "header alone": b"filename,label\n",
    "files missing": b"filename,label\n" + b"nowhere.png,a\nnowhere.png,b\n" * 6,
    "files blank": b"filename,label\nROWS,a\n,b\n",
    "labels blank": b"filename,label\nROWSa/0.png,\n",
    "files with nul": b"filename,label\nROWS\x00,a\n",
    "files with escapes": b"filename,label\nROWS\x1b[31m.png,a\n",
    "files not utf-8": b"filename,label\nROWS\xff.png,a\n",
    "files too long": b"filename,label\nROWS" + b"x" * 5000 + b".png,a\n",
    "files that are folders": b"filename,label\nROWSa,a\n/dev/zero,a\n/dev,b\n",
    "files of other kinds": b"filename,label\nROWS/etc/passwd,a\n",
    "labels with markup": b"filename,label\nROWSa/0.png,[/b]\na/2.png,[/b]\na/4.png,[/b]\na/6.png,[/b]\n",
    "labels huge": b"filename,label\na/0.png," + b"9" * 5000 + b"\na/2.png,1\n",
    "labels long": b"filename,label\nROWSa/0.png," + b"x" * 5000 + b"\n",
    "labels mixed": b"filename,label\nROWSa/0.png,5\n",
    "splits unknown": b"filename,label,split\na/0.png,a,\x1b[31m\n",
    "splits blank": b"filename,label,split\na/0.png,a,\nb/1.png,b,train\n",
    "groups of all": b"filename,label,group\n"
    + b"".join(
        b"%s/%d.png,%s,one\n" % (b"ab"[n % 2 :][:1], n, b"ab"[n % 2 :][:1]) for n in range(NUM_IMAGES)
    ),
    "columns twice": b"filename,label,label\na/0.png,a,b\n",
    "fields too few": b"filename,label\na/0.png\n",
    "bom": b"\xef\xbb\xbffilename,label\nROWS",
}


def _listing(root: Path, content: bytes) -> Path:
    _folder(root)
    names = [b"%s/%d.png" % (b"ab"[number % 2 :][:1], number) for number in range(NUM_IMAGES)]
    rows = b"".join(b"%s,%s\n" % (one, one[:1]) for one in names)
    return _file(root, "odd.csv", content.replace(b"ROWS", rows))


def sources() -> Iterator[tuple[str, Make]]:
    """All kinds, by name."""
    for name, content in _images().items():
        yield f"folder with an image: {name}", partial(_with_image, content=content)
        yield (
            f"parquet with an image: {name}",
            partial(_table, image=pa.array([PNG] * (NUM_IMAGES - 1) + [content])),
        )
    for name, classes in FOLDERS.items():
        yield f"folder: {name}", partial(_folder, classes=classes)
    for name, columns in TABLES.items():
        yield f"parquet: {name}", partial(_table, **columns)
    yield "parquet: two columns of one name", _double_columns
    for name, change in IDX.items():
        yield f"idx: {name}", partial(_idx, change=change)
    yield "idx: not gzipped", lambda root: _idx(root, lambda images, labels: (images, labels), ".gz")
    for name, content in CSVS.items():
        yield f"csv: {name}", partial(_file, name="odd.csv", content=content)
    for name, content in LISTINGS.items():
        yield f"listing: {name}", partial(_listing, content=content)
    for name in ("odd.parquet", "odd.csv", "odd.png", "odd"):
        yield (
            f"file: {name} of random bytes",
            partial(_file, name=name, content=bytes(pixels(5, 40))),
        )


def _file(root: Path, name: str, content: bytes) -> Path:
    (root / name).write_bytes(content)
    return root / name
