"""Pins images by digest: `python -m cluster.deployment.pin_images` asks registries, and changes the files.

`image: postgres:17.11-bookworm` becomes `image: postgres:17.11-bookworm@sha256:…`, so that every machine runs
the same bytes, whoever moves the tag. Run it before the first start, and again after a tag was changed.
Images that are built here (`study`) have no digest until they are pushed, and stay.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from cluster.errors import ClusterError

FOLDER = Path(__file__).parent
OURS = "study"
HUB = "registry-1.docker.io"
ANSWER_SECONDS = 30.0
_NAMED = re.compile(r"^(\s*(?:image:|FROM)\s+)([^\s@]+:[^\s@]+)(@sha256:[0-9a-f]{64})?(?=\s|$)", re.MULTILINE)
_KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Of manifests; an image for several processors has an index."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image as a file names it."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def of(cls, name: str) -> "Image":
        """From `postgres:17`, `versity/versitygw:v1`, `ghcr.io/a/b:c`."""
        path, _, tag = name.rpartition(":")
        first, slash, rest = path.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(registry=first, repository=rest, tag=tag)
        return cls(registry=HUB, repository=path if slash else f"library/{path}", tag=tag)


def main() -> None:
    """Pins the images of the deployment files; what fails is one message and exit code 2."""
    try:
        for name, digest in pin(FOLDER):
            print(f"{name}@{digest}")
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def pin(folder: Path) -> Iterator[tuple[str, str]]:
    """Writes digests into all deployment files in `folder`; yields each image with its digest.

    Raises ClusterError, and then no file was changed.
    """
    texts = {file: file.read_text(encoding="utf-8") for file in _files(folder)}
    names = {found[2] for text in texts.values() for found in _NAMED.finditer(text) if _is_public(found[2])}
    digests = {name: digest_of(Image.of(name)) for name in sorted(names)}
    for file, text in texts.items():
        pinned = _NAMED.sub(lambda found: _pinned(found, digests), text)
        if pinned != text:
            file.write_text(pinned, encoding="utf-8")
    yield from digests.items()


def digest_of(image: Image) -> str:
    """The digest that the registry has for the tag. Raises ClusterError."""
    scheme = "http" if image.registry.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    url = f"{scheme}://{image.registry}/v2/{quote(image.repository)}/manifests/{quote(image.tag)}"
    named = f"{image.repository}:{image.tag} at {image.registry}"
    try:
        try:
            digest = _asked(url, None)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
            digest = _asked(url, _token(error.headers.get("WWW-Authenticate", "")))
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"the digest of {named} cannot be had ({error}); check its name and the way to the registry"
        ) from None
    if digest is None or not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ClusterError(f"the registry says no digest of {named}, but {digest!r}")
    return digest


def _asked(url: str, token: str | None) -> str | None:
    request = urllib.request.Request(url, headers={"Accept": ", ".join(_KINDS)}, method="HEAD")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
        found: str | None = answer.headers.get("Docker-Content-Digest")
        return found


def _token(challenge: str) -> str:
    """What the registry's challenge asks for, without an account."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    where = asked.pop("realm", "")
    if not where.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise ValueError("the registry asks for an account")
    with urllib.request.urlopen(f"{where}?{urlencode(asked)}", timeout=ANSWER_SECONDS) as answer:
        tree = json.loads(answer.read())
    return str(tree.get("token") or tree["access_token"])


def _pinned(found: "re.Match[str]", digests: Mapping[str, str]) -> str:
    digest = digests.get(found[2])
    return found[0] if digest is None else f"{found[1]}{found[2]}@{digest}"


def _is_public(name: str) -> bool:
    return name.rpartition(":")[0].rpartition("/")[2] != OURS


def _files(folder: Path) -> list[Path]:
    return [folder / "Dockerfile", *sorted(folder.rglob("*.yaml"))]


if __name__ == "__main__":
    main()
