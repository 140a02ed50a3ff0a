"""What a worker does for modeling: each job computes first, then writes its effect at once."""

from typing import Any

from django.core.files.storage import storages

from annotation.models import Study
from jobs.errors import PermanentError
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.estimators.fitting import FitSettings

from . import services
from .errors import ModelingError
from .figures import draw_agreement
from .models import FitRun
from .presentation import tabulate_agreement


@handles("fit")
def fit_study(claim: Claim) -> Effect:
    """Fit one study's personalization."""
    study = Study.objects.get(pk=claim.payload["study"])
    settings = FitSettings(**claim.payload["settings"])
    try:
        table, result, artefact, digest = services.compute_fit(study, settings, claim.report)
    except ModelingError as error:
        raise PermanentError(str(error)) from error

    def store() -> dict[str, Any]:
        return {"fit_run": services.store_fit(study, settings, table, result, artefact, digest).pk}

    return store


@handles("evaluate")
def evaluate_fit(claim: Claim) -> Effect:
    """Compute the report of one fit."""
    fit_run = FitRun.objects.select_related("study").get(pk=claim.payload["fit_run"])
    try:
        measures = services.evaluate_fit(fit_run)
    except ModelingError as error:
        raise PermanentError(str(error)) from error
    figure = draw_agreement(tabulate_agreement(measures), is_simulated=measures["n_simulated"] > 0)

    def store() -> dict[str, Any]:
        return {"report": services.store_report(fit_run, measures, figure).pk}

    return store


@handles("erase_predictions")
def erase_predictions(claim: Claim) -> Effect:
    """Delete the file of a fit that saw answers which were taken back. Safe to run twice."""

    def erase() -> None:
        storages["artefacts"].delete(claim.payload["artefact"])

    return erase
