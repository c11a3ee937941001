"""The environment in which programs of ours import Ray, which reads some of it only then."""

import os
import sys

from cluster.auth_token import has_token

RAY_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",  # its tables are not silenced by verbose=0
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # no CSV, JSON and TensorBoard copies of results
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else each worker starts through uv, on a copy of the folder
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as a later Ray will do; without it each task warns
    "RAY_agent_register_timeout_ms": "120000",  # its agent imports for half a minute on a busy machine
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # a program says itself what failed, and why
}


def set_ray_environment(address: str | None) -> None:
    """Sets what Ray shall read for the cluster at `address`, None for a local one; the environment's own
    values stay.
    """
    for name, value in RAY_SETTINGS.items():
        os.environ.setdefault(name, value)
    # A cluster without a token refuses a client that insists on one. Once Ray is imported, it no longer reads
    # this variable, and asks for a token by itself where it starts a local cluster.
    if "ray" not in sys.modules and (not address or has_token()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")
