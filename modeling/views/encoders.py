"""Encoders taught by soft labels, and what they lose on other posts: asking for both, watching, reading the reports."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from jobs.models import Job
from modeling.encoders.settings import KINDS, LOSSES
from modeling.errors import TuningRefused
from modeling.models import AnnotatorModel, EncoderTraining, Report, TransferCheck
from modeling.models.encoders import Work
from modeling.reporting.subjects import get_report
from modeling.reports.encoder_tables import (
    MEASURES,
    group_findings,
    say_reference,
    say_transfer,
    tabulate_encoder,
    tabulate_transfer,
)
from modeling.reports.encoder_teaching import has_learnt_nothing, say_teaching
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import Measures, Table, write_csv
from modeling.transfer import services
from modeling.transfer.forms import CheckForm, TrainingForm
from modeling.transfer.services import Asked
from modeling.transfer.settings import CheckSettings, TrainingSettings

from .report_work import answer_file
from .results.frame import pick_figures, read_measures

POLL_SECONDS = 3
OF_KIND = {
    EncoderTraining: ("encoder", Report.Kind.ENCODER),
    TransferCheck: ("transfer", Report.Kind.TRANSFER),
}


@require_GET
@staff_member_required
def list_encoders(request: HttpRequest, slug: str) -> HttpResponse:
    """List the encoders that were taught soft labels, and the checks of transfer."""
    study = get_study(request.user, slug, Deed.SEE)
    trainings = study.encoder_trainings.select_related("soft_labels", "expert_set", "annotator")
    checks = study.transfer_checks.select_related("soft_labels")
    stopped = set(
        Job.objects.filter(
            kind__in=(services.TRAIN, services.CHECK), payload__study=study.pk, state__in=Job.STOPPED_STATES
        ).values_list("key", flat=True)
    )
    context = {
        "study": study,
        "trainings": [(each, _tell_state(each, stopped), _tell_kind(each)) for each in trainings],
        "checks": [(each, _tell_state(each, stopped), _tell_pair(each)) for each in checks],
        "has_soft_labels": bool(services.list_soft_labels(study)),
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "standin_words": SAYS_STANDIN,
    }
    return render(request, "modeling/encoders.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
def make_training(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for an encoder to be taught."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = TrainingForm(study, request.POST if request.method == "POST" else None)
    return _take(request, study, form, "encoder")


@require_http_methods(["GET", "HEAD", "POST"])
@staff_member_required
def make_check(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a check of transfer."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = CheckForm(study, request.POST if request.method == "POST" else None)
    return _take(request, study, form, "transfer")


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_training(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a training with its report; to htmx its state, and a fresh page once it has changed."""
    study, training = _get(EncoderTraining, request, slug, pk, Deed.SEE)
    work = _describe_work(request, study, training)
    if request.htmx:
        return _answer_htmx(request, work)
    report, measures = _find_report(study, training)
    settings = TrainingSettings.from_dict(training.settings)
    context: dict[str, Any] = {
        "training": training,
        "settings": settings,
        "kind": KINDS[settings.encoder.kind],
        "loss": LOSSES[settings.encoder.loss],
        "annotator": training.annotator or _find_twin(training, measures),
        "n_posts": len(training.post_ids),
        "report": report,
        "measures": measures,
    }
    if measures:
        figures = pick_figures([report], ("encoder_reliability", "encoder_by_value"))
        tables = tabulate_encoder(measures)
        context |= {
            "figures": {key.removeprefix("encoder_"): figure for key, figure in figures.items()},
            "tables": {key.removeprefix("encoder_"): table for key, table in tables.items()},
            "findings": group_findings(measures),
            "n_differences": len(MEASURES) * len(measures["differences"]),
            "reference": say_reference(measures),
            "teaching": say_teaching(measures),
            "has_learnt_nothing": has_learnt_nothing(measures),
        }
    return render(request, "modeling/encoder.html", work | context)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_check(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a check of transfer with its report; to htmx as a training."""
    study, check = _get(TransferCheck, request, slug, pk, Deed.SEE)
    work = _describe_work(request, study, check)
    if request.htmx:
        return _answer_htmx(request, work)
    report, measures = _find_report(study, check)
    settings = CheckSettings.from_dict(check.settings)
    context: dict[str, Any] = {
        "check": check,
        "settings": settings,
        "pair": _tell_pair(check),
        "kind": KINDS[settings.encoder.kind],
        "loss": LOSSES[settings.encoder.loss],
        "report": report,
        "measures": measures,
    }
    if measures:
        figures = pick_figures([report], ("transfer_losses", "transfer_scores"))
        tables = tabulate_transfer(measures)
        context |= {
            "figures": {key.removeprefix("transfer_"): figure for key, figure in figures.items()},
            "tables": {key.removeprefix("transfer_"): table for key, table in tables.items()},
            "findings": say_transfer(measures),
        }
    return render(request, "modeling/encoder_transfer.html", work | context)


@require_POST
@staff_member_required
def resume_training(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let a stopped training go on."""
    return _resume(request, *_get(EncoderTraining, request, slug, pk, Deed.SET_UP))


@require_POST
@staff_member_required
def resume_check(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let a stopped check go on."""
    return _resume(request, *_get(TransferCheck, request, slug, pk, Deed.SET_UP))


@require_POST
@staff_member_required
def cancel_training(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a training."""
    return _cancel(request, *_get(EncoderTraining, request, slug, pk, Deed.SET_UP))


@require_POST
@staff_member_required
def cancel_check(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a check."""
    return _cancel(request, *_get(TransferCheck, request, slug, pk, Deed.SET_UP))


@require_GET
@staff_member_required
def download_training(request: HttpRequest, slug: str, pk: int, table: str) -> HttpResponse:
    """Return a table of a training's report as CSV."""
    study, training = _get(EncoderTraining, request, slug, pk, Deed.SEE)
    _, measures = _find_report(study, training)
    return _send(study, training, tabulate_encoder(measures) if measures else {}, table)


@require_GET
@staff_member_required
def download_check(request: HttpRequest, slug: str, pk: int, table: str) -> HttpResponse:
    """Return a table of a check's report as CSV."""
    study, check = _get(TransferCheck, request, slug, pk, Deed.SEE)
    _, measures = _find_report(study, check)
    return _send(study, check, tabulate_transfer(measures) if measures else {}, table)


def _get(
    model: type[Asked], request: HttpRequest, slug: str, pk: int, deed: Deed
) -> tuple[Study, EncoderTraining | TransferCheck]:
    study = get_study(request.user, slug, deed)
    related = ["soft_labels", "created_by"] + (
        ["expert_set", "annotator"] if model is EncoderTraining else []
    )
    return study, get_object_or_404(model.objects.filter(study=study).select_related(*related), pk=pk)


def _take(request: HttpRequest, study: Study, form: TrainingForm | CheckForm, page: str) -> HttpResponse:
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                asked = form.create(request.user)
            except TuningRefused as refusal:
                form.add_faults(refusal)
            else:
                return redirect(f"modeling:{page}", study.slug, asked.pk)
    context = {
        "study": study,
        "form": form,
        "is_transfer": page == "transfer",
        "has_soft_labels": bool(services.list_soft_labels(study)),
        "needs_torch": "" if services.has_torch() else services.NEEDS_TORCH,
    }
    return render(request, "modeling/encoder_new.html", context, status=status)


def _resume(request: HttpRequest, study: Study, asked: Asked) -> HttpResponse:
    try:
        services.resume(asked, request.user)
    except TuningRefused as refusal:
        messages.error(request, str(refusal))
    return redirect(f"modeling:{OF_KIND[type(asked)][0]}", study.slug, asked.pk)


def _cancel(request: HttpRequest, study: Study, asked: Asked) -> HttpResponse:
    if not services.cancel(asked, request.user):
        messages.info(request, "It had come to its end already.")
    return redirect(f"modeling:{OF_KIND[type(asked)][0]}", study.slug, asked.pk)


def _send(study: Study, asked: Asked, tables: dict[str, Table], table: str) -> HttpResponse:
    if table not in tables:
        raise Http404("There is no such table.")
    name = f"{study.slug}-{table}-{asked.pk}.csv"
    return answer_file(write_csv(tables[table].as_json()), name, "text/csv; charset=utf-8")


def _find_report(study: Study, asked: Asked) -> tuple[Report | None, Measures | None]:
    report = get_report(study, OF_KIND[type(asked)][1], services.name_subject(asked))
    return report, read_measures(report)


def _describe_work(request: HttpRequest, study: Study, asked: Asked) -> dict[str, Any]:
    job, page = services.find_job(asked), OF_KIND[type(asked)][0]
    is_busy = services.is_under_way(asked)
    return {
        "study": study,
        "asked": asked,
        "page": f"modeling:{page}",
        "resume_page": f"modeling:{page}_resume",
        "cancel_page": f"modeling:{page}_cancel",
        "job": job,
        "is_busy": is_busy,
        "problem": asked.problem or (job.error if job and job.state == Job.State.FAILED else ""),
        "hindrance": "" if is_busy else services.find_hindrance(asked),
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "poll_seconds": POLL_SECONDS,
        "standin_words": SAYS_STANDIN,
    }


def _answer_htmx(request: HttpRequest, work: dict[str, Any]) -> HttpResponse:
    if not work["is_busy"]:
        return HttpResponseClientRefresh()
    return render(request, "modeling/_encoder_work.html", work)


def _tell_state(asked: Asked, stopped: set[str]) -> str:
    if asked.state in services.ASKED:
        return Work.FAILED.label if services.name_job(asked) in stopped else Work.RUNNING.label
    return asked.get_state_display()


def _tell_kind(training: EncoderTraining) -> str:
    encoder = TrainingSettings.from_dict(training.settings).encoder
    return f"{KINDS[encoder.kind]}, {LOSSES[encoder.loss].split(':')[0].lower()}"


def _tell_pair(check: TransferCheck) -> str:
    settings = CheckSettings.from_dict(check.settings)
    if settings.train_on:
        return f"by {settings.by}: taught “{settings.train_on}”, judged on “{settings.test_on}”"
    return f"by {settings.by}: every pair of sources"


def _find_twin(training: EncoderTraining, measures: Measures | None) -> AnnotatorModel | None:
    """The model it made, where the very same had been made before."""
    if not measures:
        return None
    return AnnotatorModel.objects.filter(study=training.study_id, pk=measures.get("annotator")).first()
