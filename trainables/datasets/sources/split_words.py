"""The words people use for splits."""

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


def split_of_word(word: str) -> str | None:
    """`train`, `validation` or `test` for any usual word, upper or lower case; None for other words."""
    return SPLIT_WORDS.get(word.strip().lower())
