"""The rule of promotion on subgroups: how far their accuracies may lie apart."""

from dataclasses import dataclass

from study.errors import SpecError
from study.evaluation.subgroups import audit
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.registry.subgroup_audit import column_values
from study.study_file.promotion_rules import PromotionRules


@dataclass(frozen=True, kw_only=True)
class SubgroupVerdict:
    """What the rule says of a version: a sentence, which is a fault or a remark, or nothing."""

    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def judge_subgroups(home: Home, evidence: TestEvidence, rules: PromotionRules) -> SubgroupVerdict:
    """Whether the accuracies of subgroups lie further apart than the rules allow, beyond chance.

    What cannot be judged, as nothing keeps the column, is a fault.
    """
    rule = rules.max_subgroup_gap
    if rule is None:
        return SubgroupVerdict()
    try:
        values_N = column_values(home, evidence, rule.column)
        found = audit(evidence, rule.column, values_N, rule.edges, level=1 - rules.confidence)
    except SpecError as error:
        return SubgroupVerdict(faults=(f"subgroups cannot be compared (max_subgroup_gap): {error}",))
    gap = found.accuracy_gap
    if gap is None:
        text = f"fewer than two subgroups of {rule.column} are large enough to compare (max_subgroup_gap)"
        return SubgroupVerdict(remarks=(text,))
    # A difference of two shares may be 0.10000000000000009.
    if gap.value <= rule.gap + 1e-9:
        return SubgroupVerdict()
    by_name = {one.name: one.accuracy.value for one in found.subgroups}
    text = (
        f"accuracy is {by_name[gap.lowest]:.1%} for {rule.column} {gap.lowest} and "
        f"{by_name[gap.highest]:.1%} for {gap.highest}: {gap.value:.3f} apart (p = {gap.p_value:.2g})"
    )
    if gap.p_value > 1 - rules.confidence:
        return SubgroupVerdict(
            remarks=(f"{text}, not beyond what chance explains, so not counted (max_subgroup_gap)",)
        )
    return SubgroupVerdict(faults=(f"{text}, more than {rule.gap:g} (max_subgroup_gap)",))
