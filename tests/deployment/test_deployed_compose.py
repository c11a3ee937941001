"""The compose file is valid, refuses to start without secrets, and opens nothing beyond this machine."""

import re
import subprocess
import sys
from typing import Any

import pytest
from deployment_files import FOLDER, compose, env_file, filled, secret_names

SERVICES = compose()["services"]


def settings(service: str, secrets: dict[str, str]) -> dict[str, str]:
    return {
        name: filled(str(value), secrets) for name, value in SERVICES[service].get("environment", {}).items()
    }


@pytest.mark.parametrize("file", ["compose.yaml", "compose.gpu.yaml"])
def test_it_fits_the_compose_specification(file: str) -> None:
    words = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(FOLDER / file),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_secret_is_asked_for_and_has_no_default() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(secret_names())
    assert set(re.findall(r"\$\{(\w+):-", text)) == {"STUDY_BIND"}
    assert not set(re.findall(r"\$\{?(\w+)\}?", re.sub(r"\$\{\w+:[?-][^}]*\}", "", text)))
    assert set(env_file(".env.example").values()) == {""}


def test_ports_are_those_of_loopback_unless_told_otherwise(secrets: dict[str, str]) -> None:
    published = {
        name: [filled(port, {}) for port in service.get("ports", ())] for name, service in SERVICES.items()
    }
    assert {name: ports for name, ports in published.items() if ports} == {
        "mlflow": ["127.0.0.1:5000:5000"],
        "ray": ["127.0.0.1:8265:8265"],
    }
    assert [filled(port, {"STUDY_BIND": "10.0.0.5"}) for port in SERVICES["mlflow"]["ports"]] == [
        "10.0.0.5:5000:5000"
    ]
    assert not [name for name, service in SERVICES.items() if service.get("network_mode")]


def test_every_server_has_its_password(secrets: dict[str, str]) -> None:
    assert settings("postgres", secrets)["POSTGRES_PASSWORD"] == settings("mlflow", secrets)["PGPASSWORD"]
    assert (
        settings("objects", secrets)["ROOT_SECRET_ACCESS_KEY"]
        == settings("mlflow", secrets)["AWS_SECRET_ACCESS_KEY"]
    )
    assert (
        settings("prepare", secrets)["MLFLOW_TRACKING_PASSWORD"]
        == settings("ray", secrets)["MLFLOW_TRACKING_PASSWORD"]
    )
    ray = settings("ray", secrets)
    assert (ray["RAY_AUTH_MODE"], ray["RAY_AUTH_TOKEN"]) == ("token", secrets["RAY_AUTH_TOKEN"])
    assert len(set(secrets.values())) == len(secrets)


def test_trials_hold_no_password_but_their_own(secrets: dict[str, str]) -> None:
    held = {name for name, value in secrets.items() if value in settings("ray", secrets).values()}
    assert held == {"RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD"}


def test_parts_find_each_other_under_names_and_ports_that_are_served(secrets: dict[str, str]) -> None:
    ports = {"mlflow": 5000, "objects": 7070}
    for service in SERVICES:
        for value in settings(service, secrets).values():
            for name, port in re.findall(r"http://([\w.-]+):(\d+)", value):
                assert ports[name] == int(port), f"{service}: {value}"
    assert "--port=5000" in SERVICES["mlflow"]["command"]
    assert ":7070" in SERVICES["objects"]["command"]
    assert settings("mlflow", secrets)["PGHOST"] in SERVICES
    assert settings("mlflow", secrets)["PGUSER"] == settings("postgres", secrets)["POSTGRES_USER"]
    assert (
        f"--backend-store-uri=postgresql+psycopg:///{settings('postgres', secrets)['POSTGRES_DB']}"
        in SERVICES["mlflow"]["command"]
    )


def test_what_must_last_is_on_volumes() -> None:
    mounted = {name: service["volumes"] for name, service in SERVICES.items() if "volumes" in service}
    expected = {
        "postgres": ["postgres:/var/lib/postgresql/data"],
        "objects": ["objects:/data"],
        "ray": ["study:/study", "cache:/cache"],
    }
    assert mounted == expected
    assert set(compose()["volumes"]) == {"postgres", "objects", "study", "cache"}


def test_ray_waits_for_what_trials_need() -> None:
    def before(service: str) -> set[str]:
        needed = SERVICES[service].get("depends_on", {})
        return set(needed).union(*(before(one) for one in needed)) if needed else set()

    assert before("ray") == {"prepare", "mlflow", "postgres", "objects"}
    for service, parts in SERVICES.items():
        for needed, how in parts.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[needed], (
                f"{service} waits for {needed}"
            )


def test_containers_cannot_gain_rights() -> None:
    for name, service in SERVICES.items():
        parts: dict[str, Any] = service
        assert "no-new-privileges:true" in parts["security_opt"], name
        assert not parts.get("privileged"), name
        assert name == "postgres" or parts["cap_drop"] == ["ALL"], (
            name
        )  # its entrypoint gives the volume to its own user


def test_the_examples_line_fills_in_every_secret() -> None:
    (line,) = [line for line in (FOLDER / ".env.example").read_text().splitlines() if "openssl" in line]
    done = subprocess.run(
        ["bash", "-c", line.lstrip("# ").removesuffix("> .env")],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    made = dict(one.split("=") for one in done.stdout.splitlines())
    assert list(made) == secret_names()
    assert all(len(value) == 64 for value in made.values())
    assert len(set(made.values())) == len(made)
