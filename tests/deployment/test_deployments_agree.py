"""What all ways of deploying have in common.

One Ray, one STUDY_HOME, pinned images, authentication, and no secret in any file.
"""

import re
from pathlib import Path

import pytest
import ray
from deployment_files import (
    FOLDER,
    RAY_UP,
    compose,
    containers,
    env_file,
    environment,
    manifest,
    manifests,
    pod_specs,
    secret_names,
)

from cluster.working_dir import source_files

FILES = sorted(
    path
    for path in FOLDER.rglob("*")
    if path.is_file() and "__pycache__" not in path.parts and path.name != ".env"
)
IMAGES = {
    *(service["image"] for service in compose()["services"].values()),
    *(container["image"] for _, container in containers(manifests())),
    *re.findall(r"^FROM (\S+)", (FOLDER / "Dockerfile").read_text(), re.MULTILINE),
}


def test_images_are_pinned_to_a_release() -> None:
    for image in IMAGES:
        assert re.search(r":v?\d+\.\d+", image), image
        assert "latest" not in image


def test_what_is_on_a_machine_is_not_pulled_again() -> None:
    """A digest names the same bytes for ever, and nobody else publishes our own image."""
    for owner, container in containers(manifests()):
        assert container["imagePullPolicy"] == "IfNotPresent", owner
    for name, service in compose()["services"].items():
        assert service["pull_policy"] == "missing", name


def test_copies_of_datasets_lie_on_the_machines_own_disk_below_the_limit_of_their_volume() -> None:
    for owner, spec in pod_specs([manifest("RayCluster")]):
        (container,) = spec["containers"]
        settings = environment(container)
        (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == settings["STUDY_CACHE"]]
        (volume,) = [one for one in spec["volumes"] if one["name"] == mount["name"]]
        limit = float(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 2**30
        assert 0 < float(settings["STUDY_CACHE_GB"]) * 1e9 < limit, owner
    assert "cache:/cache" in compose()["services"]["ray"]["volumes"]
    assert "STUDY_CACHE=/cache" in (FOLDER / "Dockerfile").read_text()


def test_images_are_the_same_everywhere() -> None:
    names = [image.split(":")[0] for image in IMAGES]
    assert sorted(names) == sorted(set(names)), f"two versions of one image: {sorted(IMAGES)}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_holds_a_secret(file: Path) -> None:
    for line in file.read_text().splitlines():
        for name in (*secret_names(), "ROOT_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"):
            given = re.search(rf"(?<![\w{{]){name}\s*[:=]\s*(\S+)", line)
            assert given is None or given[1].startswith("$"), line
        assert not re.search(
            r"(?<!sha256:)\b[0-9a-f]{32,}\b|AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY", line
        ), line


def test_study_home_is_the_same_everywhere() -> None:
    homes = {env_file(file.replace(".yaml", ".env"))["STUDY_HOME"] for file in RAY_UP}
    homes.add(compose()["services"]["ray"]["environment"]["STUDY_HOME"])
    for owner, container in containers([manifest("RayCluster")]):
        if not owner.endswith("prepare"):
            homes.add(environment(container)["STUDY_HOME"])
            assert {"name": "study-home", "mountPath": "/study"} in container["volumeMounts"], owner
    assert homes == {"/study"}


def test_ray_asks_for_its_token_everywhere() -> None:
    assert compose()["services"]["ray"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert manifest("RayCluster")["spec"]["authOptions"]["mode"] == "token"
    assert {env_file(file.replace(".yaml", ".env"))["RAY_AUTH_MODE"] for file in RAY_UP} == {"token"}


def test_trials_log_under_the_same_account_everywhere() -> None:
    names = {env_file(file.replace(".yaml", ".env"))["MLFLOW_TRACKING_USERNAME"] for file in RAY_UP}
    names.add(compose()["services"]["ray"]["environment"]["MLFLOW_TRACKING_USERNAME"])
    names |= {
        environment(container)["MLFLOW_TRACKING_USERNAME"]
        for _, container in containers([manifest("RayCluster")])
    }
    assert names == {"study"}


def test_trials_log_to_the_service_that_is_there() -> None:
    service = manifest("Service", "mlflow")
    address = f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert compose()["services"]["ray"]["environment"]["MLFLOW_TRACKING_URI"] == address
    assert {
        environment(container)["MLFLOW_TRACKING_URI"] for _, container in containers([manifest("RayCluster")])
    } == {address}
    (server,) = manifest("StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"]
    assert f"--allowed-hosts={address.removeprefix('http://')}," in " ".join(server["command"])


def test_the_ray_that_is_named_is_the_one_that_is_tested() -> None:
    named = {found for file in FILES for found in re.findall(r'rayVersion: "([\d.]+)"', file.read_text())}
    assert named == {ray.__version__}


def test_secrets_do_not_travel_with_a_submitted_study(tmp_path: Path) -> None:
    folder = tmp_path / "cluster" / "deployment"
    folder.mkdir(parents=True)
    (folder / ".env").write_text("RAY_AUTH_TOKEN=secret\n")
    (folder / "prepare.py").write_text("")
    assert list(source_files(tmp_path / "cluster")) == ["cluster/deployment/prepare.py"]


def test_what_a_person_replaces_is_marked() -> None:
    for file in (*RAY_UP, *(name.replace(".yaml", ".env") for name in RAY_UP)):
        text = (FOLDER / file).read_text()
        assert "YOUR" in text.splitlines()[0] + text.splitlines()[1] + text.splitlines()[3]
        assert re.search(r"YOUR-[A-Z]", text)
