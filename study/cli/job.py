"""The process of a job on the cluster's head: a study's driver, or one command that somebody sent.

python -m study.cli.job run study.yaml --priority 5
python -m study.cli.job resume NAME
python -m study.cli.job command list --json
"""

import argparse
import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from cluster.connection import connected
from study.errors import StopRequestedError
from study.remote.remote_option import ADDRESS_VARIABLE
from study.remote.replies import Answer, Begun, Refused, print_reply


def main() -> None:
    """Runs what the command line says. A refusal is a reply, and exit code 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run")
    run.add_argument("spec", type=Path)
    run.add_argument("--priority", type=int, default=0)
    resume = kinds.add_parser("resume")
    resume.add_argument("name")
    kinds.add_parser("command").add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    os.environ.pop(ADDRESS_VARIABLE, None)  # this is the cluster that it may name
    if arguments.kind == "command":
        _refusing(lambda: _answer(arguments.words))
    elif arguments.kind == "run":
        _refusing(lambda: _drive(lambda: _run(arguments.spec, arguments.priority)))
    else:
        _refusing(lambda: _drive(lambda: _resume(arguments.name)))


def _refusing(work: Callable[[], None]) -> None:
    from study.cli.main import message_of

    try:
        work()
    except Exception as error:
        message = message_of(error)
        if message is None:
            raise
        print_reply(Refused(message=message))
        print(f"error: {message}")
        sys.exit(2)


def _answer(words: list[str]) -> None:
    from study.cli.main import main as study
    from study.remote.preflight import check_home

    check_home()
    sys.argv = ["study", *words]
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            study()
        except SystemExit as end:
            code = end.code or 0
    print_reply(
        Answer(stdout=out.getvalue(), stderr=err.getvalue(), code=code if isinstance(code, int) else 1)
    )


def _drive(study: Callable[[], None]) -> None:
    try:
        with connected():
            study()
        print("finished")
    except (KeyboardInterrupt, StopRequestedError):
        print("stopped; nothing measured is lost")


def _run(file: Path, priority: int) -> None:
    from study.cli.reports.study_tables import print_result
    from study.driver.running import run_study
    from study.remote.preflight import check_before_start
    from study.study_file.study_spec import StudySpec

    spec = StudySpec.read(file)
    home = check_before_start(spec, is_new=True)
    print_result(
        run_study(
            spec, home=home, priority=priority, on_begin=lambda: print_reply(Begun(home=str(home.folder)))
        )
    )


def _resume(name: str) -> None:
    from study.cli.reports.study_tables import print_result
    from study.driver.running import resume_study
    from study.remote.preflight import check_before_start, check_home
    from study.results.study_result import find_study

    spec = find_study(check_home(), name).spec
    home = check_before_start(spec, is_new=False)
    print_result(resume_study(name, home=home, on_begin=lambda: print_reply(Begun(home=str(home.folder)))))


if __name__ == "__main__":
    main()
