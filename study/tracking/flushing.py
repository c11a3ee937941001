"""Waiting until MLflow has all that a study logged: the driver's business, never a trial's."""

import time
from collections.abc import Callable
from pathlib import Path

from study.connections.database_url import masked
from study.connections.mlflow_client import check_reachable
from study.errors import TrackingError
from study.home import Home
from study.tracking.delivery import Delivery
from study.tracking.outbox import Outbox
from study.tracking.run_log import logs_in

OUTBOX_FOLDER = "outbox"
"""Inside the study's folder: what MLflow does not have yet."""
PATIENCE_SECONDS = 120.0
"""How long MLflow may accept nothing before the driver gives up; the rest then waits on disk."""
SECONDS_BETWEEN_MESSAGES = 15.0
SILENT_SECONDS = 3.0


def catch_up(
    outbox: Outbox,
    tracking_uri: str,
    study_folder: Path,
    say: Callable[[str], object],
    patience_seconds: float,
) -> None:
    """Returns once the outbox is empty; raises TrackingError if MLflow accepts nothing for
    `patience_seconds`.
    """
    started = time.monotonic()
    moved, said, num_sent = started, started - SECONDS_BETWEEN_MESSAGES + SILENT_SECONDS, outbox.num_sent
    while not outbox.drain(min(1.0, max(patience_seconds, 0.1))):
        now = time.monotonic()
        if outbox.num_sent > num_sent:
            moved, num_sent = now, outbox.num_sent
        if now - moved >= patience_seconds:
            raise TrackingError(
                f"MLflow at {masked(tracking_uri)} does not have {_waiting(study_folder)} of study "
                f"{study_folder.name!r} "
                f"({outbox.trouble or 'it does not answer'}); nothing is lost: they are kept in "
                f"{study_folder / OUTBOX_FOLDER}, and once "
                f"MLflow works again, study resume {study_folder.name} sends them"
            )
        if now - said >= SECONDS_BETWEEN_MESSAGES and _num_waiting(study_folder):
            said = now
            say(
                f"waiting for MLflow to take {_waiting(study_folder)}"
                + (f": {outbox.trouble}" if outbox.trouble else "")
            )


def send_leftovers(home: Home, study_folder: Path, say: Callable[[str], object]) -> None:
    """Sends what MLflow lacks of a study that has ended. Raises TrackingError."""
    logs = [log for log in logs_in(study_folder / OUTBOX_FOLDER) if log.exists]
    if not logs:
        return
    check_reachable(home.tracking_uri)
    say(f"sending {_waiting(study_folder)} to MLflow")
    outbox = Outbox(home.tracking_uri).start()
    for log in logs:
        outbox.leave(outbox.hold(log), delete)
    try:
        catch_up(outbox, home.tracking_uri, study_folder, say, PATIENCE_SECONDS)
    finally:
        outbox.close()
    remove_if_empty(study_folder)


def remove_if_empty(study_folder: Path) -> None:
    """Removes the outbox folder if it is empty."""
    try:
        (study_folder / OUTBOX_FOLDER).rmdir()
    except OSError:
        return


def delete(delivery: Delivery) -> bool:
    """For `Outbox.leave`: nothing of a log stays once MLflow has all of it."""
    delivery.log.delete()
    delivery.log.forget()
    return True


def _waiting(study_folder: Path) -> str:
    num = _num_waiting(study_folder)
    return f"{num:,} record{'' if num == 1 else 's'}"


def _num_waiting(study_folder: Path) -> int:
    return sum(log.num_waiting for log in logs_in(study_folder / OUTBOX_FOLDER))
