"""A named recipe: a published configuration that a study may start from."""

from dataclasses import dataclass

from search_spaces.space import Point


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A published configuration as a point, which a study may start from."""

    name: str
    dataset: str
    """Name of the dataset it was published on."""
    source: str
    """Where it comes from."""
    about: str
    stated: Point
    """What the source states."""
    chosen: Point
    """What the source leaves open and we decided."""
    epochs: int

    @property
    def point(self) -> Point:
        """The whole configuration."""
        return self.stated | self.chosen
