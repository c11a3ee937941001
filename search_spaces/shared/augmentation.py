"""How training images are disturbed: augmentation, mixing, dropout."""

from search_spaces.dimensions import Choice, Dimension, Float, Int, none_of, one_of

AUGMENTATION: tuple[Dimension, ...] = (
    Float(name="augmentation_strength", low=0.0, high=1.0),
    Choice(name="flip_probability", options=(0.0, 0.5), about="mirror images; 0 for letters and digits"),
    Float(name="dropout", low=0.0, high=0.7, about="before the last layer"),
)
"""What every training needs decided."""

_AFFINE = {"augmentation_policy": one_of("affine")}
_RAND = {"augmentation_policy": one_of("rand")}
_MIXED = {"mixing": none_of("none")}

AUGMENTATION_FURTHER: tuple[Dimension, ...] = (
    Choice(name="augmentation_policy", options=("affine", "trivial", "rand")),
    Float(name="augmentation_strength", low=0.0, high=1.0, when=_AFFINE, about="multiplies the seven below"),
    Float(name="rotation_degrees", low=0.0, high=45.0, when=_AFFINE),
    Float(name="shift_fraction", low=0.0, high=0.3, when=_AFFINE),
    Float(name="zoom_fraction", low=0.0, high=0.5, when=_AFFINE),
    Float(name="shear_degrees", low=0.0, high=25.0, when=_AFFINE),
    Float(name="brightness_fraction", low=0.0, high=0.6, when=_AFFINE),
    Float(name="contrast_fraction", low=0.0, high=0.6, when=_AFFINE),
    Float(name="erase_probability", low=0.0, high=0.8, when=_AFFINE),
    Float(name="rare_class_power", low=0.0, high=1.0, when=_AFFINE, about="rare classes are changed more"),
    Int(name="rand_operations", low=1, high=3, when=_RAND),
    Int(name="rand_magnitude", low=0, high=30, when=_RAND),
    Choice(name="flip_probability", options=(0.0, 0.5), about="mirror images; 0 for letters and digits"),
    Choice(
        name="crop_margin",
        options=(0, 4, 8, 16),
        unit="px",
        about="images this much larger, cropped at random",
    ),
    Choice(name="mixing", options=("none", "mixup", "cutmix")),
    Float(name="mixing_alpha", low=0.05, high=2.0, log=True, when=_MIXED),
    Float(name="mixing_probability", low=0.0, high=1.0, when=_MIXED),
    Float(
        name="mixing_off_fraction",
        low=0.0,
        high=0.3,
        when=_MIXED,
        about="share of epochs, at the end, without",
    ),
    Float(name="dropout", low=0.0, high=0.7, about="before the last layer"),
)
"""The same with all that can be decided."""
