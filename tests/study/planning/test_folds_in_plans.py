"""A study with folds is refused where its dataset has too little for them, and says what it costs."""

from pathlib import Path

import pytest
import yaml
from command_line import Study
from quoting import keep_speed

from study.errors import SpecError
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.study_file.study_spec import StudySpec

DIGITS = {"study": "s", "dataset": "digits", "search_space": "digits", "budget": {"trials": 3, "epochs": 4}}


def plan(home: Home, **changes: object) -> Plan:
    return plan_study(StudySpec.parse({**DIGITS, **changes}), home)


def test_every_image_is_trained_on_as_often_as_it_is_not_held_out(home: Home) -> None:
    made = plan(home, validate={"folds": 5})
    splits = made.manifest.splits
    num_images = splits["train"].num_images + splits["validation"].num_images
    assert sum(made.fold_sizes) == num_images
    assert made.num_images_trained == 3 * 4 * 4 * num_images
    without = plan(home)
    assert without.fold_sizes == ()
    assert without.num_images_trained < made.num_images_trained
    assert (made.num_validated, without.num_validated) == (num_images, splits["validation"].num_images)


def test_more_training_images_than_the_folds_leave_are_refused(home: Home) -> None:
    with pytest.raises(SpecError, match=r"train_images 1000 is more than the 719 images that 2 folds leave"):
        plan(home, validate={"folds": 2}, fix={"train_images": 1000})
    assert plan(home, validate={"folds": 4}, fix={"train_images": 1000}).fold_sizes


def test_a_dataset_with_too_few_people_is_refused_by_the_line(
    home: Home, study: Study, tmp_path: Path
) -> None:
    rows = ["filename,label,person"]
    (home.folder / "people").mkdir()
    for person in range(9):
        for index in range(4):
            name = f"{person}-{index}.png"
            write_image(home.folder / "people" / name, 20 * person + index)
            rows.append(f"{name},{'cat' if person < 4 else 'dog'},p{person}")
    file = home.folder / "people" / "people.csv"
    file.write_text("\n".join(rows))
    added = study(home, "data", "add", "people", "--from", file, "--group-column", "person")
    assert added.returncode == 0, added.stderr
    spec = tmp_path / "small.yaml"
    spec.write_text(yaml.safe_dump({**DIGITS, "dataset": "people", "validate": {"folds": 5}}))
    refused = study(home, "check", spec)
    assert refused.returncode == 2
    assert "5 folds need at least 5 groups of images of each class in train and validation" in refused.stderr
    assert "take at most 3 folds" in refused.stderr
    assert "Traceback" not in refused.stderr


def write_image(file: Path, gray: int) -> None:
    from PIL import Image

    Image.new("L", (8, 8), gray).save(file)


def test_check_tells_the_folds(home: Home, study: Study, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump({**DIGITS, "validate": {"folds": 5}}))
    keep_speed(plan(home, validate={"folds": 5}))
    text = " ".join(study(home, "check", file).stdout.split())
    assert "each trial trains 5 networks, validated on 5 folds of 287 to 288 images" in text
