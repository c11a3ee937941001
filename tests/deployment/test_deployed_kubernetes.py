"""The Kubernetes manifests are valid, refer to what is there, and confine what they run."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray
import yaml
from deployment_files import (
    FOLDER,
    MANIFESTS,
    containers,
    environment,
    manifest,
    manifests,
    pod_specs,
    secret_names,
)
from kuberay_schema import SCHEMAS

KUBERNETES = "1.34"
OBJECTS = manifests()


def title(one: dict[str, Any]) -> str:
    return f"{one['kind']}-{one['metadata']['name']}"


@pytest.mark.parametrize("one", OBJECTS, ids=title)
def test_every_object_fits_its_published_schema(one: dict[str, Any]) -> None:
    if one["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
        return
    jsonschema.validate(one, SCHEMAS[one["kind"]])
    for owner, spec in pod_specs([one]):
        pod = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "any"},
            "template": {"spec": spec},
        }
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
        assert owner


def test_the_checks_find_a_misspelt_field() -> None:
    wrong = manifest("Deployment", "mlflow")
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)
    cluster = manifest("RayCluster")
    cluster["spec"]["authOption"] = {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError, match="authOption"):
        jsonschema.validate(cluster, SCHEMAS["RayCluster"])


def test_rays_autoscaler_reads_the_cluster() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    cluster = manifest("RayCluster")
    cluster["metadata"]["namespace"] = "study"
    types = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    assert types["headgroup"]["resources"]["CPU"] == 0, "trials must not run beside the drivers"
    workers = types["gpu"]
    assert workers["resources"]["GPU"] == 1
    assert 1 <= workers["min_workers"] < workers["max_workers"]


def test_the_cluster_runs_the_ray_that_is_tested_here_with_its_token_on() -> None:
    spec = manifest("RayCluster")["spec"]
    assert spec["rayVersion"] == ray.__version__
    assert spec["authOptions"] == {"mode": "token"}


def test_services_are_inside_the_cluster_only() -> None:
    for one in OBJECTS:
        assert one["kind"] not in ("Ingress", "HTTPRoute", "Gateway")
        if one["kind"] == "Service":
            assert one["spec"]["type"] == "ClusterIP", title(one)
    assert manifest("RayCluster")["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"
    for owner, spec in pod_specs(OBJECTS):
        assert not spec.get("hostNetwork"), owner
    for owner, container in containers(OBJECTS):
        assert not [port for port in container.get("ports", ()) if "hostPort" in port], owner


def test_services_and_policies_select_pods_that_are_there_on_ports_that_they_open() -> None:
    pods = [
        (one["spec"]["template"]["metadata"]["labels"], one["spec"]["template"]["spec"])
        for one in OBJECTS
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for service in (one for one in OBJECTS if one["kind"] == "Service"):
        (spec,) = [spec for labels, spec in pods if service["spec"]["selector"].items() <= labels.items()]
        opened = {
            port["name"]: port["containerPort"]
            for container in spec["containers"]
            for port in container["ports"]
        }
        for port in service["spec"]["ports"]:
            assert opened[port["targetPort"]] == port["port"], title(service)
        policy = manifest("NetworkPolicy", service["metadata"]["name"])
        assert policy["spec"]["podSelector"]["matchLabels"] == service["spec"]["selector"]
        assert [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]] == [
            service["spec"]["ports"][0]["port"]
        ]


def test_nothing_is_reached_that_no_policy_names() -> None:
    closed = manifest("NetworkPolicy", "nothing-else")["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for one in OBJECTS:
        if one["kind"] == "NetworkPolicy":
            for rule in one["spec"].get("ingress", ()):
                assert rule["from"], f"{title(one)} lets everybody in"


def test_pods_run_as_nobody_special() -> None:
    for owner, spec in pod_specs(OBJECTS):
        assert spec["securityContext"]["runAsNonRoot"] is True, owner
        assert spec["securityContext"]["runAsUser"] > 0, owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
    for owner, container in containers(OBJECTS):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, owner
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, owner
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), owner
        assert "memory" in container["resources"]["limits"], owner


def test_servers_have_probes_and_keep_their_data() -> None:
    claims = {one["metadata"]["name"]: one for one in OBJECTS if one["kind"] == "PersistentVolumeClaim"}
    for name in ("postgres", "objects", "mlflow"):
        (server,) = [
            spec["containers"][0] for owner, spec in pod_specs(OBJECTS) if owner.endswith(f" {name}")
        ]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= server.keys(), name
    for owner, spec in pod_specs(OBJECTS):
        for volume in spec.get("volumes", ()):
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, owner
    assert claims["study-home"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_containers_ask_for_secrets_that_secrets_env_has() -> None:
    for owner, container in containers(OBJECTS):
        for name, value in environment(container).items() if "env" in container else ():
            if value.startswith("secret:"):
                assert value.removeprefix("secret:") in secret_names(), f"{owner}: {name}"
    for _, container in containers(OBJECTS):
        for one in container.get("env", ()):
            assert "valueFrom" not in one or one["valueFrom"]["secretKeyRef"]["name"] == "study-secrets"


def test_trials_do_not_hold_the_administrators_password() -> None:
    for owner, container in containers([manifest("RayCluster")]):
        holds = "MLFLOW_AUTH_ADMIN_PASSWORD" in environment(container)
        assert holds == owner.endswith("prepare"), owner


def test_a_study_is_run_on_the_cluster_and_its_submitter_is_let_in() -> None:
    job, cluster = manifest("RayJob"), manifest("RayCluster")
    assert job["spec"]["entrypoint"].startswith("study run /study/")
    assert job["spec"]["clusterSelector"] == {"ray.io/cluster": cluster["metadata"]["name"]}
    labels = job["spec"]["submitterPodTemplate"]["metadata"]["labels"]
    rules = manifest("NetworkPolicy", "ray")["spec"]["ingress"]
    assert [
        port["port"]
        for rule in rules
        for peer in rule["from"]
        if peer.get("podSelector", {}).get("matchLabels") == labels
        for port in rule["ports"]
    ] == [8265]


def test_kustomization_names_every_file_and_no_study() -> None:
    named = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == [f"kubernetes/{file.name}" for file in MANIFESTS if file.name != "study-job.yaml"]


def rendered(folder: Path) -> subprocess.CompletedProcess[str]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, which renders the kustomization")
    return subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)


def copied(folder: Path) -> Path:
    shutil.copytree(FOLDER, folder / "deployment", ignore=shutil.ignore_patterns(".env", "__pycache__"))
    return folder / "deployment"


def test_kubectl_renders_what_is_here_with_the_secrets(secrets: dict[str, str], tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    done = rendered(folder)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    (secret,) = [one for one in objects if one["kind"] == "Secret"]
    assert secret["metadata"] == {"name": "study-secrets", "namespace": "study"}
    assert sorted(secret["data"]) == sorted(secrets)
    assert all(one["metadata"].get("namespace") == "study" for one in objects if one["kind"] != "Namespace")


def test_kubectl_applies_nothing_without_secrets(tmp_path: Path) -> None:
    done = rendered(copied(tmp_path))
    assert done.returncode != 0
    assert ".env" in done.stderr
    assert not done.stdout
