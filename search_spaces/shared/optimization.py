"""How weights move: optimizer, schedule, batch, and the average that is kept."""

from search_spaces.dimensions import Choice, Dimension, Float, Int, none_of, one_of

ADAM = {"optimizer": one_of("adam", "adamw")}
SGD = {"optimizer": one_of("sgd")}

OPTIMIZER = Choice(name="optimizer", options=("adamw", "sgd", "adam"))

OPTIMIZATION: tuple[Dimension, ...] = (
    Float(name="momentum", low=0.8, high=0.99, when=SGD),
    Float(name="weight_decay", low=1e-6, high=1e-1, log=True),
    Choice(name="schedule", options=("cosine", "constant", "step"), about="how the learning rate falls"),
    Float(name="warmup_fraction", low=0.0, high=0.2),
    Choice(name="batch_size", options=(32, 64, 128, 256), unit="images"),
)
"""What every training needs decided."""

OPTIMIZATION_FURTHER: tuple[Dimension, ...] = (
    Float(name="momentum", low=0.7, high=0.999, when=SGD),
    Float(name="second_moment", low=0.9, high=0.9999, when=ADAM),
    Float(name="weight_decay", low=1e-6, high=1e-1, log=True),
    Choice(
        name="schedule",
        options=("cosine", "linear", "one_cycle", "wsd", "step", "plateau", "constant"),
        about="how the learning rate goes; wsd is stable, then falls",
    ),
    Float(name="warmup_fraction", low=0.0, high=0.2),
    Float(
        name="final_ratio",
        low=0.0,
        high=0.1,
        when={"schedule": one_of("cosine", "linear", "wsd")},
        about="where the rate ends",
    ),
    Float(
        name="decay_fraction",
        low=0.1,
        high=0.5,
        when={"schedule": one_of("wsd")},
        about="share of steps that falls",
    ),
    Int(name="step_epochs", low=2, high=30, log=True, unit="epochs", when={"schedule": one_of("step")}),
    Float(name="step_factor", low=0.1, high=0.9, when={"schedule": one_of("step", "plateau")}),
    Int(name="plateau_epochs", low=2, high=10, unit="epochs", when={"schedule": one_of("plateau")}),
    Choice(name="batch_size", options=(32, 64, 128, 256, 512, 1024, 2048), unit="images"),
    Choice(name="gradient_clip", options=("none", "norm", "value")),
    Float(name="clip_at", low=0.05, high=10.0, log=True, when={"gradient_clip": none_of("none")}),
    Choice(
        name="averaging", options=(False, True), about="whether an average of the weights over steps is kept"
    ),
    Float(
        name="average_halflife", low=0.02, high=3.0, log=True, unit="epochs", when={"averaging": one_of(True)}
    ),
)
"""The same with all that can be decided."""
