"""What Ray does that nobody promised: each test stands for a row of README.md."""

import inspect
import re
from importlib.util import find_spec
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
from ray._private import ray_constants
from ray.dashboard.modules.job.job_manager import JobManager
from ray.exceptions import RayTaskError
from ray.tune.execution.tune_controller import TuneController
from tune_run import TuneRun

from cluster.autoscaler import MONITORS
from cluster.jobs import NO_AGENT
from cluster.nodes import KIND_RESOURCE
from cluster.ray_settings import RAY_SETTINGS
from study.errors import StudyError
from study.execution.trial_actor import GOODBYE_SECONDS
from study.remote.replies import _OF_RAY


def source(module: str) -> str:
    """The text of one of Ray's modules, or of all in a package."""
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    return "".join(one.read_text(encoding="utf-8") for one in files)


def test_results_arrive_flat(tuned: TuneRun) -> None:
    assert tuned.trials["first"]["result"] == {"metrics/accuracy": 0.5}, "what is empty is left out"


def test_a_scheduler_can_have_a_process_given_back(tuned: TuneRun) -> None:
    assert tuned.trials["reuses"]["process"] == tuned.trials["first"]["process"]
    assert tuned.trials["gives_back"]["process"] == tuned.trials["first"]["process"]
    assert tuned.trials["after_that"]["process"] != tuned.trials["gives_back"]["process"]


def test_a_trial_has_the_handle_of_its_process(tuned: TuneRun) -> None:
    assert tuned.trials["first"]["answers"] is True
    dead = tuned.trials["dies"]
    assert dead.get("answer_raises") == ("ActorDiedError" if dead["has_actor"] else None)


def test_the_error_of_a_trial_lies_beside_the_driver(tuned: TuneRun) -> None:
    assert tuned.trials["dies"]["pickled_error"]
    assert tuned.trials["dies"]["stored_error"] in ("NoneType", "ActorDiedError")


def test_searcher_and_scheduler_are_pickled_by_their_getstate(tuned: TuneRun) -> None:
    assert "dies" in tuned.trials, "each holds what cannot be pickled, and Ray Tune came to the end"


def test_the_switches_keep_ray_quiet(tuned: TuneRun) -> None:
    assert "Trial name" not in tuned.printed, "no tables; a trial that dies is told all the same"
    assert tuned.trials["first"]["folder"] == tuned.working_folder
    assert not {"result.json", "progress.csv"} & set(tuned.files)


def test_a_lean_node_starts_only_what_runs_tasks(tuned: TuneRun) -> None:
    assert any("gcs_server" in one for one in tuned.processes)
    for unneeded in ("dashboard/dashboard.py", "monitor.py", "log_monitor.py"):
        assert not [one for one in tuned.processes if unneeded in one]
    whole = source("ray._private.node")
    for name in ("start_api_server", "start_monitor", "start_log_monitor"):
        assert f"def {name}(" in whole, "else Ray starts it by another way"


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("RAY_AIR_NEW_OUTPUT", "ray.tune.experimental.output"),
        ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "ray.tune.utils.callback"),
        ("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "ray.tune.execution.experiment_state"),
        ("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "ray._private.ray_constants"),
        ("RAY_CHDIR_TO_TRIAL_DIR", "ray.train.constants"),
        ("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "ray._private.accelerators.accelerator"),
        ("TUNE_PRINT_ALL_TRIAL_ERRORS", "ray.tune.execution.tune_controller"),
        ("RAY_JOB_STOP_SIGNAL", "ray.dashboard.modules.job.job_supervisor"),
        ("RAY_JOB_STOP_WAIT_TIME_S", "ray.dashboard.modules.job.job_supervisor"),
    ],
)
def test_every_switch_is_read(name: str, module: str) -> None:
    assert f'"{name}"' in source(module)
    assert name in RAY_SETTINGS or name.startswith("RAY_JOB_")


@pytest.mark.parametrize("phrase", [b"node has died", b"node was terminated"])
def test_ray_says_that_a_node_has_died(phrase: bytes) -> None:
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    server = Path(spec.origin).parent / "core" / "src" / "ray" / "gcs" / "gcs_server"
    with server.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as program:
        assert program.find(phrase) > 0


def test_the_error_of_a_task_is_also_one_of_its_causes_kind() -> None:
    cause = StudyError("torch cannot use the GPU")
    error = RayTaskError("probe", "a traceback", cause).as_instanceof_cause()
    assert isinstance(error, RayTaskError)
    assert isinstance(error, StudyError)
    assert error.args[0] is cause


def test_ray_tune_waits_until_a_process_has_said_goodbye() -> None:
    told = re.search(r"_actor_force_cleanup_timeout: int = (\d+)", inspect.getsource(TuneController))
    assert told is not None
    assert float(told[1]) > GOODBYE_SECONDS


def test_gpus_are_named_by_an_accelerator_type() -> None:
    from ray._common.utils import resources_from_ray_options

    assert f"{KIND_RESOURCE}H100" in resources_from_ray_options({"accelerator_type": "H100"})


def test_ray_drains_nodes_and_lists_those_that_it_drains() -> None:
    from ray._private.state import GlobalState

    assert callable(GlobalState.get_draining_nodes)
    command = source("ray.scripts.scripts")
    for option in ("--reason", "--reason-message", "--deadline-remaining-seconds", "--node-id"):
        assert f'"{option}"' in command[: command.index("def drain_node")]
    assert "cli.add_command(drain_node)" in command


def test_the_autoscaler_has_its_settings_on_its_command_line() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer

    start = source("ray._private.services")
    assert '"--autoscaling-config=" + ' in start
    assert 'f"--gcs-address={gcs_address}"' in start
    for module in MONITORS:
        assert find_spec(module.removesuffix(".py").replace("/", ".")) is not None
    assert list(inspect.signature(AutoscalingConfigProducer).parameters) == [
        "ray_cluster_name",
        "ray_cluster_namespace",
    ]


def test_the_job_server_takes_packages_and_tells_its_python() -> None:
    from ray.dashboard.utils import to_google_style

    job_head = source("ray.dashboard.modules.job.job_head")
    assert job_head.count('"/api/packages/{protocol}/{package_name}"') == 2, "one route asks, one puts"
    assert '"/api/v0/cluster_metadata"' in source("ray.dashboard.modules.reporter")
    assert '"python_version"' in source("ray._common.usage.usage_lib")
    assert "pythonVersion" in to_google_style({"python_version": "3.11.7"})


def test_the_job_server_says_that_its_agent_is_away() -> None:
    assert NO_AGENT in source("ray.dashboard.modules.job.job_head")


def test_the_log_of_a_job_begins_with_rays_own_lines() -> None:
    assert f'"{_OF_RAY[0].removeprefix(" -- ")}"' in source("ray.dashboard.modules.job.job_manager")
    assert _OF_RAY[1] in source("ray.dashboard.modules.job.job_supervisor")


def test_ray_looks_after_a_job_every_second() -> None:
    assert JobManager.JOB_MONITOR_LOOP_PERIOD_S <= 1, (
        "a job that was taken back may be forgotten after two and a half"
    )


def test_gauges_are_exported_under_a_prefix_and_machines_listed_in_a_file() -> None:
    assert ray_constants.PROMETHEUS_SERVICE_DISCOVERY_FILE == "prom_metrics_service_discovery.json"
    assert 'namespace="ray"' in source("ray.dashboard.modules.reporter.reporter_agent")
