"""The environment variables that the product reads. A test finds those that are missing here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from study.reference.markdown import code, table


@dataclass(frozen=True)
class Variable:
    """What an environment variable decides."""

    default: str
    """What holds where it is not set."""
    example: str
    meaning: str


VARIABLES: Mapping[str, Variable] = MappingProxyType(
    {
        "STUDY_HOME": Variable(
            "`.study` in the current folder",
            "/data/study",
            "The folder where everything lives: `datasets/`, `studies/`, `mlflow.db`, `artifacts/`, "
            "`fetched_models/`, `drift/`, `step_times/`, `library_output/`. "
            "On a cluster all nodes see it at this path.",
        ),
        "STUDY_CACHE": Variable(
            "`~/.cache/study`",
            "/local/study",
            "The folder where each machine keeps its copies of datasets that are published at `s3://…`, "
            "without the test split, and the output of frozen layers. Choose a volume of the machine's own.",
        ),
        "STUDY_CACHE_GB": Variable(
            "half of that folder's volume",
            "200",
            "How much all of that may take together. The least recently used go; one that a process uses "
            "stays.",
        ),
        "STUDY_USER": Variable(
            "the name of the system's user",
            "ada",
            "The name under which studies, edits and decisions are noted. `study submit` sends it with a "
            "study.",
        ),
        "STUDY_USER_SOURCE": Variable(
            "asked of MLflow where an account is named",
            "as told",
            "Who says that STUDY_USER is that person: `verified by MLflow` or `as told`. `study submit` "
            "sets it.",
        ),
        "STUDY_USER_CAP": Variable(
            "no cap",
            "0.5",
            "The largest share of a shared cluster, above 0 and at most 1, that one user's studies hold "
            "together while others want slots. Set it where Ray is started.",
        ),
        "STUDY_QUEUE_POLICY": Variable(
            "no limits",
            "/study/queue.yaml",
            "The operator's policy for the queue of a shared cluster: how high a priority each person may "
            "give, their share, their GPU hours in a month. Set it where Ray is started.",
        ),
        "STUDY_HOURLY_COST": Variable(
            "no price is told",
            "2.50 EUR",
            "What an hour of the machines that a study uses costs, all together: a number, and a currency if "
            "you like. `study check` tells what the study will cost, `study show` and the report what it "
            "did.",
        ),
        "STUDY_NOTIFY": Variable(
            "nobody is told",
            "https://hooks.slack.com/services/…",
            "Who is told when a study ends, fails, or waits for long: a webhook (a POST of JSON with `text`, "
            "as Slack and Mattermost take it), or `mailto:NAME@HOST`. A secret: it is in no record. On a "
            "cluster, set it where Ray is started.",
        ),
        "STUDY_NOTIFY_COMMAND": Variable(
            "none",
            "./tell-the-team",
            "A command of the shell that is told the same, as JSON on its standard input.",
        ),
        "STUDY_NOTIFY_AT": Variable(
            "`notify.at` of the study file: end, failure, wait",
            "best, end, failure",
            "Of what people are told: the `end`, a `failure`, a new `best`, a long `wait` for a slot.",
        ),
        "STUDY_NOTIFY_WAIT": Variable(
            "30", "120", "After how many minutes in the queue `STUDY_NOTIFY` is told, once for each wait."
        ),
        "STUDY_MAIL_SERVER": Variable(
            "none",
            "smtp://NAME:PASSWORD@HOST:587",
            "The server that takes mail for `mailto:…`; `smtps://…` for TLS.",
        ),
        "STUDY_COMMIT": Variable(
            "the commit of the current folder",
            "0cab809",
            "The commit that runs are tagged with where the code runs outside of a git repository. `study "
            "submit` sets it.",
        ),
        "MLFLOW_TRACKING_URI": Variable(
            "`mlflow.db` in `STUDY_HOME`",
            "http://mlflow.example:5000",
            "The MLflow server, or the database, that records runs and models. `postgresql://…` needs `uv "
            "sync --extra postgresql`.",
        ),
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": Variable(
            "`artifacts/` in `STUDY_HOME`",
            "s3://bucket/artifacts",
            "Where MLflow keeps files, for a `MLFLOW_TRACKING_URI` that is a database. `s3://…` needs `uv "
            "sync --extra s3`.",
        ),
        "MLFLOW_TRACKING_USERNAME": Variable(
            "none",
            "ada",
            "The account on an MLflow server that has accounts. Studies that begin with it are noted under "
            "it.",
        ),
        "MLFLOW_TRACKING_PASSWORD": Variable("none", "…", "Its password."),
        "MLFLOW_DISABLE_TELEMETRY": Variable(
            "`true`", "`false`", "Whether MLflow keeps from reporting its use to its makers."
        ),
        "RAY_ADDRESS": Variable(
            "a local Ray cluster, which ends with the study",
            "10.0.0.1:6379",
            "The running Ray cluster that `study run` and `study resume` use. Its nodes see `STUDY_HOME` at "
            "the same path.",
        ),
        "RAY_API_SERVER_ADDRESS": Variable(
            "this machine",
            "http://127.0.0.1:8265",
            "The dashboard of the cluster that `submit`, `status`, `logs` and the commands with `--address` "
            "go to.",
        ),
        "RAY_AUTH_TOKEN": Variable("none", "…", "The token of a Ray cluster that asks for one."),
        "RAY_AUTH_TOKEN_PATH": Variable(
            "`~/.ray/auth_token`", "~/cluster.token", "The file that holds this token."
        ),
        "RAY_AUTH_MODE": Variable(
            "`token` for a local cluster, and where there is a token",
            "disabled",
            "Whether a Ray cluster asks for a token, `token` or `disabled`: as the cluster was started.",
        ),
        "CUDA_VISIBLE_DEVICES": Variable("all GPUs", "0,1", "The GPUs of this machine that studies use."),
        "TORCH_HOME": Variable(
            "`~/.cache/torch`",
            "/data/torch",
            "The folder where pretrained weights are kept. Without a network, put the file there that the "
            "error message names.",
        ),
        "XDG_CACHE_HOME": Variable(
            "`~/.cache`", "/data/cache", "The folder whose `torch/` is `TORCH_HOME` where that is not set."
        ),
        "AWS_ENDPOINT_URL": Variable(
            "Amazon's S3",
            "http://objects:7070",
            "The object store behind `s3://…`. Its keys are in `AWS_ACCESS_KEY_ID` and "
            "`AWS_SECRET_ACCESS_KEY`.",
        ),
        "AWS_ENDPOINT_URL_S3": Variable(
            "as `AWS_ENDPOINT_URL`", "http://objects:7070", "The same, for S3 alone; it comes first."
        ),
        "MLFLOW_S3_ENDPOINT_URL": Variable(
            "as `AWS_ENDPOINT_URL`", "http://objects:7070", "The same, in MLflow's word; it comes last."
        ),
    }
)
"""By name, in the order of the page."""


def environment_section() -> str:
    """A table of the variables."""
    rows = [(code(name), one.default, code(one.example), one.meaning) for name, one in VARIABLES.items()]
    return table(("variable", "default", "example", "meaning"), rows)
