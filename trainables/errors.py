"""What can go wrong with data, recipes and trainings, told to the person who asked.

TrainableError
├── DatasetError (ValueError)           data that cannot be added or opened
│   └── UnknownDatasetError (LookupError)
├── RecipeError (ValueError)            a configuration that no training can follow
├── WeightsError (ValueError)           pretrained weights that cannot be found or do not fit
├── DivergedError (ArithmeticError)     a training whose loss stopped being a number
└── MemoryExhaustedError (MemoryError)  a training that the device's memory cannot hold
"""


class TrainableError(Exception):
    """Root of everything this package refuses; its text is one message for a person."""


class DatasetError(TrainableError, ValueError):
    """Data that cannot be added or opened."""


class UnknownDatasetError(DatasetError, LookupError):
    """No dataset has that name."""


class RecipeError(TrainableError, ValueError):
    """A configuration that no training can follow."""


class WeightsError(TrainableError, ValueError):
    """Pretrained weights that cannot be found, or that do not fit the model."""


class DivergedError(TrainableError, ArithmeticError):
    """A training whose loss stopped being a finite number."""


class MemoryExhaustedError(TrainableError, MemoryError):
    """A training that the device's memory cannot hold."""
