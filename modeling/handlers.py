"""What a worker does for modeling: each job computes first, then writes its effect at once."""

from typing import Any

from django.core.files.storage import storages
from django.utils import timezone

from annotation.models import Study
from jobs.errors import PermanentError
from jobs.parts import Part, Parts
from jobs.registry import Effect, handles
from jobs.services import Claim, retry
from modeling.estimators.data import FitSettings

from . import fits, flagging, services
from .annotators import handlers as _annotators  # noqa: F401
from .artefacts import delete_file
from .checking import handlers as _checks  # noqa: F401 - their handlers are registered
from .curation import handlers as _curations  # noqa: F401 - their handlers are registered
from .errors import ModelingError
from .export.making import ReportAside, make_archive, name_archive, store_export
from .export.requests import EXPORT
from .inclusion import INCLUSION, InclusionRule, from_settings
from .models import FitRun
from .refining import error_handlers as _errors  # noqa: F401 - their handlers are registered
from .refining import handlers as _refinings  # noqa: F401 - their handlers are registered
from .rehearsals import REHEARSE, find_hindrances
from .reporting import cards, making
from .reporting import handlers as _comparisons  # noqa: F401 - their handlers are registered
from .reporting.requests import (
    AGREEMENT,
    CARD,
    DOCUMENT,
    EVALUATE,
    FIT,
    FIT_UNIT,
    REFIT,
    get_agreement,
    key_of,
)
from .reports.document.html import write_html
from .reports.document.pdf import write_pdf
from .reports.figures import draw_agreement_figures, draw_evaluation_figures
from .reports.figures.figure import Figure
from .reports.figures.render import Drawn, render
from .scoring import making as scoring
from .scoring.requests import SCORE, SCORE_PIECE
from .simulated_raters import Cast, rehearse
from .softlabels import handlers as _soft_labels  # noqa: F401 - their handlers are registered
from .transfer import handlers as _transfers  # noqa: F401 - their handlers are registered
from .tuning import handlers as _tunings  # noqa: F401 - their handlers are registered
from .tuning.usable_runs import ANNOTATOR_RUN, find_run
from .verifying import handlers as _verifications  # noqa: F401 - their handlers are registered


@handles(FIT)
def fit_study(claim: Claim) -> Effect | Parts:
    """Fit one study's personalization: prepare it, have its units done by whoever is free, and put them together."""
    study, settings, rule = _read_fit(claim)
    run = find_run(claim.payload["settings"])
    try:
        if claim.parts is None:
            claim.report(0, 1, "reading posts")
            place = fits.begin(study, settings, rule, run)
            return Parts(
                [
                    Part(
                        FIT_UNIT,
                        f"{FIT_UNIT}:{claim.job_id}:{place['sha256'][:16]}:{name}",
                        claim.payload | {"begun": place, "unit": name},
                    )
                    for name in place["units"]
                ],
                note="parts fitted",
            )
        done = [part.result or {} for part in claim.parts]
        finished = fits.finish(study, settings, claim.parts[0].payload["begun"], done)
    except ModelingError as error:
        raise PermanentError(str(error)) from error

    def store() -> dict[str, Any]:
        return {"fit_run": services.store_fit(study, settings, finished, rule, run).pk}

    return store


@handles(FIT_UNIT)
def fit_unit(claim: Claim) -> Effect:
    """Do one unit of a fit: some fittings of one member, for one value or for all."""
    study, settings, _ = _read_fit(claim)
    try:
        done = fits.do(study, settings, claim.payload["begun"], claim.payload["unit"], claim.report)
    except (ModelingError, ValueError) as error:
        raise PermanentError(str(error)) from error
    return lambda: done


@handles(SCORE)
def score_study(claim: Claim) -> Effect | Parts:
    """Score all posts of a study for all raters a fit knows, in pieces that are done by whoever is free."""
    fit_run = FitRun.objects.select_related("study").get(pk=claim.payload["fit_run"])
    try:
        if claim.parts is None:
            place = scoring.begin(fit_run, claim.payload["dtype"])
            return Parts(
                [
                    Part(
                        SCORE_PIECE,
                        f"{SCORE_PIECE}:{claim.job_id}:{place['sha256'][:16]}:{piece['value']}:{piece['first_post']}",
                        claim.payload | {"begun": place, "piece": piece},
                    )
                    for piece in scoring.list_pieces(fit_run, place)
                ],
                note="pieces scored",
            )
        done = [part.result or {} for part in claim.parts]
        finished = scoring.finish(fit_run, claim.parts[0].payload["begun"], done)
    except (ModelingError, ValueError) as error:
        raise PermanentError(str(error)) from error

    def store() -> dict[str, Any]:
        score_run = scoring.store(fit_run, finished)
        return {"score_run": score_run and score_run.pk}

    return store


@handles(SCORE_PIECE)
def score_piece(claim: Claim) -> Effect:
    """Score one value of some posts for all raters."""
    fit_run = FitRun.objects.select_related("study").get(pk=claim.payload["fit_run"])
    try:
        done = scoring.score_piece(fit_run, claim.payload["begun"], claim.payload["piece"], claim.report)
    except (ModelingError, ValueError) as error:
        raise PermanentError(str(error)) from error
    return lambda: done


def _read_fit(claim: Claim) -> tuple[Study, FitSettings, InclusionRule]:
    study = Study.objects.get(pk=claim.payload["study"])
    rule = from_settings(claim.payload["settings"])
    beside = (INCLUSION, ANNOTATOR_RUN)
    settings = FitSettings(**{k: v for k, v in claim.payload["settings"].items() if k not in beside})
    return study, settings, rule


@handles(REFIT)
def refit(claim: Claim) -> Effect:
    """Ask for the fit of a study's ratings as they are now; where it is there, for its report."""
    study, rule = _read_request(claim)
    try:
        order = services.prepare_fit(study, rule=rule, annotator_run=find_run(claim.payload))
    except ModelingError as error:
        raise PermanentError(str(error)) from error

    def ask() -> dict[str, Any]:
        job = services.enqueue_fit(order)
        retry(job)  # only what failed or was cancelled
        fit_run = study.fit_runs.filter(pk=(job.result or {}).get("fit_run"), report=None).first()
        if fit_run:
            retry(services.request_evaluation(fit_run))
        return {"job": job.pk}

    return ask


@handles(EVALUATE)
def evaluate_fit(claim: Claim) -> Effect:
    """Compute the report of one fit."""
    fit_run = FitRun.objects.select_related("study__value_system").get(pk=claim.payload["fit_run"])
    try:
        measures = making.evaluate_fit(fit_run, claim.report)
    except ModelingError as error:
        raise PermanentError(str(error)) from error
    figures = _draw(draw_evaluation_figures(measures), claim)

    def store() -> dict[str, Any]:
        return {"report": making.store_evaluation(fit_run, measures, figures).pk}

    return store


@handles(CARD)
def write_card(claim: Claim) -> Effect | None:
    """Write the card of a fit."""
    fit_run = FitRun.objects.select_related("study", "report").get(pk=claim.payload["fit_run"])
    content, html, pdf = cards.make_card(fit_run)
    return lambda: {"card": cards.store_card(fit_run, content, html, pdf).pk}


@handles(AGREEMENT)
def report_agreement(claim: Claim) -> Effect:
    """Compute how far the people of a study agree. A report by a rule that nobody fulfils any more is removed."""
    study, rule = _read_request(claim)
    read_at = timezone.now()
    try:
        table, measures = making.compute_agreement(study, rule, claim.report)
    except ModelingError as error:
        if get_agreement(study, key_of(rule)) is None:
            raise PermanentError(str(error)) from error
        return lambda: making.remove_agreement(study, rule)
    figures = _draw(draw_agreement_figures(measures), claim)

    def store() -> dict[str, Any]:
        report = making.store_agreement(study, rule, table, measures, figures, read_at=read_at)
        return {"report": report.pk}

    return store


@handles(DOCUMENT)
def write_document(claim: Claim) -> Effect | None:
    """Write the document of a study's stored reports, as HTML and as PDF."""
    study, rule = _read_request(claim)
    composed = making.compose_document(study, rule)
    if composed is None:  # the reports were removed since
        return None
    document, sources = composed
    html, pdf = write_html(document), write_pdf(document)
    return lambda: {"document": making.store_document(study, rule, sources, html, pdf).pk}


def _read_request(claim: Claim) -> tuple[Study, InclusionRule]:
    study = Study.objects.select_related("value_system").get(pk=claim.payload["study"])
    return study, InclusionRule.from_dict(claim.payload["rule"])


def _draw(figures: list[Figure], claim: Claim) -> list[tuple[Figure, Drawn]]:
    drawn = []
    for done, figure in enumerate(figures):
        claim.report(done, len(figures), "figures drawn")
        drawn.append((figure, render(figure.spec)))
    return drawn


@handles(flagging.KIND)
def flag_quality(claim: Claim) -> Effect:
    """Compute the quality flags of one study."""
    study = Study.objects.get(pk=claim.payload["study"])
    flags, summary = flagging.compute_flags(study, claim.payload["limits"], claim.report)

    def store() -> dict[str, Any]:
        return summary | {"n_flagged": flagging.store_flags(study, flags)}

    return store


@handles("erase_files")
def erase_files(claim: Claim) -> Effect:
    """Delete files that must not stay. Safe to run twice."""

    def erase() -> None:
        for name in claim.payload["names"]:
            storages["artefacts"].delete(name)

    return erase


@handles("erase_predictions")
def erase_predictions(claim: Claim) -> Effect:
    """Delete the files of a fit that saw answers which were taken back. Safe to run twice."""

    def erase() -> None:
        for name in claim.payload.get("names") or [claim.payload["artefact"]]:
            delete_file(name)

    return erase


@handles(REHEARSE)
def rehearse_study(claim: Claim) -> Effect:
    """Send simulated raters through a study as a rehearsal.

    What they answer is written as they go, as people's answers are. Raters have fixed numbers, so a second try
    finds those who have finished and sends in the rest.
    """
    study = Study.objects.select_related("value_system").get(pk=claim.payload["study"])
    if reasons := find_hindrances(study):
        raise PermanentError("Nobody can walk this study yet: " + " ".join(reasons))
    cast = Cast(study, rehearses=True)
    numbers = [
        number for number in cast.list_unfinished(claim.payload["last"]) if number >= claim.payload["first"]
    ]

    def show(done: int, total: int) -> None:
        claim.extend()  # whoever erased the rehearsal meanwhile has cancelled this job
        claim.report(done, total, "simulated raters")

    show(0, len(numbers))
    mishaps = rehearse(cast, numbers, on_progress=show)
    return lambda: {"raters": len(numbers), "mishaps": mishaps}


@handles(EXPORT)
def export_study(claim: Claim) -> Effect:
    """Make an archive of a study's data. What an earlier try of this job left behind is deleted first."""
    study = Study.objects.get(pk=claim.payload["study"])
    storage = storages["artefacts"]
    for attempt in range(1, claim.attempt):
        storage.delete(name_archive(study, claim.job_id, attempt))
    with ReportAside(claim) as report:
        archive = make_archive(
            study, claim.payload["scope"], name_archive(study, claim.job_id, claim.attempt), report
        )

    def store() -> dict[str, Any]:
        export = store_export(
            study, archive, actor_id=claim.payload["actor"], asked_by=claim.payload["asked_by"]
        )
        return {"export": export.pk}

    try:
        claim.extend()  # an archive without a row would be out of reach of an erasure
    except Exception:
        storage.delete(archive.name)
        raise
    return _delete_on_error(store, archive.name)


def _delete_on_error(effect: Effect, name: str) -> Effect:
    def store() -> Any:
        try:
            return effect()
        except Exception:
            storages["artefacts"].delete(name)
            raise

    return store
