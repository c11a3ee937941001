"""Check of processes: what is left of the Ray of drivers that are dead."""

from collections.abc import Iterator
from functools import partial

from cluster.leftovers import end, leftovers
from study.doctor.finding import Finding, Scope, counted


def ray_of_dead_drivers(scope: Scope) -> Iterator[Finding]:
    """Processes of Ray on this machine whose driver was killed."""
    if scope.name is not None:
        return
    for left in leftovers(scope.home.ray_processes):
        if left.alive:
            numbers = ", ".join(str(process.pid) for process in left.alive)
            logs = "" if left.session is None else f" (logs in {left.session})"
            yield Finding(
                where="this machine",
                what=f"{counted(len(left.alive), 'process')} of Ray of driver {left.driver}, which is dead: "
                f"{numbers}{logs}",
                mending="ends them",
                mend=partial(end, left),
            )
