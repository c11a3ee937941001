"""Nothing to search: every value is fixed by the study, or our default."""

from search_spaces.space import SearchSpace

SPACE = SearchSpace(
    name="given",
    about="No dimension at all: what a study fixes is trained, with as many seeds as it has trials.",
    dimensions=(),
)
