"""Which annotator models a comparison is of, each by its newest finished run. A web process may import it."""

from dataclasses import dataclass

from annotation.models import Study
from modeling.annotators.selecting import CORPUS
from modeling.models import AnnotatorModel, AnnotatorRun, PromptVersion, Report
from modeling.tuning.usable_runs import list_runs


@dataclass(frozen=True)
class Candidate:
    """An annotator model, and the run by which it is compared; the reason where there is none."""

    annotator: AnnotatorModel
    run: AnnotatorRun | None
    reason: str

    @property
    def name(self) -> str:
        return str(self.annotator)


def list_candidates(study: Study) -> list[Candidate]:
    """Return every version of a study's annotator models that reads values and is not retired, oldest first."""
    runs: dict[int, AnnotatorRun] = {}
    for run in list_runs(study):
        if run.selection.get("posts") != CORPUS:  # of these posts people say nothing
            runs.setdefault(run.annotator_id, run)
    annotators = study.annotators.filter(retired_at=None).order_by("created_at", "pk")
    of_codebooks = annotators.filter(prompt__isnull=False).exclude(
        prompt__purpose=PromptVersion.Purpose.VALUES
    )
    return [
        Candidate(annotator, runs.get(annotator.pk), "" if annotator.pk in runs else _say_why(annotator))
        for annotator in annotators.exclude(pk__in=of_codebooks.values("pk"))
    ]


def list_unseen(study: Study, comparison: Report | None) -> list[str]:
    """Return the names of the models with a finished run that is not the one in this comparison."""
    seen = {model["run"] for model in comparison.measures["models"]} if comparison else set()
    return [
        candidate.name
        for candidate in list_candidates(study)
        if candidate.run is not None and candidate.run.pk not in seen
    ]


def _say_why(annotator: AnnotatorModel) -> str:
    run = annotator.runs.filter(curation=None, is_preview=False).first()
    if run is None:
        return "it has no run over the study's posts yet"
    return f"no run over the study's posts is done; the newest is {run.get_state_display().lower()}"
