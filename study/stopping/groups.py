"""Groups: what may be compared with what at the same share of a schedule."""

from search_spaces.space import Point
from study.recipes.phases import build_phases
from study.recipes.point import DEFAULTS
from trainables.models.catalogue import find_architecture

HEAD, NETWORK = "head", "network"


def group_at(point: Point, epoch: int, num_epochs: int) -> str:
    """`head` while a trial has trained nothing but its head up to `epoch` of its `num_epochs`, `network` from
    then on.

    A head that is trained alone at the end again, on a network that was trained before, is compared with
    networks. Raises RecipeError where the point makes no recipe.
    """
    num_stages = find_architecture(str(point.get("architecture", DEFAULTS["architecture"]))).num_stages
    begins = 0
    for phase in build_phases(point, num_epochs, num_stages):
        if begins >= epoch:
            break
        if not is_head_alone(phase, num_stages):
            return NETWORK
        begins += int(str(phase["epochs"]))
    return HEAD


def is_head_alone(phase: dict[str, object], num_stages: int) -> bool:
    """Whether a phase trains the head and nothing else."""
    share = phase.get("trainable_share")
    return phase.get("freeze_depth") == num_stages if share is None else share == 0
