"""Dimensions that look important although their own effect is flat."""

import re

from made_studies import made_study

from search_spaces.space import Point
from study.analysis.effects import Marginals
from study.analysis.flat_effects import flat_effects, flat_sentence
from study.analysis.importance import importances

SPACE = {
    "optimizer": {"choice": ["sgd", "adam"]},
    "schedule": {"choice": ["cosine", "constant"]},
    "dropout": {"float": [0.0, 0.5]},
}


def told(worth: object) -> tuple[tuple[str, ...], str | None]:
    result = made_study(worth, trials=60, space=SPACE)  # type: ignore[arg-type]
    marginals = Marginals(result)
    rows = importances(result, marginals).rows
    return flat_effects(rows, marginals), flat_sentence(rows, marginals)


def test_what_matters_with_another_dimension_alone_is_explained() -> None:
    def worth(point: Point) -> float:
        """Dropout helps one optimizer as much as it harms the other."""
        return 0.5 + 0.2 * (float(point["dropout"]) - 0.2) * (1 if point["optimizer"] == "sgd" else -1)

    flat, sentence = told(worth)
    assert flat == ("dropout",)
    assert sentence is not None
    assert re.match(r"Dropout \(\d\d%\) has a large share, and yet its own effect is nearly flat\.", sentence)
    assert "it may matter together with other dimensions" in sentence


def test_what_matters_by_itself_needs_no_explanation() -> None:
    assert told(lambda point: 0.5 + 0.2 * (point["optimizer"] == "sgd")) == ((), None)
