"""The address of a database that holds a study's state."""

import importlib.util
import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from study.errors import SpecError, StudyError
from trainables.printable import quoted

TIMEOUT_SECONDS = 2.0
OWN_TABLE = "studies"
"""Every database of Optuna has this table."""
_SERVERS = {"postgresql": (5432, "psycopg"), "mysql": (3306, "MySQLdb")}
"""By kind of database: the usual port, and SQLAlchemy's driver where the URL names none."""
_PACKAGES = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
"""The package that brings a driver, where it has another name."""
_IN_ADDRESS = re.compile(r"(://[^:/@]*):.*@")
_IN_QUERY = re.compile(r"([?&]\w*password=)[^&]*")


def check_form(url: str) -> None:
    """Raises SpecError unless `url` names a database that outlives the process; hides passwords."""
    kind = _kind(url) if _is_url(url) else ""
    if kind not in ("sqlite", *_SERVERS):
        raise SpecError(
            "search_storage takes a database URL, sqlite:///FILE, postgresql://… or mysql://…; got "
            f"{quoted(masked(url))}"
        )
    if kind == "sqlite" and (not urlsplit(url).path.strip("/") or ":memory:" in url):
        raise SpecError(
            f"search_storage {masked(url)!r} names no file, so nothing would outlive the process; write "
            "sqlite:///FILE"
        )


def check_answers(url: str) -> None:
    """Raises StudyError if no study can be kept at `url`; takes seconds at most and changes nothing."""
    kind = _kind(url)
    if kind == "sqlite":
        _check_file(url)
        return
    way_out = install_driver(url)
    if way_out is not None:
        raise StudyError(f"search_storage {masked(url)!r} needs {way_out}")
    parts, port = urlsplit(url), _SERVERS[kind][0]
    try:
        socket.create_connection((parts.hostname or "localhost", parts.port or port), TIMEOUT_SECONDS).close()
    except OSError as error:
        raise StudyError(no_answer(url, error)) from None


def is_same_database(one: str, other: str) -> bool:
    """Whether two URLs name one database."""
    if _kind(one) != _kind(other):
        return False
    if _kind(one) == "sqlite":
        return _file(one).resolve() == _file(other).resolve()
    return _kind(one) in _SERVERS and _place(one) == _place(other)


def install_driver(url: str) -> str | None:
    """What a person must do to have the driver of a database server; None where it is there."""
    driver = urlsplit(url).scheme.partition("+")[2] or _SERVERS[_kind(url)][1]
    if importlib.util.find_spec(driver) is not None:
        return None
    return (
        f"the Python package of {driver!r}, which is not here: uv pip install {_PACKAGES.get(driver, driver)}"
    )


def no_answer(url: str, reason: object) -> str:
    """What a person reads when the database is not there."""
    return f"search_storage {masked(url)!r} does not answer ({reason}); start it, or correct search_storage"


def masked(url: str) -> str:
    """The URL with stars for its password."""
    return _IN_QUERY.sub(r"\1***", _IN_ADDRESS.sub(r"\1:***@", url))


def without_password(url: str) -> str:
    """The URL as it may be written anywhere."""
    return _IN_QUERY.sub(r"\1", _IN_ADDRESS.sub(r"\1@", url))


def absolute(url: str) -> str:
    """The URL with a SQLite file's whole path, so that it means the same from every folder."""
    if _kind(url) != "sqlite":
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}:///{Path(rest.removeprefix('/')).absolute()}"


def _place(url: str) -> tuple[str, int, str]:
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or _SERVERS[_kind(url)][0], parts.path


def _file(url: str) -> Path:
    return Path(urlsplit(absolute(url)).path[1:])


def _check_file(url: str) -> None:
    file = _file(url)
    if not file.parent.is_dir():
        raise StudyError(
            f"search_storage {masked(url)!r} cannot be made: {file.parent} is not a folder; make it, or name "
            "another file"
        )
    try:
        tables = _tables(file)
    except sqlite3.Error as error:
        raise StudyError(
            f"search_storage {masked(url)!r} must be a database of SQLite, and is not ({error}); name a file "
            "that is not there yet"
        ) from None
    if tables and OWN_TABLE not in tables:
        raise StudyError(
            f"search_storage {masked(url)!r} holds other tables ({', '.join(sorted(tables)[:3])}, …); name a "
            "file of its own"
        )


def _tables(file: Path) -> set[str]:
    """The names of a database's tables; none where there is no file yet."""
    if not file.exists():
        return set()
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=TIMEOUT_SECONDS)) as found:
        return {name for (name,) in found.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _is_url(url: str) -> bool:
    try:
        _ = urlsplit(url).port
    except ValueError:  # brackets without an end, a port that is no number
        return False
    return "://" in url


def _kind(url: str) -> str:
    return urlsplit(url).scheme.split("+")[0]
