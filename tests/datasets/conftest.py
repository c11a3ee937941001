"""Small sources, written the way people write them."""

import gzip
import json
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where datasets are stored; no dataset is there yet."""
    return tmp_path / "datasets"


@pytest.fixture(scope="session")
def make_images() -> Callable[..., np.ndarray]:
    """Distinct random images (N, side, side), or (N, side, side, 3) for three channels."""

    def make(num_images: int, side: int = 4, channels: int = 1, seed: int = 0) -> np.ndarray:
        shape = (num_images, side, side) if channels == 1 else (num_images, side, side, channels)
        return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)

    return make


@pytest.fixture(scope="session")
def encode_png() -> Callable[[np.ndarray], bytes]:
    """The bytes of a PNG with the given pixels."""

    def encode(pixels: np.ndarray) -> bytes:
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def write_parquet(encode_png) -> Callable[..., Path]:
    """Writes images (arrays, bytes or None) and labels as Hugging Face does; `classes` become the ClassLabel
    of the schema.
    """

    def write(
        path: Path,
        images: Sequence,
        labels: Sequence,
        classes: Sequence[str] | None = None,
        **columns: Sequence,
    ) -> Path:
        encoded = [encode_png(image) if isinstance(image, np.ndarray) else image for image in images]
        structs = [
            None if image is None else {"bytes": image, "path": f"{path.stem}/{row}.png"}
            for row, image in enumerate(encoded)
        ]
        table = pa.table(
            {
                "image": pa.array(structs, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
                "label": pa.array(
                    labels,
                    pa.int64()
                    if all(label is None or isinstance(label, int) for label in labels)
                    else pa.string(),
                ),
                **columns,
            }
        )
        if classes is not None:
            features = {"image": {"_type": "Image"}, "label": {"names": list(classes), "_type": "ClassLabel"}}
            table = table.replace_schema_metadata(
                {"huggingface": json.dumps({"info": {"features": features}})}
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        return path

    return write


@pytest.fixture(scope="session")
def write_image() -> Callable[[Path, np.ndarray], Path]:
    """Writes pixels as an image file; the suffix decides the format."""

    def write(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def write_idx() -> Callable[[Path, np.ndarray], Path]:
    """Writes an array of bytes as an IDX file, gzipped if the path ends in .gz."""

    def write(path: Path, array: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = (
            (0x0800 + array.ndim).to_bytes(4, "big")
            + b"".join(size.to_bytes(4, "big") for size in array.shape)
            + array.tobytes()
        )
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        return path

    return write


@pytest.fixture
def ten_per_class(tmp_path: Path, write_parquet, make_images) -> Path:
    """A parquet file with ten images each of `cat`, `dog` and `owl`, and no splits."""
    return write_parquet(
        tmp_path / "ten_per_class.parquet", make_images(30), [0, 1, 2] * 10, ("cat", "dog", "owl")
    )
