"""`study audit`: a version by subgroup of what its dataset keeps; in the card, and in promotion."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Study
from fresh_homes import FreshHomes
from PIL import Image
from registering_tiny import Registry, trained

from study.connections.mlflow_client import connect
from study.errors import SpecError
from study.home import Home
from study.planning.plan import plan_study
from study.registry.promotion import promote
from study.registry.version_files import fetch
from study.registry.version_layout import MODEL_CARD_FILE
from study.registry.versions import find_version
from study.study_file.promotion_rules import PromotionRules, SubgroupGap
from study.study_file.study_spec import StudySpec
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import kept_of_test, openings
from trainables.inference.classifier import Classifier

RULES = PromotionRules(
    max_recall_loss=None,
    minimum_gain=-1.0,
    confidence=0.95,
    max_subgroup_gap=SubgroupGap(column="sex", gap=0.1),
)


@pytest.fixture(scope="session")
def listing(digits_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of digits, with a sex and an age for each."""
    folder, rows = tmp_path_factory.mktemp("people"), ["filename,label,sex,age"]
    train = Dataset.open(digits_home.datasets / "digits").train
    for number, label in enumerate(train.labels[:800].tolist()):
        Image.fromarray(train.pixels(number)[..., 0]).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{label},{'fm'[number % 2]},{20 + number % 60}")
    (folder / "people.csv").write_text("\n".join(rows))
    return folder / "people.csv"


@pytest.fixture(scope="session")
def of_people(
    fresh_homes: FreshHomes, listing: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Home, Classifier]:
    """A home with the dataset `people`, which keeps both columns, and a classifier of it."""
    home = fresh_homes.make(tmp_path_factory.mktemp("people") / "home")
    options = AddOptions(keep_columns=("sex", "age"), test_fraction=0.3)
    add_dataset(home.datasets, "people", listing, options)
    return home, trained(home, epochs=3, name="people")


@pytest.fixture
def registry(of_people: tuple[Home, Classifier], fresh_homes: FreshHomes, tmp_path: Path) -> Registry:
    """An empty registry beside the dataset."""
    home = fresh_homes.make(tmp_path / "home")
    home.datasets.mkdir(exist_ok=True)
    (home.datasets / "people").symlink_to(of_people[0].datasets / "people")
    return Registry(home, connect(home.tracking_uri))


def said(home: Home, share_of_men: float, share_of_women: float) -> np.ndarray:
    """Made-up probabilities that are right for these shares of each."""
    from trainables.datasets.sealed_test import open_test_split

    labels_N = open_test_split(home.datasets / "people", opened_by="the test")[0].labels
    is_man_N = np.array(kept_of_test(home.datasets / "people")["sex"]) == "m"
    share_N = np.where(is_man_N, share_of_men, share_of_women)
    is_right_N = np.random.default_rng(0).permutation(len(labels_N)) / len(labels_N) < share_N
    predicted_N = np.where(is_right_N, labels_N, (labels_N + 1) % 10)
    return np.where(np.eye(10)[predicted_N] > 0, 0.91, 0.01).astype(np.float32)


def kept(home: Home) -> dict[str, object]:
    """As measuring puts it into the evidence."""
    from study.evaluation.test_evidence import kept_values

    return kept_values(home.datasets / "people")


def test_an_audit_in_the_terminal_and_in_the_card(
    study: Study, registry: Registry, of_people: tuple[Home, Classifier]
) -> None:
    home = registry.home
    registry.add(of_people[1], probabilities_NK=said(home, 0.95, 0.6), **kept(home))
    num_openings = len(openings(home.datasets / "people"))
    done = study(home, "audit", "people", "--by", "sex")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 130
    words = " ".join(done.stdout.split())
    assert "Largest gap of the accuracy: 0." in words
    assert "highest for m, lowest for f, beyond chance (p = 0.0005)" in words
    tree = json.loads(study(home, "audit", "people/1", "--by", "age", "--edges", "30,60", "--json").stdout)
    assert tree["version"] == "people/1"
    assert [one["name"] for one in tree["subgroups"]] == ["below 30", "30 to below 60", "60 or more"]
    assert all(one["accuracy"]["low"] <= one["accuracy"]["value"] for one in tree["subgroups"])
    assert len(openings(home.datasets / "people")) == num_openings, "nothing is looked at again"
    files = fetch(registry.client, home, find_version(registry.client, "people"), MODEL_CARD_FILE)
    card = files.read_text()
    assert "### By sex\n\n| sex | images | accuracy | calibration error | worst recall |" in card
    assert "### By age" not in card, "it has more values than subgroups"
    assert card.index("### By sex") < card.index("## Limits")


def test_a_column_that_is_kept_later_serves_earlier_versions(
    study: Study, fresh_homes: FreshHomes, listing: Path, tmp_path: Path, of_people: tuple[Home, Classifier]
) -> None:
    home = fresh_homes.make(tmp_path / "home")
    add_dataset(home.datasets, "people", listing, AddOptions(test_fraction=0.3))
    registry = Registry(home, connect(home.tracking_uri))
    registry.add(of_people[1])
    refused = study(home, "audit", "people", "--by", "sex")
    assert refused.returncode == 2
    assert "the dataset 'people' keeps no column 'sex'; it keeps none; add it again" in refused.stderr
    options = AddOptions(test_fraction=0.3, keep_columns=("sex",), replace=True)
    add_dataset(home.datasets, "people", listing, options)
    assert study(home, "audit", "people", "--by", "sex").returncode == 0
    unknown = study(home, "audit", "people", "--by", "sexx")
    assert "it keeps sex; did you mean 'sex'?" in unknown.stderr


def test_a_gap_beyond_chance_is_refused_also_of_the_first_champion(
    registry: Registry, of_people: tuple[Home, Classifier]
) -> None:
    home, classifier = registry.home, of_people[1]
    for men, women in ((0.95, 0.6), (0.9, 0.88), (0.97, 0.65)):
        registry.add(classifier, probabilities_NK=said(home, men, women), rules=RULES, **kept(home))
    refused = promote(home, "people", 1)
    assert refused.decision.kind == "refused"
    assert "more than 0.1 (max_subgroup_gap)" in refused.decision.evidence[-1]
    assert "for sex f and" in refused.decision.evidence[-1]
    assert promote(home, "people", 2).decision.kind == "promoted"
    outcome = promote(home, "people", 3)
    assert outcome.decision.kind == "refused"
    assert outcome.comparison is not None
    assert ["(max_subgroup_gap)" in fault for fault in outcome.comparison.faults] == [True]
    assert promote(home, "people", 3, force=True, reason="a test").decision.forced


def test_a_gap_that_chance_explains_is_told_and_not_counted(
    registry: Registry, of_people: tuple[Home, Classifier]
) -> None:
    home = registry.home
    strict = RULES.model_copy(update={"max_subgroup_gap": SubgroupGap(column="sex", gap=0.0)})
    registry.add(of_people[1], probabilities_NK=said(home, 0.9, 0.88), rules=strict, **kept(home))
    outcome = promote(home, "people")
    assert outcome.decision.kind == "promoted"
    assert "not beyond what chance explains" in outcome.decision.evidence[-1]


def test_a_column_that_nothing_keeps_is_a_fault(
    registry: Registry, of_people: tuple[Home, Classifier]
) -> None:
    rules = RULES.model_copy(update={"max_subgroup_gap": SubgroupGap(column="height", gap=0.1)})
    registry.add(of_people[1], rules=rules)
    outcome = promote(registry.home, "people")
    assert outcome.decision.kind == "refused"
    assert "subgroups cannot be compared (max_subgroup_gap)" in outcome.decision.evidence[-1]


def test_a_study_file_names_a_column_that_the_dataset_keeps(
    of_people: tuple[Home, Classifier], tmp_path: Path
) -> None:
    home, file = of_people[0], tmp_path / "study.yaml"
    text = (
        "study: s\ndataset: people\nsearch_space: from_scratch\n"
        "promotion: {max_subgroup_gap: {column: %s, gap: 0.1}}\n"
    )
    file.write_text(text % "sex")
    spec = StudySpec.read(file)
    assert plan_study(spec, home).spec.promotion.max_subgroup_gap == SubgroupGap(column="sex", gap=0.1)
    file.write_text(text % "sexx")
    with pytest.raises(SpecError, match="keeps sex, age; did you mean 'sex'"):
        plan_study(StudySpec.read(file), home)


@pytest.mark.parametrize("edges", ["x", "40,18"])
def test_edges_that_are_none(
    study: Study, registry: Registry, of_people: tuple[Home, Classifier], edges: str
) -> None:
    registry.add(of_people[1])
    done = study(registry.home, "audit", "people", "--by", "age", "--edges", edges)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--edges must" in done.stderr
