"""The report of a study as one HTML page: all that it needs is in it, and it asks no network for anything."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from plotly.offline import get_plotlyjs

from study.analysis.effects import Marginals
from study.analysis.flat_effects import flat_sentence
from study.analysis.health import health_cards
from study.analysis.importance import Importances, importances
from study.analysis.summary import summary
from study.home import Home
from study.report.champion import champion_of
from study.report.figures.confusion_figure import confusion_picture, difference_picture
from study.report.figures.curves_figure import curves_picture
from study.report.figures.effect_figure import effect_picture, how_to_read
from study.report.figures.history_figure import history_picture
from study.report.figures.importance_figure import importance_picture
from study.report.figures.palette import dark_colors
from study.report.figures.parallel_figure import parallel_picture
from study.report.figures.pareto_figure import pareto_picture
from study.report.figures.picture import Shown, varied
from study.report.figures.recall_figure import recall_picture
from study.report.figures.reliability_figure import reliability_picture
from study.report.figures.timeline_figure import timeline_picture
from study.report.judgement import Judgement, classes_of, judgement_of, with_champion
from study.report.kept_inspection import mistakes_of
from study.report.markup import json_text, paragraph, picture_html, text
from study.report.sections import (
    Section,
    cost_html,
    health_section,
    leaderboard_section,
    mistakes_html,
    reproduction_html,
    summary_section,
    tested_html,
)
from study.results.study_result import StudyResult

FOLDER = Path(__file__).with_name("page")
MOST_EFFECTS = 9
FREEZE_DEPTH, ARCHITECTURE = "freeze_depth", "architecture"


def report_html(result: StudyResult, home: Home) -> str:
    """The whole page. `home` has the dataset and the registry; of what is missing there, the page says so."""
    found, cards = importances(result), health_cards(result)
    sections = [
        summary_section(summary(result, importance=found, cards=cards)),
        health_section(cards),
        leaderboard_section(result),
        _section("history", "Optimisation history", history_picture(result)),
        _importance(result, found),
        _section("parallel", "Parallel coordinates", parallel_picture(result, dimensions_of(result, found))),
    ]
    if len(result.spec.objectives) > 1:
        sections.append(_section("pareto", "Pareto front", pareto_picture(result)))
    sections += [
        _section("curves", "Learning curves", curves_picture(result)),
        *_judgement(result, home),
        _section("timeline", "Timeline of devices", timeline_picture(result)),
        Section(name="cost", title="Receipt", html=cost_html(result.cost)),
        Section(name="again", title="How to reproduce it", html=reproduction_html(result)),
    ]
    return _page(result, sections)


def dimensions_of(result: StudyResult, found: Importances) -> list[str]:
    """The dimensions that differ among the trials, the most important first."""
    known = [row.dimension for row in found.rows]
    return [*known, *(name for name in varied(result.leaderboard) if name not in known)]


def _importance(result: StudyResult, found: Importances) -> Section:
    """Freeze depth by architecture comes first, where the study searches it: it is what people ask."""
    dimensions, marginals = dimensions_of(result, found), Marginals(result)
    parts = [paragraph(how_to_read(result))] if found.rows else []
    if FREEZE_DEPTH in dimensions:
        by = ARCHITECTURE if ARCHITECTURE in dimensions else None
        shown = effect_picture(result, FREEZE_DEPTH, marginals, by=by)
        parts.append(_shown(shown, "effect-first"))
    parts.append(_shown(importance_picture(result, found), "importance", heading=True))
    flat = flat_sentence(found.rows, marginals)
    parts += [] if flat is None else [paragraph(flat)]
    pictures = [
        (name, effect_picture(result, name, marginals))
        for name in [one for one in dimensions if one != FREEZE_DEPTH or ARCHITECTURE in dimensions][
            :MOST_EFFECTS
        ]
    ]
    drawn = [
        f"<div>{_shown(shown, f'effect-{index}')}</div>"
        for index, (_, shown) in enumerate(pictures)
        if not isinstance(shown, str)
    ]
    parts += ["".join(('<div class="effects">', *drawn, "</div>"))] if drawn else []
    missing = [name.replace("_", " ") for name, shown in pictures if isinstance(shown, str)]
    if missing:
        parts.append(paragraph(f"Too few trials tell the effect of {', '.join(missing)}."))
    return Section(name="importance", title="What mattered", html="".join(parts))


def _judgement(result: StudyResult, home: Home) -> list[Section]:
    classes = classes_of(result)
    found = None if classes is None else judgement_of(result, classes)
    tested = "" if result.final is None else tested_html(result.final)
    if classes is None or found is None:
        why = paragraph("What the winner says of each image was not kept, so its confusions are not shown.")
        return [Section(name="winner", title="The winner", html=tested + why)]
    found, confusions = _confusions(result, home, found)
    mistakes = mistakes_of(result, home, classes)
    return [
        Section(name="winner", title="The winner's confusions", html=tested + confusions),
        _section("recall", "Recall of each class", recall_picture(found.recalls, found.whose)),
        _section(
            "reliability",
            "Can its probabilities be trusted?",
            reliability_picture(found.num_B, found.num_right_B, found.confidence_B, found.whose),
        ),
        Section(
            name="mistakes",
            title="Its most confident mistakes",
            html=paragraph(mistakes)
            if isinstance(mistakes, str)
            else paragraph(
                "Images of the validation split that the winner's network was wrong about with the highest "
                "probability. Some may have a wrong label."
            )
            + mistakes_html(mistakes),
        ),
    ]


def _confusions(result: StudyResult, home: Home, found: Judgement) -> tuple[Judgement, str]:
    html = _shown(confusion_picture(found.confusion_KK, found.classes, found.whose), "confusion")
    if result.final is None or found.evidence is None:
        return found, html
    champion = champion_of(home, result.final, found.evidence)
    if isinstance(champion, str):
        return found, html + paragraph(champion)
    version, evidence = champion
    compared, champion_KK = with_champion(found, evidence)
    whose = (
        f"{result.final.model} version {result.final.version} against the champion, version {version.number}"
    )
    difference = difference_picture(found.confusion_KK, champion_KK, found.classes, whose)
    return compared, html + _shown(difference, "difference")


def _section(name: str, title: str, shown: Shown) -> Section:
    return Section(name=name, title=title, html=_shown(shown, name, heading=False))


def _shown(shown: Shown, name: str, *, heading: bool = True) -> str:
    return paragraph(shown) if isinstance(shown, str) else picture_html(shown, name, heading=heading)


def _page(result: StudyResult, sections: Sequence[Section]) -> str:
    style, script = ((FOLDER / file).read_text(encoding="utf-8") for file in ("page.css", "page.js"))
    plotly = get_plotlyjs()
    # Only these two scripts run, whatever stands in the page; and it can ask nobody for anything.
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {_hash(plotly)} {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    spec = result.spec
    about = "" if spec.about is None else f'<p class="about">{text(spec.about)}</p>'
    links = "".join(f'<li><a href="#{one.name}">{text(one.title)}</a></li>' for one in sections)
    body = "".join(
        f'<section id="{one.name}" aria-labelledby="{one.name}-title"><h2 id="{one.name}-title">'
        f"{text(one.title)}</h2>{one.html}</section>"
        for one in sections
    )
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>Report of the study {text(spec.study)}</title><style>{style}</style></head><body>"
        '<a class="skip" href="#summary">Skip to the summary</a>'
        f"<header><div><h1>{text(spec.study)}</h1>"
        f'<p class="about">A study on the dataset <bdi>{text(spec.dataset)}</bdi>: {text(result.state)}, '
        f"{text(result.progress)}</p>{about}</div>"
        '<button type="button" id="theme" hidden>Dark colours</button></header>'
        f'<nav aria-label="Contents"><ul>{links}</ul></nav>'
        "<noscript><p>The pictures need JavaScript. The tables have the same numbers.</p></noscript>"
        f'<main>{body}</main><p id="live" class="unseen" aria-live="polite"></p>'
        f"<footer>Made by <code>study report {text(spec.study)}</code> on {made}. "
        "This file holds all that it shows, and loads nothing.</footer>"
        f'<script type="application/json" id="dark-colors">{json_text(dark_colors())}</script>'
        f"<script>{plotly}</script><script>{script}</script></body></html>\n"
    )


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
