"""The process of a job on the cluster's head: a study's driver, one that adds a dataset, one command that
somebody sent, or the desk.

python -m study.cli.job run study.yaml --priority 5
python -m study.cli.job resume NAME
python -m study.cli.job add dataset.json
python -m study.cli.job command list --json
python -m study.cli.job desk NAME
"""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cluster.connection import connected
from study.errors import StopRequestedError
from study.remote.remote_option import ADDRESS_VARIABLE
from study.remote.replies import Begun, Finished, Refused, print_reply
from study.user import check_owner, current_user


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
    resume.add_argument("--yes", action="store_true")
    kinds.add_parser("add").add_argument("request", type=Path)
    kinds.add_parser("command").add_argument("words", nargs=argparse.REMAINDER)
    kinds.add_parser("desk").add_argument("name")
    arguments = parser.parse_args()
    os.environ.pop(ADDRESS_VARIABLE, None)  # this is the cluster that it may name
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        # Ray hides the head's GPUs, if it has some, from a job that states its memory.
        del os.environ["CUDA_VISIBLE_DEVICES"]
    if arguments.kind == "command":
        _refusing(lambda: _print_answer(arguments.words))
    elif arguments.kind == "desk":
        _serve_desk(arguments.name)
    elif arguments.kind == "add":
        _refusing(lambda: _add(arguments.request))
    elif arguments.kind == "run":
        _refusing(lambda: _drive(lambda: _run(arguments.spec, arguments.priority)))
    else:
        _refusing(lambda: _drive(lambda: _resume(arguments.name, yes=arguments.yes)))


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


def _print_answer(words: list[str]) -> None:
    from study.cli.desk_server import answer

    print_reply(answer(words))


def _serve_desk(name: str) -> None:
    from study.cli.desk_server import serve

    with suppress(KeyboardInterrupt):
        serve(name)


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
    begun = Begun(home=str(home.folder), user=current_user(), priority=priority)
    print_result(run_study(spec, home=home, priority=priority, on_begin=lambda: print_reply(begun)))


def _resume(name: str, *, yes: bool) -> None:
    from study.cli.reports.study_tables import print_result
    from study.driver.running import resume_study
    from study.remote.preflight import check_before_start, check_home
    from study.results.study_result import find_study

    found = find_study(check_home(), name)
    check_owner(name, found.user, is_meant=yes)
    if found.has_ended:
        print_reply(Finished())
    home = check_before_start(found.spec, is_new=False)
    begun = Begun(home=str(home.folder), user=found.user, priority=found.priority)
    print_result(resume_study(name, home=home, on_begin=lambda: print_reply(begun)))


def _add(file: Path) -> None:
    from study.cli.reports.dataset_tables import print_added, print_published
    from study.driver.cluster_adding import add_on_cluster
    from study.driver.progress import Progress
    from study.remote.dataset_jobs import AddRequest
    from study.remote.preflight import check_home
    from trainables.datasets.staging import has_begun

    request, home = AddRequest.from_bytes(file.read_bytes()), check_home()
    begun = Begun(home=str(home.folder), user=current_user(), priority=0)
    try:
        with connected():
            added = add_on_cluster(request, home, Progress().say, on_begin=lambda: print_reply(begun))
    except KeyboardInterrupt:
        stays = has_begun(home.datasets, request.name)
        print("stopped; " + ("the same command goes on where this one was" if stays else "nothing is left"))
        sys.exit(1)
    print_added(added.manifest, home.datasets / request.name)
    if added.address is not None:
        print_published(added.address)


if __name__ == "__main__":
    main()
