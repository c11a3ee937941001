"""Whether the machines of a cluster reach an MLflow server by the address that it has here."""

from urllib.parse import urlsplit

from study.errors import TrackingError

START_MLFLOW = (
    "start one that all nodes reach, such as `mlflow server --host HEAD --backend-store-uri postgresql://…`, "
    "and set MLFLOW_TRACKING_URI"
)


def check_tracking_is_a_server(tracking_uri: str | None) -> None:
    """Raises TrackingError for an address that other machines cannot reach, as far as its form shows."""
    if not tracking_uri or urlsplit(tracking_uri).scheme.split("+")[0] in ("sqlite", "file", ""):
        raise TrackingError(
            "a cluster needs an MLflow server, as its nodes cannot share a file; MLFLOW_TRACKING_URI is "
            f"{tracking_uri or 'not set'}: "
            f"{START_MLFLOW}"
        )


def check_others_reach(tracking_uri: str, cluster: str) -> None:
    """Raises TrackingError for this machine's own address, where the cluster's address is another
    machine's.
    """
    loopback = ("127.0.0.1", "localhost", "::1")
    if urlsplit(tracking_uri).hostname in loopback and urlsplit(cluster).hostname not in loopback:
        raise TrackingError(
            f"MLFLOW_TRACKING_URI={tracking_uri} is this machine's own address, which the nodes of "
            f"{cluster} do not reach; "
            "name the server by the address they know, or unset it to use the cluster's"
        )
