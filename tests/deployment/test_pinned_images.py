"""Images are pinned by the digests of their registries, all or none, and health is asked of what runs."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from deployment_files import FOLDER, ROOT, compose
from ports import free_port

from cluster.deployment.healthy import SERVERS, ailing
from cluster.deployment.pin_images import HUB, Image, digest_of, pin
from cluster.errors import ClusterError

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def registry() -> Iterator[str]:
    """A registry that asks for a token, as Docker's does, and has the image `team/base:1.0`."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            is_let_in = self.headers.get("Authorization") == "Bearer given"
            known = self.path == "/v2/team/base/manifests/1.0"
            self.send_response((200 if known else 404) if is_let_in else 401)
            if not is_let_in:
                here = f"http://{self.headers['Host']}/token"
                scope = "repository:team/base:pull"
                self.send_header("WWW-Authenticate", f'Bearer realm="{here}",service="s",scope="{scope}"')
            elif known:
                assert "image.index" in self.headers["Accept"]
                self.send_header("Docker-Content-Digest", DIGEST)
            self.end_headers()

        def do_GET(self) -> None:
            assert self.path == "/token?service=s&scope=repository%3Ateam%2Fbase%3Apull"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"token": "given"}')

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def files(tmp_path: Path, registry: str) -> Path:
    """The deployment files, whose images are all in that registry."""
    folder = tmp_path / "deployment"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".env", "__pycache__"))
    for file in (folder / "Dockerfile", *folder.rglob("*.yaml")):
        text = re.sub(
            r"(python|postgres|versity/versitygw):v?\d[\w.-]+", f"{registry}/team/base:1.0", file.read_text()
        )
        file.write_text(text)
    return folder


def test_each_public_image_gets_its_digest_and_ours_stays(files: Path, registry: str) -> None:
    assert list(pin(files)) == [(f"{registry}/team/base:1.0", DIGEST)]
    named = f"{registry}/team/base:1.0@{DIGEST}"
    assert (files / "Dockerfile").read_text().count(f"FROM {named}") == 2
    assert f"FROM {named} AS build" in (files / "Dockerfile").read_text()
    assert (files / "compose.yaml").read_text().count(f"image: {named}") == 2
    for name in ("postgres", "objects"):
        assert f"image: {named}" in (files / "kubernetes" / f"{name}.yaml").read_text()
    assert "image: study:0.1.0\n" in (files / "compose.yaml").read_text()
    before = (files / "compose.yaml").read_text()
    list(pin(files))
    assert (files / "compose.yaml").read_text() == before, "again changes nothing"


def test_where_one_digest_cannot_be_had_no_file_is_changed(files: Path, registry: str) -> None:
    text = (files / "compose.yaml").read_text().replace("team/base:1.0", "team/gone:1.0", 1)
    (files / "compose.yaml").write_text(text)
    with pytest.raises(ClusterError, match=f"team/gone:1.0 at {registry} cannot be had .*404"):
        list(pin(files))
    assert "@sha256" not in (files / "Dockerfile").read_text()


def test_names_are_read_as_docker_reads_them() -> None:
    assert Image.of("postgres:17") == Image(registry=HUB, repository="library/postgres", tag="17")
    assert Image.of("versity/versitygw:v1") == Image(registry=HUB, repository="versity/versitygw", tag="v1")
    assert Image.of("ghcr.io/a/b:c") == Image(registry="ghcr.io", repository="a/b", tag="c")
    assert Image.of("host:5000/a:1") == Image(registry="host:5000", repository="a", tag="1")


def test_a_registry_that_is_away_is_one_message() -> None:
    away = Image(registry=f"127.0.0.1:{free_port()}", repository="a", tag="1")
    with pytest.raises(ClusterError, match=r"the digest of a:1 at 127\.0\.0\.1:\d+ cannot be had"):
        digest_of(away)


def test_a_container_is_healthy_while_its_servers_answer(registry: str) -> None:
    there, away = (
        f"http://{registry}/token?service=s&scope=repository%3Ateam%2Fbase%3Apull",
        f"http://127.0.0.1:{free_port()}",
    )
    servers = {"gcs_server": there, "mlflow server": away}
    assert ailing(["gcs_server --port 6379", "raylet"], servers) == []
    assert ailing(["study --help"], servers) == []
    (problem,) = ailing(["gcs_server", "python mlflow server --port=5000"], servers)
    assert problem.startswith(f"{away} does not answer: ")


def test_the_image_and_compose_ask_for_health_by_the_same_command() -> None:
    words = ["python", "-m", "cluster.deployment.healthy"]
    (line,) = re.findall(r"^HEALTHCHECK .*CMD (\[.*\])$", (FOLDER / "Dockerfile").read_text(), re.M)
    assert [word.strip('" ') for word in line.strip("[]").split(",")] == words
    services = compose()["services"]
    for name in ("mlflow", "ray"):
        assert services[name]["healthcheck"]["test"] == ["CMD", *words]
        port = services[name]["ports"][0].rpartition(":")[2]
        assert any(f":{port}/" in url for url in SERVERS.values()), name
    done = subprocess.run([sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
