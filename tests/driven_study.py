"""A study that a test drives by hand: its record grows as the test says."""

from contextlib import ExitStack

from study.driver.running import _start
from study.home import Home
from study.live.events import Event, EventLog
from study.planning.plan import plan_study
from study.search.record.driver_lock import driving
from study.search.record.trial import EpochReport
from study.study_file.study_spec import StudySpec

SPEC = {
    "study": "seen",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 6, "epochs": 9},
}


class DrivenStudy:
    """The study `seen`, whose first trial runs; this process is its driver until `end`."""

    def __init__(self, home: Home) -> None:
        plan = plan_study(StudySpec.parse(SPEC), home)
        self.record = _start(plan, 0)
        self.folder = plan.folder
        self.record.ask(plan.space, 0)
        self._held = ExitStack()
        self._held.enter_context(driving(self.folder)).note("running")

    def report(self, epoch: int, value: float) -> None:
        """The trial trains an epoch."""
        self.record.report(0, EpochReport(epoch=epoch, value=value, metrics={}, seconds=2.0, run_id=None))

    def happens(self, text: str) -> None:
        """Something for whoever watches."""
        EventLog(self.folder).write(Event(kind="complete", text=text))

    def end(self) -> None:
        """This process drives it no more."""
        self._held.close()
