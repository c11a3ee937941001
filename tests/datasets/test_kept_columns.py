"""Columns of a source's table that are kept with each image."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.datasets.adding import add_dataset
from trainables.datasets.arrow_files import read_kept
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import kept_of_test, openings
from trainables.errors import DatasetError

NUM_IMAGES = 60


def pixels(number: int) -> np.ndarray:
    """An image of its own for each number."""
    return np.random.default_rng(number).integers(256, size=(8, 8), dtype=np.uint8)


@pytest.fixture
def listing(tmp_path):
    """Images of two classes with the age of the person, which some lack, and where they are from."""
    rows = ["filename,label,age,from where"]
    for number in range(NUM_IMAGES):
        Image.fromarray(pixels(number)).save(tmp_path / f"{number}.png")
        age = "" if number % 7 == 0 else 20 + number
        rows.append(f"{number}.png,{'ab'[number % 2]},{age},camera {number % 3}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    return tmp_path / "list.csv"


def of_all_splits(folder):
    """By name of the column: all values."""
    columns = {}
    for split in ("train", "validation", "test"):
        for name, values in read_kept(folder / f"{split}.arrow").items():
            columns.setdefault(name, []).extend(values)
    return columns


def test_values_stand_beside_their_images_and_leave_the_digest_as_it_is(home, listing):
    plain = add_dataset(home, "plain", listing, AddOptions())
    kept = add_dataset(home, "kept", listing, AddOptions(keep_columns=("age", "from where")))
    assert kept.digest == plain.digest
    assert kept.kept_columns == ("age", "from where")
    columns = of_all_splits(home / "kept")
    ages = [None if number % 7 == 0 else str(20 + number) for number in range(NUM_IMAGES)]
    assert sorted(map(str, columns["age"])) == sorted(map(str, ages))
    assert set(columns["from where"]) == {"camera 0", "camera 1", "camera 2"}
    assert of_all_splits(home / "plain") == {}
    in_test = kept_of_test(home / "kept")
    assert len(in_test["age"]) == kept.splits["test"].num_images
    assert openings(home / "kept") == (), "values of a column are no look at the images"


def test_each_value_is_that_of_its_image(home, listing):
    listing.write_text(
        "filename,label,number\n"
        + "\n".join(f"{number}.png,{'ab'[number % 2]},{number}" for number in range(NUM_IMAGES))
    )
    add_dataset(home, "zoo", listing, AddOptions(keep_columns=("number",)))
    from trainables.datasets.dataset import Dataset

    dataset = Dataset.open(home / "zoo")
    for name, split in (("train", dataset.train), ("validation", dataset.validation)):
        values = read_kept(home / "zoo" / f"{name}.arrow")["number"]
        for row, value in enumerate(values):
            assert np.array_equal(split.pixels(row)[..., 0], pixels(int(value)))


def parquet_of(tmp_path, **columns):
    """A parquet file of small images with further columns."""
    contents = []
    for number in range(NUM_IMAGES):
        Image.fromarray(pixels(number)).save(tmp_path / "one.png")
        contents.append((tmp_path / "one.png").read_bytes())
    table = pa.table({"image": contents, "label": [number % 2 for number in range(NUM_IMAGES)], **columns})
    pq.write_table(table, tmp_path / "zoo.parquet")
    return tmp_path / "zoo.parquet"


def test_numbers_and_truth_of_parquet_become_text(home, tmp_path):
    source = parquet_of(
        tmp_path,
        age=[None if number % 5 == 0 else float(number) for number in range(NUM_IMAGES)],
        outdoors=[number % 2 == 0 for number in range(NUM_IMAGES)],
        weight=[0.5] * NUM_IMAGES,
    )
    add_dataset(home, "zoo", source, AddOptions(keep_columns=("age", "outdoors", "weight")))
    columns = of_all_splits(home / "zoo")
    assert set(columns["age"]) == {None, *(str(number) for number in range(NUM_IMAGES) if number % 5)}
    assert set(columns["outdoors"]) == {"True", "False"}
    assert set(columns["weight"]) == {"0.5"}


def test_the_column_of_the_groups_may_be_kept_too(home, tmp_path):
    source = parquet_of(tmp_path, person=[f"p{number % 20}" for number in range(NUM_IMAGES)])
    add_dataset(home, "zoo", source, AddOptions(keep_columns=("person",), group_column="person"))
    assert set(of_all_splits(home / "zoo")["person"]) == {f"p{number}" for number in range(20)}


def test_a_csv_of_pixels_keeps_columns(home, tmp_path):
    rows = ["emotion,pixels,source"]
    for number in range(NUM_IMAGES):
        rows.append(f"{number % 2},{' '.join(map(str, pixels(number).ravel()))},{number % 4}")
    (tmp_path / "fer.csv").write_text("\n".join(rows))
    add_dataset(home, "fer", tmp_path / "fer.csv", AddOptions(keep_columns=("source",), on_error="skip"))
    assert set(of_all_splits(home / "fer")["source"]) == {"0", "1", "2", "3"}


def test_columns_that_cannot_be_kept(home, tmp_path, listing):
    with pytest.raises(DatasetError, match="--keep-column: no column 'aeg'; columns: filename, label, age"):
        add_dataset(home, "zoo", listing, AddOptions(keep_columns=("aeg",)))
    with pytest.raises(DatasetError, match="--keep-column needs a table"):
        add_dataset(home, "digits", None, AddOptions(keep_columns=("age",)))
    with pytest.raises(DatasetError, match="names each column once, got age, age"):
        AddOptions(keep_columns=("age", "age"))
    source = parquet_of(tmp_path, box=[[1, 2]] * NUM_IMAGES)
    with pytest.raises(DatasetError, match="a column that is kept must hold text, numbers or true and false"):
        add_dataset(home, "zoo", source, AddOptions(keep_columns=("box",)))
    assert not (home / "zoo").exists()
