"""Sending one log to MLflow, record by record, each once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from study import names
from study.tracking.log_records import (
    DatasetUsed,
    Described,
    Ended,
    LogRecord,
    Measured,
    Opened,
    Pictures,
    Text,
)
from study.tracking.run_log import RunLog, Sent

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_METRICS_IN_A_CALL = 1000


class UnopenedError(LookupError):
    """A log without its run: a lost process appended to it after everything was sent and deleted."""


class Delivery:
    """The delivery of one log to MLflow, by the process that holds its lock.

    A record counts as sent once MLflow has answered. One whose answer was lost is sent again, which changes
    nothing: a run is looked for by its tags before it is made, metrics carry the time at which they were
    measured, the rest is overwritten by its equal. Epochs that a trial trained or logged twice are sent once.
    """

    def __init__(self, log: RunLog, *, may_exist: bool) -> None:
        """`may_exist` says that another process may have made the run and died before the answer."""
        self.log = log
        self._may_exist = may_exist
        self._sent = Sent()
        self._steps: set[int] = set()
        """Epochs that MLflow has."""
        self._is_one_by_one = False
        self._next: tuple[list[LogRecord | None], int] = ([], 0)
        """Records for one call, and the byte after them."""
        self.may_gather = False
        """Whether what was taken is all that waits, and epochs alone: later ones would fit into the call."""

    @property
    def is_opening(self) -> bool:
        """Whether the next records open the run, without which the rest would be lost."""
        return isinstance(next(iter(self._next[0]), None), Opened)

    def begin(self) -> None:
        """Reads how far the log was sent; to be called once the lock is held."""
        self._sent = self.log.sent
        sent = (record for record, end in self.log.read() if end <= self._sent.offset)
        self._steps = {record.step for record in sent if isinstance(record, Measured)}

    @property
    def run_id(self) -> str | None:
        """Known once MLflow has answered."""
        return self._sent.run_id

    def take(self) -> bool:
        """Reads what one call can send; False if all is sent."""
        lines = self.log.read(self._sent.offset)
        taken = lines[: 1 if self._is_one_by_one else _num_in_a_call([record for record, _ in lines])]
        self._next = ([record for record, _ in taken], taken[-1][1] if taken else self._sent.offset)
        self.may_gather = len(taken) == len(lines) and all(isinstance(one, Measured) for one, _ in taken)
        return bool(taken)

    def send(self, client: "MlflowClient") -> None:
        """Sends what was taken. What MLflow raises is raised; then nothing counts as sent."""
        records, end = self._next
        run_id = self.run_id
        if run_id is None and not isinstance(records[0], Opened):
            raise UnopenedError(f"there is no run for {self.log.name}")
        try:
            if isinstance(records[0], Measured):
                self._send_epochs(client, [record for record in records if isinstance(record, Measured)])
            elif records[0] is not None:
                run_id = self._send_one(client, records[0])
        except Exception:
            self._may_exist = True
            raise
        self._count(end, run_id, records[0])

    def drop(self) -> bool:
        """Gives up what was taken, which MLflow rejected; False for several epochs, which are then tried one
        by one.
        """
        records, end = self._next
        if len(records) > 1:
            self._is_one_by_one = True
            return False
        self._count(end, self.run_id)
        return True

    def _count(self, offset: int, run_id: str | None, record: LogRecord | None = None) -> None:
        tags = (
            {key: record.tags[key] for key in record.key} if isinstance(record, Opened) else self._sent.tags
        )
        self._sent = Sent(offset=offset, run_id=run_id, tags=tags)
        self.log.mark(self._sent)

    def _send_one(self, client: "MlflowClient", record: LogRecord) -> str | None:
        run_id = self.run_id
        if isinstance(record, Opened):
            return self._open(client, record)
        assert run_id is not None, "only an opened run is described"
        match record:
            case Described():
                _log_batch(client, run_id, record)
            case DatasetUsed():
                _log_dataset(client, run_id, record)
            case Text():
                client.log_text(run_id, record.content, record.path)
            case Pictures():
                from study.tracking.figure_logging import log_pictures

                log_pictures(client, run_id, self.log, record)
            case Ended():
                _log_batch(client, run_id, Described(tags=record.tags))
                client.set_terminated(run_id, record.status, record.milliseconds)
        return run_id

    def _open(self, client: "MlflowClient", opened: Opened) -> str:
        run_id = self.run_id
        if run_id is None and (opened.may_exist or self._may_exist):
            run_id = _find_run(client, opened)
            if run_id is not None:
                self._steps |= {metric.step for metric in client.get_metric_history(run_id, names.TRAIN_LOSS)}
        if run_id is None:
            created = client.create_run(
                opened.experiment_id,
                start_time=opened.milliseconds,
                tags=dict(opened.tags),
                run_name=opened.name,
            )
            return str(created.info.run_id)
        client.update_run(run_id, status="RUNNING")
        return run_id

    def _send_epochs(self, client: "MlflowClient", epochs: Sequence[Measured]) -> None:
        from mlflow.entities import Metric

        new = {epoch.step: epoch for epoch in reversed(epochs) if epoch.step not in self._steps}
        metrics = [
            Metric(key, value, epoch.milliseconds, epoch.step)
            for epoch in sorted(new.values(), key=lambda epoch: epoch.step)
            for key, value in epoch.metrics.items()
        ]
        if metrics:
            assert self.run_id is not None, "only an opened run has epochs"
            client.log_batch(self.run_id, metrics=metrics)
        self._steps |= set(new)


def _num_in_a_call(records: Sequence[LogRecord | None]) -> int:
    """How many of the first records one call takes: one, or as many epochs as follow each other."""
    num_epochs = num_metrics = 0
    for record in records:
        if (
            not isinstance(record, Measured)
            or (num_metrics := num_metrics + len(record.metrics)) > MAX_METRICS_IN_A_CALL
        ):
            break
        num_epochs += 1
    return max(num_epochs, 1)


def _find_run(client: "MlflowClient", opened: Opened) -> str | None:
    query = " and ".join(f"tags.`{key}` = '{opened.tags[key]}'" for key in opened.key)
    found = client.search_runs([opened.experiment_id], query, max_results=1)
    return str(found[0].info.run_id) if found else None


def _log_batch(client: "MlflowClient", run_id: str, described: Described) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client.log_batch(
        run_id,
        metrics=[Metric(key, value, described.milliseconds, 0) for key, value in described.metrics.items()],
        params=[Param(key, value) for key, value in described.params.items()],
        tags=[RunTag(key, value) for key, value in described.tags.items()],
    )


def _log_dataset(client: "MlflowClient", run_id: str, used: DatasetUsed) -> None:
    from mlflow.entities import Dataset, DatasetInput

    dataset = Dataset(
        name=used.name, digest=used.digest, source_type="study", source=used.source, profile=used.profile
    )
    client.log_inputs(run_id, [DatasetInput(dataset)])
