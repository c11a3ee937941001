"""What a person writes: frozen, and no key that means nothing."""

from pydantic import BaseModel, ConfigDict


class Written(BaseModel):
    """A part of a study file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    """The string below a field is its description: `study/REFERENCE.md` is made of them."""
