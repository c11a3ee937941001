"""No source of images ends in a traceback: it is refused in words, or stored, shown and read again."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from odd_datasets import Make, sources

from study.cli.reports.dataset_tables import print_added, print_dataset
from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import map_split
from trainables.datasets.listing import read_manifest
from trainables.datasets.options import AddOptions
from trainables.errors import DatasetError

KINDS = dict(sources())


@pytest.mark.parametrize("size", [None, pytest.param(8, marks=pytest.mark.slow)])
@pytest.mark.parametrize("on_error", ["refuse", "skip"])
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())
def test_an_odd_source(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Make,
    on_error: Literal["refuse", "skip"],
    size: int | None,
) -> None:
    (tmp_path / "source").mkdir()
    home, source = tmp_path / "home", make(tmp_path / "source")
    try:
        manifest = add_dataset(home, "odd", source, AddOptions(on_error=on_error, image_size=size))
    except DatasetError as error:
        str(error).encode()
        assert list(home.glob("*") if home.exists() else ()) == [], "nothing is left behind"
        return
    print_added(manifest, home / "odd")
    print_dataset(read_manifest(home / "odd"), home / "odd")
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert read_manifest(home / "odd") == manifest
    for name, summary in manifest.splits.items():
        split = map_split(home / "odd" / f"{name}.arrow", manifest.height, manifest.width, manifest.channels)
        counted = np.bincount(split.labels, minlength=manifest.num_classes)
        assert tuple(counted.tolist()) == summary.num_by_class
        assert sum(summary.num_by_class) == summary.num_images
    assert len(manifest.classes) == len(set(manifest.classes)) >= 2
