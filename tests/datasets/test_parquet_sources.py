"""Parquet: files and splits, class names, columns."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.datasets.options import AddOptions
from trainables.datasets.sources.formats import read_source
from trainables.errors import DatasetError


def splits_of(source):
    return [image.split for image in source.images]


@pytest.mark.parametrize(
    ("file_name", "split"),
    [
        ("train.parquet", "train"),
        ("train-00000-of-00002.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("default/test/0000.parquet", "test"),
        ("val.parquet", "validation"),
        ("valid.parquet", "validation"),
        ("dev.parquet", "validation"),
        ("Testing.parquet", "test"),
        ("all.parquet", None),
    ],
)
def test_the_split_is_in_the_name_of_the_file(tmp_path, write_parquet, make_images, file_name, split):
    folder = tmp_path / "source"
    write_parquet(folder / file_name, make_images(2), [0, 1], "ab")
    source = read_source(
        folder.joinpath(file_name).parent.parent if file_name.count("/") > 1 else folder, "x", AddOptions()
    )
    assert splits_of(source) == [split, split]
    assert source.num_images == 2


def test_several_files_of_a_split_are_read_in_order(tmp_path, write_parquet, make_images):
    for part in (1, 0):
        write_parquet(
            tmp_path / f"train-0000{part}-of-00002.parquet", make_images(2, seed=part), [part, part], "ab"
        )
    source = read_source(tmp_path, "x", AddOptions())
    images = list(source.images)
    assert [image.label for image in images] == [0, 0, 1, 1]
    assert [image.name for image in images][:2] == [
        "train-00000-of-00002/0.png",
        "train-00000-of-00002/1.png",
    ]


def test_a_single_file_has_no_split_whatever_its_name(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "test.parquet", make_images(2), [0, 1], "ab")
    assert splits_of(read_source(path, "x", AddOptions())) == [None, None]


def test_a_split_column_wins_over_file_names(tmp_path, write_parquet, make_images):
    write_parquet(tmp_path / "train.parquet", make_images(3), [0, 1, 0], "ab", fold=["Train", "val", "TEST"])
    assert splits_of(read_source(tmp_path, "x", AddOptions(split_column="fold"))) == [
        "train",
        "validation",
        "test",
    ]


def test_an_unknown_word_in_the_split_column_is_refused(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [0, 1], "ab", fold=["train", "holdout"])
    with pytest.raises(
        DatasetError, match="a split must be train, validation or test, got 'holdout' in row 1"
    ):
        splits_of(read_source(path, "x", AddOptions(split_column="fold")))


def test_files_with_and_without_a_split_are_refused_together(tmp_path, write_parquet, make_images):
    for name in ("train", "extra"):
        write_parquet(tmp_path / f"{name}.parquet", make_images(2), [0, 1], "ab")
    with pytest.raises(DatasetError, match=r"or none does: extra.parquet does not"):
        read_source(tmp_path, "x", AddOptions())


def test_class_names_come_from_the_schema(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [1, 0], ("zebra", "ant"))
    source = read_source(path, "x", AddOptions())
    assert source.classes == ("zebra", "ant")
    assert [image.label for image in source.images] == [1, 0]


def test_text_labels_are_sorted(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(4), ["zebra", "ant", None, "bee"])
    source = read_source(path, "x", AddOptions())
    assert source.classes == ("ant", "bee", "zebra")
    assert [image.label for image in source.images] == [2, 0, None, 1]


def test_dictionary_labels_are_text(tmp_path, encode_png, make_images):
    images = [encode_png(image) for image in make_images(3)]
    pq.write_table(
        pa.table({"img": images, "labels": pa.array(["b", "a", "b"]).dictionary_encode()}),
        tmp_path / "all.parquet",
    )
    source = read_source(tmp_path, "x", AddOptions())
    assert source.classes == ("a", "b")
    assert [(image.label, image.load()) for image in source.images] == list(
        zip([1, 0, 1], images, strict=True)
    )


@pytest.mark.parametrize(
    ("classes", "expected"), [(None, ("0", "1", "2")), (("x", "y", "z"), ("x", "y", "z"))]
)
def test_numbers_without_names(tmp_path, write_parquet, make_images, classes, expected):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [0, 2])
    assert read_source(path, "x", AddOptions(classes=classes)).classes == expected


def test_huge_numbers_are_no_classes(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [0, 10**12])
    with pytest.raises(
        DatasetError, match="labels without class names must be below 10000, got 1000000000000"
    ):
        read_source(path, "x", AddOptions())


def test_names_for_a_source_that_has_its_own_are_refused(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [0, 1], "ab")
    with pytest.raises(
        DatasetError,
        match="names of its own: a, b; leave --classes out, or rename and reorder with --relabel",
    ):
        read_source(path, "x", AddOptions(classes=("x", "y")))


def test_other_columns_can_be_named(tmp_path, encode_png, make_images):
    images = [encode_png(image) for image in make_images(2)]
    pq.write_table(
        pa.table({"scan": images, "finding": [1, 0], "patient": [7, None]}), tmp_path / "all.parquet"
    )
    options = AddOptions(image_column="scan", label_column="finding", group_column="patient")
    found = list(read_source(tmp_path, "x", options).images)
    assert [(image.label, image.group, image.name) for image in found] == [
        (1, "7", "all.parquet row 0"),
        (0, None, "all.parquet row 1"),
    ]


@pytest.mark.parametrize("flag", ["image", "label", "split", "group"])
def test_an_unknown_column_is_refused_with_a_close_match(tmp_path, write_parquet, make_images, flag):
    path = write_parquet(tmp_path / "all.parquet", make_images(2), [0, 1], "ab", patient=[1, 2])
    with pytest.raises(
        DatasetError,
        match=(
            f"--{flag}-column: no column 'patent'; columns: image, label, patient; did you mean "
            r"'patient'\?"
        ),
    ):
        read_source(path, "x", AddOptions(**{f"{flag}_column": "patent"}))


def test_a_table_without_usual_columns_is_refused(tmp_path):
    pq.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "all.parquet")
    with pytest.raises(
        DatasetError,
        match=r"no column is called image or img or images; columns: x, y; name one with --image-column",
    ):
        read_source(tmp_path, "x", AddOptions())


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [(1, 0, "must hold encoded images"), (b"x", 0.5, "must hold whole numbers")],
)
def test_columns_of_a_wrong_type_are_refused(tmp_path, image, label, message):
    pq.write_table(pa.table({"image": [image], "label": [label]}), tmp_path / "all.parquet")
    with pytest.raises(DatasetError, match=message):
        read_source(tmp_path, "x", AddOptions())


def test_files_that_disagree_are_refused(tmp_path, write_parquet, make_images):
    write_parquet(tmp_path / "train.parquet", make_images(2), [0, 1], "ab")
    write_parquet(tmp_path / "test.parquet", make_images(2), [0, 1], "ba")
    with pytest.raises(
        DatasetError, match=r"must have the same class names, but those of test.parquet, train.parquet differ"
    ):
        read_source(tmp_path, "x", AddOptions())
    pq.write_table(pa.table({"img": [b""], "label": [1]}), tmp_path / "test.parquet")
    with pytest.raises(DatasetError, match=r"train.parquet has no img; it has image, label"):
        read_source(tmp_path, "x", AddOptions())


def test_a_damaged_file_is_refused(tmp_path, write_parquet, make_images):
    path = write_parquet(tmp_path / "all.parquet", make_images(20), [0, 1] * 10, "ab")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DatasetError, match=r"all.parquet is not a whole parquet file"):
        read_source(path, "x", AddOptions())


def test_metadata_of_other_programs_is_no_class_list(tmp_path, encode_png, make_images):
    table = pa.table({"image": [encode_png(image) for image in make_images(2)], "label": [0, 1]})
    for metadata in ("not json", json.dumps({"info": {}}), json.dumps([1])):
        pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), tmp_path / "all.parquet")
        assert read_source(tmp_path, "x", AddOptions()).classes == ("0", "1")
