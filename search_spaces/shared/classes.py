"""How classes count: losses, weights, and how often images are drawn."""

from search_spaces.dimensions import Choice, Dimension, Float, one_of

BALANCING: tuple[Dimension, ...] = (
    Float(name="class_weight_power", low=0.0, high=1.0, about="0 none, 1 balanced"),
    Float(name="label_smoothing", low=0.0, high=0.2),
)
"""What every training needs decided."""

_BY_POWER = {"balancing": one_of("weights")}
_BY_EFFECTIVE_NUMBER = {"balancing": one_of("effective_number")}

BALANCING_FURTHER: tuple[Dimension, ...] = (
    Choice(name="loss", options=("cross_entropy", "focal", "ldam", "logit_adjusted")),
    Float(name="focal_gamma", low=0.25, high=5.0, log=True, when={"loss": one_of("focal")}),
    Float(name="ldam_margin", low=0.1, high=0.8, when={"loss": one_of("ldam")}),
    Float(name="adjustment", low=0.0, high=2.0, when={"loss": one_of("logit_adjusted")}, about="tau"),
    Float(
        name="label_smoothing", low=0.0, high=0.3, when={"loss": one_of("cross_entropy", "logit_adjusted")}
    ),
    Choice(
        name="balancing",
        options=("none", "weights", "effective_number", "sampler"),
        about="the one way in which class imbalance is corrected",
    ),
    Float(name="class_weight_power", low=0.0, high=1.0, when=_BY_POWER, about="1 balanced"),
    Float(name="effective_beta", low=0.9, high=0.9999, when=_BY_EFFECTIVE_NUMBER),
    Float(
        name="class_weight_cap",
        low=2.0,
        high=20.0,
        log=True,
        when={"balancing": one_of("weights", "effective_number")},
    ),
    Float(
        name="weights_from",
        low=0.0,
        high=1.0,
        when={"balancing": one_of("weights", "effective_number")},
        about="deferred re-weighting: share of epochs before weights count",
    ),
    Float(
        name="sampler_power",
        low=0.0,
        high=1.0,
        when={"balancing": one_of("sampler")},
        about="1 draws classes equally often",
    ),
)
"""The same with all that can be decided."""
