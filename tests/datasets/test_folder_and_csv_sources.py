"""Image folders, the CSV of FER2013, the built-in digits, and paths that are none of these."""

from pathlib import Path

import numpy as np
import pytest

from trainables.datasets.adding import add_dataset
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.sources.formats import read_source
from trainables.errors import DatasetError

HEADER = "filename,label,group,split"


class TestImageFolders:
    def test_classes_are_sorted_folder_names(self, tmp_path, write_image, make_images):
        for name, suffix in zip("bcadefg", ["png", "JPG", "jpeg", "bmp", "gif", "webp", "tif"], strict=True):
            write_image(tmp_path / name / f"x.{suffix}", make_images(1)[0])
        source = read_source(tmp_path, "x", AddOptions())
        images = list(source.images)
        assert source.classes == tuple("abcdefg")
        assert [image.name for image in images] == [
            "a/x.jpeg",
            "b/x.png",
            "c/x.JPG",
            "d/x.bmp",
            "e/x.gif",
            "f/x.webp",
            "g/x.tif",
        ]
        assert [image.label for image in images] == list(range(7))
        assert source.num_images == 7

    def test_hidden_and_other_files_are_ignored(self, tmp_path, write_image, make_images):
        for path in ("a/1.png", "b/2.png", "a/.3.png", ".thumbnails/4.png", "a/.cache/5.png"):
            write_image(tmp_path / path, make_images(1)[0])
        (tmp_path / "a" / "notes.txt").write_text("x")
        assert [image.name for image in read_source(tmp_path, "x", AddOptions()).images] == [
            "a/1.png",
            "b/2.png",
        ]

    def test_splits_are_recognised_in_any_case(self, tmp_path, write_image, make_images):
        for path in ("Training/a/1.png", "VAL/b/2.png", "testing/a/3.png", "Training/b/deep/4.png"):
            write_image(tmp_path / path, make_images(1)[0])
        source = read_source(tmp_path, "x", AddOptions())
        assert source.classes == ("a", "b")
        assert {image.name: (image.split, image.label) for image in source.images} == {
            "Training/a/1.png": ("train", 0),
            "VAL/b/2.png": ("validation", 1),
            "testing/a/3.png": ("test", 0),
            "Training/b/deep/4.png": ("train", 1),
        }

    def test_a_class_may_be_called_train(self, tmp_path, write_image, make_images):
        for path in ("train/1.png", "boat/2.png"):
            write_image(tmp_path / path, make_images(1)[0])
        source = read_source(tmp_path, "x", AddOptions())
        assert source.classes == ("boat", "train")
        assert {image.split for image in source.images} == {None}

    def test_images_outside_the_class_folders_have_no_label(self, tmp_path, write_image, make_images):
        for path in ("banner.png", "train/a/1.png", "test/2.png"):
            write_image(tmp_path / path, make_images(1)[0])
        images = read_source(tmp_path, "x", AddOptions()).images
        assert {image.name: image.label for image in images} == {
            "banner.png": None,
            "test/2.png": None,
            "train/a/1.png": 0,
        }

    def test_a_folder_among_splits_that_is_none_is_refused(self, tmp_path, write_image, make_images):
        for path in ("train/a/1.png", "holdout/a/2.png"):
            write_image(tmp_path / path, make_images(1)[0])
        with pytest.raises(DatasetError, match="'holdout' is none; name it train, validation or test"):
            read_source(tmp_path, "x", AddOptions())


class TestFerCsv:
    @staticmethod
    def write(path: Path, rows: list[str], header: str = "emotion,pixels,Usage") -> Path:
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def test_rows_become_square_images(self, tmp_path):
        path = self.write(
            tmp_path / "fer2013.csv",
            ["3,0 1 2 255,Training", "6,9 9 9 9,PublicTest", "0,1 1 1 1,PrivateTest"],
        )
        source = read_source(path, "x", AddOptions())
        images = list(source.images)
        assert source.classes == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
        assert [(image.name, image.label, image.split) for image in images] == [
            ("line 2", 3, "train"),
            ("line 3", 6, "validation"),
            ("line 4", 0, "test"),
        ]
        np.testing.assert_array_equal(images[0].load(), np.array([[0, 1], [2, 255]], np.uint8))

    def test_missing_values_are_absent(self, tmp_path):
        path = self.write(tmp_path / "fer2013.csv", [",1,Training", "1,,Training"])
        images = list(read_source(path, "x", AddOptions()).images)
        assert [(image.label, image.load is None) for image in images] == [(None, False), (1, True)]

    def test_usage_may_be_absent_and_other_columns_are_ignored(self, tmp_path):
        path = self.write(tmp_path / "fer2013.csv", ["x,1,7,anna", "x,2,7,ben"], "note,emotion,pixels,person")
        images = list(read_source(path, "x", AddOptions(group_column="person")).images)
        assert [(image.split, image.group) for image in images] == [(None, "anna"), (None, "ben")]

    @pytest.mark.parametrize("pixels", ["1 2 3", "1 2 3 256", "1 x 3 4", "1 -2 3 4", " "])
    def test_pixels_that_are_no_square_image_cannot_be_loaded(self, tmp_path, pixels):
        (image,) = read_source(
            self.write(tmp_path / "fer2013.csv", [f"0,{pixels},Training"]), "x", AddOptions()
        ).images
        with pytest.raises(ValueError, match="pixels must be"):
            image.load()

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("sad,1,Training", "an emotion is a number from 0 to 6, got 'sad' in line 2"),
            (
                "1,1,Holdout",
                "a split must be Training, PublicTest, PrivateTest or .* got 'Holdout' in line 2",
            ),
            ("1,1,", "a split must be Training, .* got '' in line 2"),
            ("1,1", "is not a CSV with a header|is not a whole CSV"),
        ],
    )
    def test_rows_that_mean_nothing_are_refused(self, tmp_path, row, message):
        path = self.write(tmp_path / "fer2013.csv", [row])
        with pytest.raises(DatasetError, match=message):
            list(read_source(path, "x", AddOptions()).images)

    def test_a_missing_column_is_refused(self, tmp_path):
        path = self.write(tmp_path / "x.csv", ["1,2"], "label,scan")
        with pytest.raises(
            DatasetError,
            match=r"a CSV has a column pixels .* or filename .* has label, scan; rename its column, or name",
        ):
            read_source(path, "x", AddOptions())

    def test_an_empty_file_is_refused(self, tmp_path):
        (tmp_path / "x.csv").touch()
        with pytest.raises(DatasetError, match="is not a CSV with a header"):
            read_source(tmp_path / "x.csv", "x", AddOptions())


class TestListingCsv:
    """A CSV that lists image files was taken for FER2013's: `no column is called pixels`."""

    @staticmethod
    def write(folder: Path, rows: list[str], header: str = "filename,label") -> Path:
        path = folder / "list.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    def test_files_lie_beside_it_and_labels_are_names(self, tmp_path, write_image, make_images):
        images = make_images(2)
        write_image(tmp_path / "faces" / "a.png", images[0])
        outside = write_image(tmp_path.parent / f"{tmp_path.name}-elsewhere" / "b.png", images[1])
        source = read_source(
            self.write(tmp_path, ["faces/a.png,sad,anna,training", f"{outside},happy,,TEST"], HEADER),
            "x",
            AddOptions(),
        )
        found = list(source.images)
        assert source.classes == ("happy", "sad")
        assert [(image.label, image.group, image.split) for image in found] == [
            (1, "anna", "train"),
            (0, None, "test"),
        ]
        assert [image.load() for image in found] == [
            (tmp_path / "faces" / "a.png").read_bytes(),
            outside.read_bytes(),
        ]

    def test_numbers_are_classes_as_in_other_sources(self, tmp_path):
        path = self.write(tmp_path, ["a.png,2", "b.png,0"])
        assert read_source(path, "x", AddOptions()).classes == ("0", "1", "2")
        named = read_source(path, "x", AddOptions(classes=("cat", "dog", "owl")))
        assert (named.classes, [image.label for image in named.images]) == (("cat", "dog", "owl"), [2, 0])

    def test_a_pattern_reads_the_groups_from_the_names(self, tmp_path):
        path = self.write(tmp_path, ["deep/S01_1.png,a", "S02_1.png,b", "odd.png,b"])
        source = read_source(path, "x", AddOptions(group_pattern=r"^(S\d+)_"))
        assert [image.group for image in source.images] == ["S01", "S02", None]

    def test_what_is_missing_or_unknown_is_said(self, tmp_path):
        with pytest.raises(DatasetError, match="no column is called label or class"):
            read_source(self.write(tmp_path, ["a.png,1"], "filename,mood"), "x", AddOptions())
        rows = list(read_source(self.write(tmp_path, ["gone.png,", ",1"]), "x", AddOptions()).images)
        assert [(row.label, row.load is None) for row in rows] == [(None, False), (1, True)]
        with pytest.raises(FileNotFoundError):
            rows[0].load()
        with pytest.raises(DatasetError, match=r"distinct names, but .* has label twice; rename one"):
            read_source(self.write(tmp_path, ["a.png,1,2"], "filename,label,label"), "x", AddOptions())
        long = read_source(self.write(tmp_path, ["a.png,99999999999999999999", "b.png,٣"]), "x", AddOptions())
        assert long.classes == ("99999999999999999999", "٣"), "what is no usual number is a name"
        holdout = read_source(self.write(tmp_path, ["a.png,1,x,holdout"], HEADER), "x", AddOptions())
        with pytest.raises(DatasetError, match="must be train, validation or test, got 'holdout' in line 2"):
            list(holdout.images)


class TestGroupPatterns:
    @pytest.fixture
    def faces(self, tmp_path, write_image, make_images):
        """Twelve people with five images each, some happy and some sad, as people keep them."""
        for number, image in enumerate(make_images(60)):
            mood = ("happy", "sad")[number % 2]
            write_image(tmp_path / "faces" / mood / f"S{number % 12:03}_{number // 12}.png", image)
        return tmp_path / "faces"

    def test_the_group_is_part_of_the_files_name(self, faces):
        images = list(read_source(faces, "x", AddOptions(group_pattern=r"^(S\d+)_")).images)
        assert all(image.group == Path(image.name).name[:4] for image in images)

    def test_people_stay_in_one_split_and_are_counted(self, home, faces):
        options = AddOptions(group_pattern=r"^(S\d+)_", test_fraction=0.25, validation_fraction=0.25)
        manifest = add_dataset(home, "faces", faces, options)
        assert sum(split.num_groups for split in manifest.splits.values()) == 12
        assert set(manifest.findings.num_groups_across.values()) == {0}
        assert manifest.grouped_by == r"^(S\d+)_"
        assert Manifest.read(home / "faces") == manifest

    def test_a_name_that_does_not_match_is_a_problem(self, home, faces, write_image, make_images):
        write_image(faces / "sad" / "unnamed.png", make_images(1, seed=7)[0])
        with pytest.raises(
            DatasetError,
            match=r"file name --group-pattern does not match: 1 \(sad/unnamed.png\)\nleave them out with",
        ):
            add_dataset(home, "faces", faces, AddOptions(group_pattern=r"^(S\d+)_"))
        manifest = add_dataset(home, "faces", faces, AddOptions(group_pattern=r"^(S\d+)_", on_error="skip"))
        assert manifest.findings.skipped == {"missing_group": 1}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"group_pattern": "(S"}, r"must be a regular expression such as .*, got '\(S': missing \)"),
            ({"group_pattern": r"S\d+"}, r"must have one group in brackets, .* with 0; brackets that find"),
            ({"group_pattern": r"(S)(\d+)"}, "with 2; brackets that find nothing"),
            ({"group_pattern": "(a)", "group_column": "a"}, "or from --group-pattern, not from both"),
        ],
    )
    def test_a_pattern_that_cannot_be_is_refused(self, options, message):
        with pytest.raises(DatasetError, match=message):
            AddOptions(**options)

    def test_sources_without_files_have_no_names(self, ten_per_class):
        for path in (None, ten_per_class):
            with pytest.raises(DatasetError, match="--group-pattern reads the names of image files"):
                read_source(path, "digits", AddOptions(group_pattern="(a)"))


class TestDigits:
    def test_values_are_stretched_to_bytes(self):
        source = read_source(None, "digits", AddOptions())
        images = list(source.images)
        pixels = np.stack([image.load() for image in images])
        assert pixels.shape == (source.num_images, 8, 8) == (1797, 8, 8)
        assert pixels.dtype == np.uint8
        assert np.unique(pixels).tolist() == [round(value * 255 / 16) for value in range(17)]
        assert source.classes == tuple("0123456789")
        assert [image.label for image in images[:10]] == list(range(10))

    def test_a_fifth_is_carved(self):
        assert read_source(None, "digits", AddOptions()).carved_fraction == 0.2

    def test_other_names_need_a_source(self):
        with pytest.raises(
            DatasetError,
            match=(
                "only the dataset 'digits' is built in, got 'mnist'; say where its images are with --from "
                "PATH"
            ),
        ):
            read_source(None, "mnist", AddOptions())


class TestPathsThatAreNoSource:
    def test_a_path_must_exist(self, tmp_path):
        with pytest.raises(DatasetError, match=r"--from must be a file or folder that exists, got .*nowhere"):
            read_source(tmp_path / "nowhere", "x", AddOptions())

    @pytest.mark.parametrize("content", ["notes.txt", "folder/notes.txt"])
    def test_the_message_tells_what_was_looked_for(self, tmp_path, content):
        (tmp_path / content).parent.mkdir(exist_ok=True)
        (tmp_path / content).touch()
        for path in (tmp_path, tmp_path / "notes.txt"):
            if path.exists():
                with pytest.raises(
                    DatasetError,
                    match=(
                        r"is none of the sources that are understood: a \.parquet file or .* "
                        "split/class/image"
                    ),
                ):
                    read_source(path, "x", AddOptions())

    def test_columns_are_refused_where_there_are_none(self):
        with pytest.raises(DatasetError, match="--group-column needs a table"):
            read_source(None, "digits", AddOptions(group_column="person"))
