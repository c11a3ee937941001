"""How a pretrained network is fine-tuned: what trains when, and at which rate."""

from search_spaces.dimensions import Choice, Condition, Dimension, Float, Int, none_of, one_of

PRETRAINED = {"weights": none_of("none")}
_GRADUAL = {**PRETRAINED, "fine_tuning": one_of("gradual")}


def _stages(*numbers: int) -> dict[str, Condition]:
    return {**_GRADUAL, "unfreezing_stages": one_of(*numbers)}


FREEZING: tuple[Dimension, ...] = (
    Choice(
        name="fine_tuning",
        options=("full", "suffix", "range", "lp_ft", "gradual", "layer_decay"),
        when=PRETRAINED,
        about="all at once; from a stage on; a range of stages; head first (arXiv 2202.10054); step by step; earlier blocks slower",
    ),
    Int(
        name="freeze_depth",
        low=1,
        high=4,
        unit="stages",
        when={**PRETRAINED, "fine_tuning": one_of("suffix")},
        about="stages frozen from the input; 4 leaves the head",
    ),
    Int(name="freeze_depth", low=0, high=1, unit="stages", when={**PRETRAINED, "fine_tuning": one_of("range")}),
    Int(
        name="range_end",
        low=2,
        high=3,
        unit="stages",
        when={**PRETRAINED, "fine_tuning": one_of("range")},
        about="first stage frozen again",
    ),
    Float(
        name="probe_fraction",
        low=0.02,
        high=0.3,
        log=True,
        when={**PRETRAINED, "fine_tuning": one_of("lp_ft", "gradual")},
        about="share of epochs for the head alone",
    ),
    Float(
        name="probe_multiplier",
        low=1.0,
        high=100.0,
        log=True,
        when={**PRETRAINED, "fine_tuning": one_of("lp_ft", "gradual")},
        about="its rate, times the learning rate",
    ),
    Int(name="unfreezing_stages", low=1, high=4, when=_GRADUAL, about="how often more is unfrozen"),
    Float(name="stage_cut_1", low=0.05, high=1.0, when=_GRADUAL, about="share of blocks, from the head"),
    Float(name="stage_cut_2", low=0.05, high=1.0, when=_stages(2, 3, 4), about="share of the blocks that are left"),
    Float(name="stage_cut_3", low=0.05, high=1.0, when=_stages(3, 4), about="share of the blocks that are left"),
    Float(name="stage_cut_4", low=0.05, high=1.0, when=_stages(4), about="share of the blocks that are left"),
    Float(name="stage_epochs_1", low=0.1, high=0.9, when=_stages(2, 3, 4), about="share of the stages' epochs"),
    Float(name="stage_epochs_2", low=0.1, high=0.9, when=_stages(3, 4), about="share of the epochs that are left"),
    Float(name="stage_epochs_3", low=0.1, high=0.9, when=_stages(4), about="share of the epochs that are left"),
    Float(name="stage_ratio_2", low=0.1, high=1.0, log=True, when=_stages(2, 3, 4), about="rate, times the stage before"),
    Float(name="stage_ratio_3", low=0.1, high=1.0, log=True, when=_stages(3, 4), about="rate, times the stage before"),
    Float(name="stage_ratio_4", low=0.1, high=1.0, log=True, when=_stages(4), about="rate, times the stage before"),
    Float(name="polish_fraction", low=0.0, high=0.3, when=_GRADUAL, about="share of epochs, at the end, for the head alone"),
    Float(name="polish_multiplier", low=1e-3, high=1.0, log=True, when=_GRADUAL, about="its rate, times the learning rate"),
    Float(
        name="layer_decay",
        low=0.5,
        high=1.0,
        when={**PRETRAINED, "fine_tuning": one_of("layer_decay")},
        about="rate of each block, times that of the next",
    ),
    Float(name="head_multiplier", low=1.0, high=100.0, log=True, when=PRETRAINED, about="rate of the head, times the learning rate"),
    Choice(name="batch_norm", options=("eval_frozen", "train", "eval_all"), when=PRETRAINED, about="which statistics stay fixed"),
)
