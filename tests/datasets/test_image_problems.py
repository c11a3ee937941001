"""Every kind of problem: refused with its names, or skipped and counted."""

import re

import pytest

from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.errors import DatasetError


@pytest.fixture
def broken_source(request, tmp_path, write_parquet, make_images):
    """A source of 20 good images of `a` and `b` to which one problem was done; the parameter says which."""
    images, labels, classes, splits = list(make_images(20)), [0, 1] * 10, ["a", "b"], ["train"] * 20
    match request.param:
        case "unreadable_image":
            images[3] = b"no image"
        case "missing_image":
            images[3] = None
        case "missing_label":
            labels[3] = None
        case "label_outside_classes":
            labels[3] = 7
        case "wrong_size":
            images[3] = make_images(1, side=5)[0]
        case "empty_class":
            classes.append("c")
        case "class_in_test_only":
            classes.append("c")
            labels[18:], splits[18:] = [2, 2], ["test", "test"]
        case "class_in_validation_only":
            classes.append("c")
            labels[18:], splits[18:] = [2, 2], ["validation", "validation"]
    return write_parquet(tmp_path / "source.parquet", images, labels, classes, split=splits)


PROBLEMS = [
    ("unreadable_image", "images that cannot be read: 1 (source/3.png)", {"unreadable_image": 1}),
    ("missing_image", "rows without an image: 1 (source.parquet row 3)", {"missing_image": 1}),
    ("missing_label", "images without a label: 1 (source/3.png)", {"missing_label": 1}),
    (
        "label_outside_classes",
        "images whose label is outside the class list: 1 (source/3.png: label 7)",
        {"label_outside_classes": 1},
    ),
    (
        "wrong_size",
        "images of another size than most: 1 (source/3.png: 5x5, most are 4x4)",
        {"wrong_size": 1},
    ),
    ("empty_class", "classes without images: 1 (c)", {"empty_class": 1}),
    ("class_in_test_only", "images of classes that have none in train: 2 (c: 2)", {"class_outside_train": 2}),
    (
        "class_in_validation_only",
        "images of classes that have none in train: 2 (c: 2)",
        {"class_outside_train": 2},
    ),
]


@pytest.mark.parametrize(("broken_source", "line", "skipped"), PROBLEMS, indirect=["broken_source"])
def test_a_problem_is_refused_by_name(home, broken_source, line, skipped):
    with pytest.raises(DatasetError, match=re.escape(line)) as refusal:
        add_dataset(home, "ab", broken_source, AddOptions(split_column="split"))
    assert "leave them out with --on-error skip" in str(refusal.value)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(("broken_source", "line", "skipped"), PROBLEMS, indirect=["broken_source"])
def test_a_problem_is_skipped_and_counted(home, broken_source, line, skipped):
    manifest = add_dataset(home, "ab", broken_source, AddOptions(split_column="split", on_error="skip"))
    assert manifest.findings.skipped == skipped
    assert manifest.classes == ("a", "b")
    num_lost = 0 if "empty_class" in skipped else sum(skipped.values())
    assert sum(split.num_images for split in manifest.splits.values()) == 20 - num_lost


def test_all_kinds_are_told_in_one_message(home, tmp_path, write_parquet, make_images):
    images = [b"broken", None, *make_images(2, side=5), *make_images(10)]
    source = write_parquet(tmp_path / "source.parquet", images, [0] * 14, ["a", "b"])
    with pytest.raises(DatasetError) as refusal:
        add_dataset(home, "ab", source, AddOptions())
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[:-1]] == [
        "some images cannot be used",
        "images that cannot be read",
        "rows without an image",
        "images of another size than most",
        "classes without images",
    ]
    assert lines[-1] == (
        "leave them out with --on-error skip, or bring all images to one size with --size PX, or keep their "
        "sizes with --store encoded"
    )


def test_at_most_ten_names_are_listed(home, tmp_path, write_parquet, make_images):
    source = write_parquet(
        tmp_path / "source.parquet", [b"broken"] * 13 + list(make_images(7)), [0, 1] * 10, ["a", "b"]
    )
    with pytest.raises(DatasetError, match=r"cannot be read: 13 \(.*source/9.png, and 3 more\)"):
        add_dataset(home, "ab", source, AddOptions())


def test_sizes_are_no_problem_when_a_size_is_given(home, tmp_path, write_parquet, make_images):
    images = [*make_images(10), *make_images(10, side=9, seed=1)]
    source = write_parquet(tmp_path / "source.parquet", images, [0, 1] * 10, ["a", "b"])
    manifest = add_dataset(home, "ab", source, AddOptions(image_size=6))
    assert (manifest.height, manifest.width) == (6, 6)
    assert manifest.findings.skipped == {}


def test_nothing_readable_is_refused_even_when_skipping(home, tmp_path, write_parquet):
    source = write_parquet(tmp_path / "source.parquet", [b"broken"] * 4, [0, 1] * 2, ["a", "b"])
    with pytest.raises(DatasetError, match="at least 2 classes with images, found none"):
        add_dataset(home, "ab", source, AddOptions(on_error="skip"))
