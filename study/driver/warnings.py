"""What a person should know of a study before anything is spent on it."""

from study.evaluation.small_data import small_data_remarks
from study.planning.plan import Plan, is_registered_model


def warnings_of(plan: Plan) -> tuple[str, ...]:
    """Sentences on small splits, and on test images that first weights know; none where all is well.

    Raises SpecError or UnknownModelError where the study names a model that is not there.
    """
    remarks = small_data_remarks(plan.manifest, plan.spec.num_folds)
    if not any(is_registered_model(weights) for _, weights in plan.pretrained()):
        return remarks
    from study.registry.seen_images import leaks_into_test  # imports torch

    return (*remarks, *(f"{leak.sentence[0].upper()}{leak.sentence[1:]}." for leak in leaks_into_test(plan)))
