"""What can go wrong with data, recipes and trainings, told to the person who asked.

TrainableError
├── DatasetError (ValueError)           data that cannot be added or opened
│   └── UnknownDatasetError (LookupError)
├── RecipeError (ValueError)            a configuration that no training can follow
│   └── FieldError                      a field whose value breaks its rule
├── WeightsError (ValueError)           pretrained weights that cannot be found or do not fit
├── CutOffError (RuntimeError)          work that was cut off, and that the same call goes on with
├── DivergedError (ArithmeticError)     a training whose loss stopped being a number
├── ExportError (ValueError)            a classifier that cannot be written as a file for others to run
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


class FieldError(RecipeError):
    """A field of a recipe whose value breaks its rule; `named` says it again under the name that a person
    gave the field.
    """

    def __init__(self, field: str, rule: str) -> None:
        """`field` is its name or its path (`optimizer.kind`), `rule` what goes on from there (`must lie in
        [0, 1], got 2`).
        """
        super().__init__(field, rule)
        self.field = field
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.field} {self.rule}"

    def named(self, field: str) -> "FieldError":
        """The same error of the field under another name."""
        return FieldError(field, self.rule)


class WeightsError(TrainableError, ValueError):
    """Pretrained weights that cannot be found, or that do not fit the model."""


class CutOffError(TrainableError, RuntimeError):
    """Work that was cut off by no fault of what it is about; what is done stays for the same call."""


class DivergedError(TrainableError, ArithmeticError):
    """A training whose loss stopped being a finite number."""


class ExportError(TrainableError, ValueError):
    """A classifier that cannot be written as a file for others to run, or whose file says something else."""


class MemoryExhaustedError(TrainableError, MemoryError):
    """A training that the device's memory cannot hold."""
