"""Arrow files that have their whole length from the beginning, with a hole where a large column comes to
lie; they take no more of the disk than what is written into it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa


def reserve(path: Path, num_bytes: int, batch_around: Callable[[Any], Any]) -> None:
    """Writes a file of one record batch with a hole of `num_bytes`; `batch_around` makes the batch of a
    buffer that stands for the hole, and that one of its columns has as its content.
    """
    hole_file = path.with_name(f"{path.name}.hole")
    with hole_file.open("wb") as file:
        file.truncate(num_bytes)
    try:
        with pa.memory_map(str(hole_file)) as mapped:
            hole = mapped.read_buffer()
            batch = batch_around(hole)
            with path.open("wb") as file:
                sink = pa.PythonFile(_LeavingOut(file, hole), "w")
                with pa.ipc.new_file(sink, batch.schema) as writer:
                    writer.write_batch(batch)
    finally:
        hole_file.unlink()


def content_offset(path: Path, column: str) -> int:
    """Where the content of a column of binary values begins in a file of one record batch."""
    with pa.memory_map(str(path)) as mapped:
        whole = mapped.read_buffer()
        content = pa.ipc.open_file(whole).get_batch(0).column(column).buffers()[-1]
        return int(content.address - whole.address)


def fixed_size_binary(buffer: Any, num_rows: int) -> Any:
    """A column of `num_rows` values of one length, which lie one after another in the buffer."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(buffer.size // num_rows), num_rows, [None, buffer])


class _LeavingOut:
    """A file that is written but for one buffer, whose place stays empty."""

    closed = False

    def __init__(self, file: BinaryIO, left_out: Any) -> None:
        self._file = file
        self._left_out = left_out

    def write(self, content: Any) -> int:
        buffer = pa.py_buffer(content)
        if buffer.address == self._left_out.address:
            self._file.seek(buffer.size, 1)
        else:
            self._file.write(content)
        return int(buffer.size)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.flush()

    def flush(self) -> None:
        self._file.flush()
