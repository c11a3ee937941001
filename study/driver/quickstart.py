"""The quickstart: the main job on digits that scikit-learn carries, without a download."""

from itertools import count

from study.driver.progress import Progress
from study.driver.running import run_study
from study.home import Home
from study.results.study_result import StudyResult
from study.study_file.study_spec import StudySpec
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

DATASET = "digits"
SPEC = {
    "dataset": DATASET,
    "search_space": "digits",
    "objective": {"metric": "macro_f1"},
    "budget": {"trials": 12, "epochs": 20},
    "early_stopping": {"rule": "asha", "first_rung": 0.15},
}


def run_quickstart(home: Home | None = None, progress: Progress | None = None) -> StudyResult:
    """Adds the digits if they are not there, and runs a study under the first free name: quickstart,
    quickstart-2, ...
    """
    home = home or Home.current()
    progress = progress or Progress()
    if not (home.datasets / DATASET).exists():
        progress.say("adding the dataset digits: 1,797 handwritten digits of 8x8 pixels from scikit-learn")
        add_dataset(
            home.datasets,
            DATASET,
            None,
            AddOptions(licence="CC BY 4.0 (UCI, Optical Recognition of Handwritten Digits)"),
        )
    name = next(
        name
        for number in count(1)
        if not (home.studies / (name := "quickstart" if number == 1 else f"quickstart-{number}")).exists()
    )
    return run_study(StudySpec.parse({"study": name, **SPEC}), home=home, progress=progress)
