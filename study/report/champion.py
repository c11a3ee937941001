"""The champion's evidence, to set the winner against it on the same images."""

from study.connections.model_registry import has_whole_database, registry_of
from study.errors import MissingFilesError, StudyError
from study.evaluation.final_result import FinalResult
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.names import CHAMPION
from study.registry.version_files import fetch
from study.registry.version_layout import EVIDENCE
from study.registry.versions import Version, list_versions


def champion_of(home: Home, final: FinalResult, winner: TestEvidence) -> tuple[Version, TestEvidence] | str:
    """The champion of the winner's model with what it said of the same images; or the sentence that says why
    there is none to compare with. Nothing is measured for it.
    """
    try:
        if not has_whole_database(home):
            return "There is no registry of models here, so there is no champion to compare with."
        with registry_of(home) as client:
            champion = next(
                (one for one in list_versions(client, final.model) if CHAMPION in one.aliases), None
            )
            if champion is None:
                return "No version of the model has been promoted, so there is no champion to compare with."
            if champion.number == final.version:
                return "The winner is the champion."
            evidence = TestEvidence.read(fetch(client, home, champion, EVIDENCE))
    except MissingFilesError:
        return "The champion's evidence is missing, so the winner cannot be set against it."
    except StudyError:
        return "MLflow could not be asked for the champion, so the winner is not set against it."
    if evidence.dataset_digest != winner.dataset_digest or evidence.classes != winner.classes:
        return f"The champion, {champion.name}, was measured on other images, so nothing is set against it."
    return champion, evidence
