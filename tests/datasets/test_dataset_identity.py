"""What a dataset's digest and classes depend on: content and class order; not the family of the source."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.errors import DatasetError


def pixels_by_name(folder: Path, split: str) -> dict[str, bytes]:
    table = pa.ipc.open_file(folder / f"{split}.arrow").read_all()
    return dict(zip(table["name"].to_pylist(), table["image"].to_pylist(), strict=True))


def test_equal_content_has_an_equal_digest(home, ten_per_class, tmp_path):
    copy = shutil.copy(ten_per_class, tmp_path / "copy.parquet")
    digests = {
        add_dataset(home, name, Path(source), AddOptions()).digest
        for name, source in (("a", ten_per_class), ("b", copy))
    }
    assert len(digests) == 1


def test_the_digest_depends_on_each_pixel_label_and_the_class_order(
    home, tmp_path, write_parquet, make_images
):
    images, labels = make_images(20), [0, 1] * 10
    pixel, label = images.copy(), labels.copy()
    pixel[7, 3, 2] ^= 1
    label[7] = 0
    sources = {
        "same": (images, labels, "ab"),
        "pixel": (pixel, labels, "ab"),
        "label": (images, label, "ab"),
        "class-names": (images, labels, "ac"),
        "class-order": (images, labels, "ba"),
    }
    digests = {
        name: add_dataset(
            home, name, write_parquet(tmp_path / f"{name}.parquet", *source), AddOptions()
        ).digest
        for name, source in sources.items()
    }
    assert len(set(digests.values())) == len(sources)


def test_every_family_of_sources_gives_the_same_dataset(
    tmp_path, write_parquet, write_idx, write_image, make_images
):
    images, labels = make_images(20), [0] * 10 + [1] * 10
    write_parquet(tmp_path / "parquet" / "train.parquet", images, labels)
    write_idx(tmp_path / "idx" / "train-images-idx3-ubyte.gz", images)
    write_idx(tmp_path / "idx" / "train-labels-idx1-ubyte.gz", np.array(labels, np.uint8))
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        write_image(tmp_path / "folder" / "train" / str(label) / f"{row:02}.png", image)

    manifests = [
        add_dataset(tmp_path / "datasets", family, tmp_path / family, AddOptions())
        for family in ("parquet", "idx", "folder")
    ]

    assert {manifest.classes for manifest in manifests} == {("0", "1")}
    assert len({manifest.digest for manifest in manifests}) == 1


def test_a_csv_of_fer2013_is_added(home, tmp_path, make_images):
    usages = ["Training"] * 14 + ["PublicTest"] * 7 + ["PrivateTest"] * 7
    pixels = [" ".join(map(str, image.ravel())) for image in make_images(28)]
    rows = [f"{row % 7},{text},{usage}" for row, (text, usage) in enumerate(zip(pixels, usages, strict=True))]
    source = tmp_path / "fer2013.csv"
    source.write_text("\n".join(["emotion,pixels,Usage", *rows]))

    manifest = add_dataset(home, "fer2013", source, AddOptions())

    assert manifest.classes[:3] == ("angry", "disgust", "fear")
    assert [(split.num_images, split.origin) for split in manifest.splits.values()] == [
        (14, "given"),
        (7, "given"),
        (7, "given"),
    ]


def test_relabelling_merges_and_reorders(home, ten_per_class):
    manifest = add_dataset(
        home, "pets", ten_per_class, AddOptions(relabel={"bird": ("owl",), "mammal": ("dog", "cat")})
    )
    assert manifest.classes == ("bird", "mammal")
    assert manifest.splits["train"].num_by_class == (8, 16)
    assert manifest.options["relabel"] == {"bird": ["owl"], "mammal": ["dog", "cat"]}
    assert Manifest.read(home / "pets") == manifest


@pytest.mark.parametrize(
    ("relabel", "classes", "counts"),
    [
        ({"mammal": ("dog", "cat")}, ("mammal", "owl"), (16, 8)),
        ({"dog": ("dog", "owl")}, ("cat", "dog"), (8, 16)),
        ({"bird": ("owl",)}, ("cat", "dog", "bird"), (8, 8, 8)),
    ],
)
def test_classes_that_relabelling_does_not_name_stay(home, ten_per_class, relabel, classes, counts):
    manifest = add_dataset(home, "pets", ten_per_class, AddOptions(relabel=relabel))
    assert manifest.classes == classes
    assert manifest.splits["train"].num_by_class == counts


@pytest.mark.parametrize(
    ("relabel", "message"),
    [
        ({"cat": ("owl",)}, "there is a class 'cat' already; to merge it too: cat=cat,owl; or choose"),
        ({"bird": ("owl", "cat"), "mammal": ("dog", "cat")}, "'cat' is named 2 times"),
        (
            {"bird": ("owll",), "mammal": ("dog", "cat")},
            "no class 'owll'; classes: cat, dog, owl; did you mean 'owl'?",
        ),
        (
            {"bird": ("owl",), "mammal": ("dog", "cat"), "fish": ()},
            "at least one old class, but fish has none",
        ),
        ({"animal": ("owl", "dog", "cat")}, "at least 2 classes with images, found animal"),
    ],
)
def test_relabelling_that_is_no_partition_is_refused(home, ten_per_class, relabel, message):
    with pytest.raises(DatasetError, match=message):
        add_dataset(home, "pets", ten_per_class, AddOptions(relabel=relabel))
    assert list(home.iterdir()) == []


def test_a_permutation_moves_all_pixels_alike(home, ten_per_class):
    plain = add_dataset(home, "plain", ten_per_class, AddOptions())
    permuted = add_dataset(home, "permuted", ten_per_class, AddOptions(permute_seed=3))

    assert permuted.digest != plain.digest
    assert permuted.options["permute_seed"] == 3
    order = np.random.RandomState(3).permutation(16)
    for split in plain.splits:
        for name, pixels in pixels_by_name(home / "plain", split).items():
            assert pixels_by_name(home / "permuted", split)[name] == bytes(
                np.frombuffer(pixels, np.uint8)[order]
            )


def test_gray_images_are_widened_among_rgb_images(home, tmp_path, write_parquet, make_images):
    gray, rgb = make_images(10), make_images(10, channels=3, seed=1)
    rgb[4] = gray[4][..., np.newaxis]
    source = write_parquet(tmp_path / "mixed.parquet", [*gray, *rgb], [0, 1] * 10, "ab")

    manifest = add_dataset(home, "mixed", source, AddOptions())

    assert manifest.channels == 3
    stored = {
        name: pixels
        for split in manifest.splits
        for name, pixels in pixels_by_name(home / "mixed", split).items()
    }
    assert stored["mixed/0.png"] == np.repeat(gray[0][..., np.newaxis], 3, axis=2).tobytes()
    assert stored["mixed/10.png"] == rgb[0].tobytes()
    # The gray image and its RGB twin are one image once both have three channels.
    assert sum(manifest.findings.num_duplicates_within.values()) == 1
    assert sum(manifest.findings.num_duplicates_across.values()) == 0


def test_one_channel_can_be_asked_for(home, tmp_path, write_parquet, make_images):
    source = write_parquet(tmp_path / "rgb.parquet", make_images(20, channels=3), [0, 1] * 10, "ab")
    assert add_dataset(home, "rgb", source, AddOptions()).channels == 3
    assert add_dataset(home, "gray", source, AddOptions(channels=1)).channels == 1
