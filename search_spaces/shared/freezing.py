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
        about=(
            "all at once; from a stage on; a range of stages; head first (arXiv:2202.10054); step by step; "
            "earlier blocks slower"
        ),
    ),
    Int(
        name="freeze_depth",
        low=1,
        high=4,
        unit="stages",
        when={**PRETRAINED, "fine_tuning": one_of("suffix")},
        about="stages frozen from the input; 4 leaves the head",
    ),
    Int(
        name="freeze_depth", low=0, high=1, unit="stages", when={**PRETRAINED, "fine_tuning": one_of("range")}
    ),
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
        about="share of epochs, at the start, for the head alone",
    ),
    Float(
        name="probe_multiplier",
        low=1.0,
        high=100.0,
        log=True,
        when={**PRETRAINED, "fine_tuning": one_of("lp_ft", "gradual")},
        about="learning rate of these epochs, as a multiple of learning_rate",
    ),
    Int(
        name="unfreezing_stages",
        low=1,
        high=4,
        when=_GRADUAL,
        about="stages after the head, each of which trains more blocks",
    ),
    Float(
        name="stage_cut_1",
        low=0.05,
        high=1.0,
        when=_GRADUAL,
        about="share of blocks, from the head, that train in stage 1",
    ),
    Float(
        name="stage_cut_2",
        low=0.05,
        high=1.0,
        when=_stages(2, 3, 4),
        about="share of frozen blocks that stage 2 unfreezes",
    ),
    Float(
        name="stage_cut_3",
        low=0.05,
        high=1.0,
        when=_stages(3, 4),
        about="share of frozen blocks that stage 3 unfreezes",
    ),
    Float(
        name="stage_cut_4",
        low=0.05,
        high=1.0,
        when=_stages(4),
        about="share of frozen blocks that stage 4 unfreezes",
    ),
    Float(
        name="stage_epochs_1",
        low=0.1,
        high=0.9,
        when=_stages(2, 3, 4),
        about="share of the stages' epochs for stage 1",
    ),
    Float(
        name="stage_epochs_2",
        low=0.1,
        high=0.9,
        when=_stages(3, 4),
        about="share of the remaining epochs for stage 2",
    ),
    Float(
        name="stage_epochs_3",
        low=0.1,
        high=0.9,
        when=_stages(4),
        about="share of the remaining epochs for stage 3",
    ),
    Float(
        name="stage_ratio_2",
        low=0.1,
        high=1.0,
        log=True,
        when=_stages(2, 3, 4),
        about="learning rate, as a multiple of stage 1's",
    ),
    Float(
        name="stage_ratio_3",
        low=0.1,
        high=1.0,
        log=True,
        when=_stages(3, 4),
        about="learning rate, as a multiple of stage 2's",
    ),
    Float(
        name="stage_ratio_4",
        low=0.1,
        high=1.0,
        log=True,
        when=_stages(4),
        about="learning rate, as a multiple of stage 3's",
    ),
    Float(
        name="polish_fraction",
        low=0.0,
        high=0.3,
        when=_GRADUAL,
        about="share of epochs, at the end, for the head alone",
    ),
    Float(
        name="polish_multiplier",
        low=1e-3,
        high=1.0,
        log=True,
        when=_GRADUAL,
        about="learning rate of these epochs, as a multiple of learning_rate",
    ),
    Float(
        name="layer_decay",
        low=0.5,
        high=1.0,
        when={**PRETRAINED, "fine_tuning": one_of("layer_decay")},
        about="learning rate of each block, as a multiple of the next one's",
    ),
    Float(
        name="head_multiplier",
        low=1.0,
        high=100.0,
        log=True,
        when=PRETRAINED,
        about="learning rate of the head, as a multiple of learning_rate",
    ),
    Choice(
        name="batch_norm",
        options=("eval_frozen", "train", "eval_all"),
        when=PRETRAINED,
        about="which statistics stay fixed",
    ),
)
