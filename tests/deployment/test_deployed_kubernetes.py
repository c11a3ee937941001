"""The Kubernetes manifests are valid, refer to what is there, and confine what they run."""

import re
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
    PAGE,
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
    wrong = manifest("StatefulSet", "mlflow")
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
    assert workers["min_workers"] == 0 < workers["max_workers"]


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
        if one["kind"] == "StatefulSet"
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


def with_components(folder: Path, secrets: dict[str, str], *components: str) -> list[dict[str, Any]]:
    """The objects that kubectl renders with these parts of `kubernetes/`."""
    deployment = copied(folder)
    (deployment / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    file = deployment / "kustomization.yaml"
    named = ", ".join(f"kubernetes/{one}" for one in components)
    assert "components: []" in file.read_text()
    file.write_text(file.read_text().replace("components: []", f"components: [{named}]"))
    done = rendered(deployment)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_the_lines_of_the_page_render_a_large_cluster(secrets: dict[str, str], tmp_path: Path) -> None:
    deployment = copied(tmp_path)
    (deployment / ".env").write_text("".join(f"{name}={value}\n" for name, value in secrets.items()))
    (choosing,) = re.findall(r"^sed -i .*kustomization\.yaml$", PAGE, re.MULTILINE)
    subprocess.run(["bash", "-c", choosing], cwd=deployment, check=True)
    done = rendered(deployment)
    assert done.returncode == 0, done.stderr
    objects = list(yaml.safe_load_all(done.stdout))
    assert one_of(objects, "StatefulSet", "mlflow")["spec"]["replicas"] == 3
    assert one_of(objects, "Ingress", "mlflow")


def one_of(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize(
    "components", [("small",), ("large",), ("small", "tls"), ("metrics", "large", "tls")], ids="-".join
)
def test_sizes_and_https_render_objects_that_fit_their_published_schemas(
    secrets: dict[str, str], tmp_path: Path, components: tuple[str, ...]
) -> None:
    objects = with_components(tmp_path, secrets, *components)
    for one in objects:
        test_every_object_fits_its_published_schema(one)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "study"
    known = {title(one) for one in objects}
    assert {title(one) for one in OBJECTS if one["kind"] != "RayJob"} <= known, "nothing is lost"


def test_a_large_cluster_has_more_machines_servers_and_memory_than_a_small_one(
    secrets: dict[str, str], tmp_path: Path
) -> None:
    sizes = {size: with_components(tmp_path / size, secrets, size) for size in ("small", "large")}
    head, workers, servers, cache = {}, {}, {}, {}
    for size, objects in sizes.items():
        spec = one_of(objects, "RayCluster", "study")["spec"]
        (group,) = spec["workerGroupSpecs"]
        containers_ = [one["template"]["spec"]["containers"][0] for one in (spec["headGroupSpec"], group)]
        head[size], machine = (
            int(one["resources"]["limits"]["memory"].removesuffix("Gi")) for one in containers_
        )
        workers[size] = group["maxReplicas"] * int(containers_[1]["resources"]["limits"]["nvidia.com/gpu"])
        servers[size] = one_of(objects, "StatefulSet", "mlflow")["spec"]["replicas"]
        settings = environment(containers_[1])
        volumes = {one["name"]: one for one in group["template"]["spec"]["volumes"]}
        cache[size] = float(volumes["cache"]["emptyDir"]["sizeLimit"].removesuffix("Gi"))
        assert float(settings["STUDY_CACHE_GB"]) < cache[size]
        shared = float(volumes["shared-memory"]["emptyDir"]["sizeLimit"].removesuffix("Gi"))
        assert shared < machine, "what lies in shared memory counts to the container's"
    assert (workers["small"], workers["large"]) == (2, 512)
    assert (servers["small"], servers["large"]) == (1, 3)
    assert head["large"] > head["small"]
    assert head["large"] * 1e3 > 200 * 300, "MB for 200 drivers, each with its Ray job"
    assert one_of(sizes["large"], "PodDisruptionBudget", "mlflow")


def test_several_servers_of_mlflow_can_stand_in_for_each_other() -> None:
    """What one of them wrote, another one reads: nothing is in a pod, and forms have one key."""
    (server,) = manifest("StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"]
    assert "volumeMounts" not in server
    assert environment(server)["MLFLOW_FLASK_SERVER_SECRET_KEY"].startswith("secret:")
    assert "sqlite" not in " ".join(server["command"])
    assert "postgresql" in (FOLDER / "mlflow_auth.ini").read_text()
    assert manifest("StatefulSet", "mlflow")["spec"].get("podManagementPolicy", "OrderedReady") == (
        "OrderedReady"
    ), "the first one makes the tables"


def test_https_ends_at_the_ingress_which_alone_is_let_in(secrets: dict[str, str], tmp_path: Path) -> None:
    objects = with_components(tmp_path, secrets, "tls")
    places = {"dashboard": ("study-head-svc", 8265), "mlflow": ("mlflow", 5000)}
    for name, (service, port) in places.items():
        spec = one_of(objects, "Ingress", name)["spec"]
        ((rule,), (tls,)) = spec["rules"], spec["tls"]
        assert tls["hosts"] == [rule["host"]]
        assert tls["secretName"] == "study-tls"
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": service, "port": {"number": port}}
        (let_in,) = one_of(objects, "NetworkPolicy", f"ingress-to-{name}")["spec"]["ingress"]
        assert let_in["ports"] == [{"port": port}]
        assert let_in["from"], "not everybody"
    (server,) = one_of(objects, "StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"]
    (hosts,) = [word for word in server["command"] if word.startswith("--allowed-hosts=")]
    told = [one.partition("=")[2] for one in manifest_hosts()]
    assert hosts == f"--allowed-hosts={told[0]},YOUR-MLFLOW-HOST"


def test_prometheus_alone_is_let_in_to_the_metrics(secrets: dict[str, str], tmp_path: Path) -> None:
    objects = with_components(tmp_path, secrets, "metrics")
    (let_in,) = one_of(objects, "NetworkPolicy", "metrics")["spec"]["ingress"]
    assert [port["port"] for port in let_in["ports"]] == [8080]
    assert let_in["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ]
    spec = one_of(objects, "RayCluster", "study")["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        notes = group["template"]["metadata"]["annotations"]
        assert notes == {"prometheus.io/scrape": "true", "prometheus.io/port": "8080"}
        assert "app.kubernetes.io/name" in group["template"]["metadata"]["labels"], "labels stay"


def manifest_hosts() -> list[str]:
    (server,) = manifest("StatefulSet", "mlflow")["spec"]["template"]["spec"]["containers"]
    return [word for word in server["command"] if word.startswith("--allowed-hosts=")]


def test_kubectl_applies_nothing_without_secrets(tmp_path: Path) -> None:
    done = rendered(copied(tmp_path))
    assert done.returncode != 0
    assert ".env" in done.stderr
    assert not done.stdout
