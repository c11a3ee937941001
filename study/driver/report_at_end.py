"""The report that a study makes of itself once it has ended; a study is never worth less for lack of it."""

from collections.abc import Callable
from dataclasses import replace

from cluster.connection import is_shared
from study.connections.mlflow_client import connect
from study.driver.own_process import in_own_process
from study.home import Home
from study.names import trial_name
from study.results.study_result import StudyResult, find_study
from study.safe_console import literal
from study.search.record.trial import Trial


def report_at_end(home: Home, name: str, say: Callable[[str], object]) -> None:
    """Makes the report of a study that has just ended, on a cluster in a process that ends with it.

    Whatever fails is told in one line, and nothing is raised.
    """
    try:
        if is_shared():
            in_own_process("study.driver.report_at_end:make_report", home, name, say=say)
        else:
            make_report(home, name, say=say)
    except Exception as error:  # noqa: BLE001  the study has its result, whatever a picture does
        why = next(iter(str(error).splitlines()), "") or type(error).__name__
        say(
            literal(
                f"the report could not be made ({why}); nothing else is affected; try: study report {name}"
            )
        )


def make_report(home: Home, name: str, *, say: Callable[[str], object]) -> None:
    """Writes the report of an ended study into its folder, and adds it with the summary to its run in
    MLflow.
    """
    from study.analysis.summary import summary
    from study.report.report_file import REPORT_FILE, write_report
    from study.tracking.report_logging import log_report

    result = replace(find_study(home, name), driver=None)  # this process, which has nothing left to do
    file = result.folder / REPORT_FILE
    write_report(result, home, file)
    say(literal(f"report: {file}"))
    if result.run_id is not None:
        client, best = connect(home.tracking_uri), _winner(result)
        runs = {} if best is None or best.run_id is None else {trial_name(best.number): best.run_id}
        log_report(client, result.run_id, file, summary(result), runs, _models(result))


def _winner(result: StudyResult) -> Trial | None:
    return result.best if result.final is None else result.trials[result.final.trial]


def _models(result: StudyResult) -> dict[str, tuple[str, int]]:
    """The registered versions, by the text of their link."""
    candidates = () if result.final is None else result.final.candidates
    return {f"{one.model} version {one.version} ({one.kind})": (one.model, one.version) for one in candidates}
