"""The state of a study on a cluster, as the cluster's desk reads it from the study's folder there."""

from cluster.errors import ClusterError
from cluster.jobs import JobServer
from study.errors import StudyError
from study.live.showing import Source
from study.live.state import LiveState
from study.remote.desk import ask_desk
from study.remote.job_lookup import home_of


def remote_source(name: str, server: JobServer, home: str | None) -> Source:
    """Asks the desk of the cluster for the study's state; `home` is STUDY_HOME there, if its environment does
    not say.
    """
    home = home or home_of(server, name)

    def ask() -> LiveState:
        answer = ask_desk(["watch", name, "--once", "--json"], server, home=home)
        if answer is None:
            raise ClusterError(f"the desk of the cluster at {server.address} does not answer")
        if answer.code != 0:
            raise StudyError(answer.stderr.removeprefix("error: ").strip())
        try:
            return LiveState.from_json(answer.stdout)
        except ValueError:
            raise StudyError(
                f"the cluster at {server.address} answers what is no state of a study; does it run this code?"
            ) from None

    return ask
