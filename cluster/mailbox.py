"""Letters to a job that lives long: requests and answers pass through the dashboard, so no port is opened for
them.

Who sends puts a letter into Ray's key-value store, by the request that uploads a package; the job on the head
takes it from there, and writes its answer as a file among Ray's logs, which the dashboard hands out. The
dashboard asks for its token on both ways, as it does of whoever submits a job.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "mailboxes"
"""Of answers, in Ray's folder of logs."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A request that waits for its answer."""

    id: str
    content: bytes
    answer: Path
    """Where the answer goes; see `write_answer`."""


def package_name(mailbox: str, letter: str) -> str:
    """The package, and with it the key, as which a letter travels."""
    return f"{mailbox}-{letter}.zip"  # a name of another kind is no package to Ray


def answer_file(mailbox: str, letter: str) -> str:
    """The path of a letter's answer in Ray's folder of logs."""
    return f"{FOLDER}/{mailbox}/{letter}.txt"


class Mailbox:
    """The side of the job, which is connected to Ray; not for several threads."""

    def __init__(self, name: str) -> None:
        """Makes the folder of answers, which nobody but the owner of Ray's processes can read."""
        import ray

        node: Any = ray._private.worker._global_node  # noqa: SLF001  there is no public name for the folder
        self._name = name
        self._folder = Path(node.get_logs_dir_path()) / FOLDER / name
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self) -> Iterator[Letter]:
        """The letters that came since, each once."""
        from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_list

        prefix = f"gcs://{self._name}-"
        for key in _internal_kv_list(prefix):
            content = _internal_kv_get(key)
            _internal_kv_del(key)
            if content is not None:
                letter = key.decode().removeprefix(prefix).removesuffix(".zip")
                yield Letter(id=letter, content=content, answer=self._folder / f"{letter}.txt")

    def forget(self, letter: Letter) -> None:
        """Deletes a letter's answer, if there is one."""
        letter.answer.unlink(missing_ok=True)


def write_answer(path: Path, content: bytes) -> None:
    """Writes an answer, which is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.rename(path)
