"""Who is answered: requests with the token, and none that a stranger's page sends."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from registering_tiny import Registry
from running_server import PNG, Running, running

from study.errors import SpecError
from study.serving.access import is_loopback, read_token

TOKEN = "0123456789abcdef0123"


@pytest.fixture(scope="module")
def guarded(registered: Registry) -> Iterator[Running]:
    with running(registered.home, token=TOKEN) as found:
        yield found


def test_a_token_is_asked_for(guarded: Running, digits: list[bytes]) -> None:
    for headers in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": f"Basic {TOKEN}"}):
        reply = guarded.post("/predict", digits[0], {**PNG, **headers})
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert guarded.get("/metrics", headers).status == 401
    for scheme in ("Bearer", "bearer"):
        reply = guarded.post("/predict", digits[0], {**PNG, "Authorization": f"{scheme} {TOKEN}"})
        assert reply.status == 200
    named = {**PNG, "Authorization": f"Bearer {TOKEN}", "Host": "models.example"}
    assert guarded.post("/predict", digits[0], named).status == 200


@pytest.mark.parametrize("path", ["/live", "/ready", "/ping"])
def test_health_needs_no_token(guarded: Running, path: str) -> None:
    assert guarded.get(path).status == 200


def test_a_strangers_page_is_not_answered(registered: Registry, digits: list[bytes]) -> None:
    with running(registered.home) as served:
        assert served.post("/predict", digits[0], {**PNG, "Host": "evil.example"}).status == 403
        assert served.post("/predict", digits[0], {**PNG, "Origin": "http://evil.example"}).status == 403
        assert served.post("/predict", digits[0], {**PNG, "Origin": "null"}).status == 403
        for host in ("localhost", f"127.0.0.1:{served.port}", "[::1]:80"):
            assert served.post("/predict", digits[0], {**PNG, "Host": host}).status == 200
        own = {**PNG, "Origin": served.address}
        assert served.post("/predict", digits[0], own).status == 200


@pytest.mark.parametrize("content", ["", "short", "with a space in it, long", "ü" * 40])
def test_a_token_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match="at least 16 printable"):
        read_token(file)
    with pytest.raises(SpecError, match="cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("machine", False),
        ("::", False),
    ],
)
def test_loopback_is_told_from_other_addresses(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own
