"""Runs of annotator models: a preview, what one would cost, one under way, what came of it."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.permissions import Deed, get_study, may
from annotation.services.audit import log_event
from modeling.annotators.downloads import CSV, JSONL, list_rating_names, write_readings
from modeling.annotators.estimates import estimate_run
from modeling.annotators.facts import count_progress, summarize_run
from modeling.annotators.prompts import get_design
from modeling.annotators.runs import (
    MOST_AT_ONCE,
    cancel_run,
    create_run,
    find_run_job,
    forget_failures,
    resume_run,
    start_run,
)
from modeling.annotators.selecting import corpus_posts, first_posts, study_posts
from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, ModelReading

State = AnnotatorRun.State
PREVIEWED = 5
POLL_SECONDS = 2
SHOWN_READINGS = 10
SHOWN_CHARACTERS = 3_000  # of a raw reply
CONTENT_TYPES = {CSV: "text/csv; charset=utf-8", JSONL: "application/jsonl"}


def _typed(mode: str) -> forms.TextInput:
    """Whatever was typed is shown again: an input for numbers would drop what is none."""
    return forms.TextInput({"inputmode": mode, "autocomplete": "off"})


class RunForm(forms.Form):
    """Which posts, in which way, for how much."""

    use_required_attribute = False

    ALL, FIRST, CORPUS = "all", "first", "corpus"

    posts = forms.ChoiceField(
        label="Posts",
        choices=[(ALL, "All posts"), (FIRST, "Only the first"), (CORPUS, "The corpus, for models only")],
        help_text="The first two are those that people label. What this model has read before costs nothing.",
    )
    number = forms.IntegerField(
        label="How many", required=False, min_value=1, max_value=1_000_000, help_text="For “Only the first”."
    )
    mode = forms.ChoiceField(
        label="Way",
        choices=AnnotatorRun.Mode.choices,
        help_text="Batches are cheaper and take up to a day; not every server knows them.",
    )
    concurrency = forms.IntegerField(
        label="Calls at once",
        min_value=1,
        max_value=MOST_AT_ONCE,
        help_text=f"From 1 to {MOST_AT_ONCE}.",
        widget=_typed("numeric"),
    )
    budget = forms.DecimalField(
        label="Budget",
        required=False,
        min_value=Decimal("0.000001"),
        max_digits=13,
        decimal_places=6,
        help_text="Dollars. The run stops before it spends more. Empty: no bound.",
        widget=_typed("decimal"),
    )

    def __init__(self, annotator: AnnotatorModel, data: Any = None) -> None:
        self.annotator = annotator
        super().__init__(data, initial={"concurrency": 8}, auto_id="run-%s")

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        if given.get("posts") == self.FIRST and not given.get("number") and "number" not in self.errors:
            self.add_error("number", "Say how many posts.")
        return given

    def create(self, user: Any) -> AnnotatorRun | None:
        """Store the run that a valid form describes, with its estimate; None, with the reason, if that cannot be."""
        given, study = self.cleaned_data, self.annotator.study
        selection = {
            self.ALL: lambda: study_posts(study),
            self.FIRST: lambda: first_posts(study, given["number"]),
            self.CORPUS: lambda: corpus_posts(study),
        }[given["posts"]]()
        try:
            return create_run(
                self.annotator,
                selection=selection,
                mode=given["mode"],
                concurrency=given["concurrency"],
                budget=given["budget"],
                user=user,
            )
        except Refused as refusal:
            self.add_error(None, str(refusal))
            return None


class BudgetForm(forms.Form):
    """A run's new budget when it goes on."""

    budget = RunForm.base_fields["budget"]


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_run(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one run; to htmx, how far it is, and a fresh page once it has ended."""
    study, run = _get_run(request, slug, pk, Deed.SEE)
    work = _describe_work(request, study, run)
    if request.htmx:
        if not work["is_busy"]:
            return HttpResponseClientRefresh()
        return render(request, "modeling/_run_work.html", work)
    return _show(request, study, run, work)


@require_POST
@staff_member_required
def start(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Set a run going."""
    study, run = _get_own_run(request, slug, pk)
    try:
        start_run(run, request.user)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("modeling:run", study.slug, run.pk)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a run; what it read stays."""
    study, run = _get_own_run(request, slug, pk)
    if not cancel_run(run, request.user):
        messages.info(request, "It had come to its end already.")
    return redirect("modeling:run", study.slug, run.pk)


@require_POST
@staff_member_required
def resume(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let a run go on where it was, with another budget if one is given."""
    study, run = _get_own_run(request, slug, pk)
    form = BudgetForm(request.POST)
    if not form.is_valid():
        return _show(request, study, run, _describe_work(request, study, run, form), status=422)
    try:
        resume_run(run, request.user, budget=form.cleaned_data["budget"])
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("modeling:run", study.slug, run.pk)


@require_POST
@staff_member_required
def try_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Ask again about the posts for which no reply came."""
    study, run = _get_own_run(request, slug, pk)
    if run.state == State.RUNNING:
        messages.info(request, "The run is under way; try again when it has ended.")
        return redirect("modeling:run", study.slug, run.pk)
    try:
        if forget_failures(run):
            resume_run(run, request.user)
        else:
            messages.info(
                request,
                "Every failure of this run is a reply that was paid for; asking again finds it again.",
            )
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("modeling:run", study.slug, run.pk)


@require_GET
@staff_member_required
def download(request: HttpRequest, slug: str, pk: int, extension: str) -> HttpResponse:
    """Hand out a run's readings, line by line."""
    study, run = _get_run(request, slug, pk, Deed.EXPORT)
    if extension not in CONTENT_TYPES:
        raise Http404("Readings are written as CSV or as lines of JSON.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the readings of run {run.pk} of {run.annotator}.",
        actor=request.user,
        detail={"run": run.pk, "format": extension},
    )
    mark = "-standin" if _is_standin(run) else ""
    answer = StreamingHttpResponse(write_readings(run, extension), content_type=CONTENT_TYPES[extension])
    answer["Content-Disposition"] = f'attachment; filename="{study.slug}-run-{run.pk}{mark}.{extension}"'
    return answer


def estimate_preview(annotator: AnnotatorModel) -> dict[str, Any] | None:
    """Return what a preview would cost, None where there is no post to read."""
    selection = first_posts(annotator.study, PREVIEWED)
    if not selection["ids"]:
        return None
    return estimate_run(AnnotatorRun(annotator=annotator, selection=selection, is_preview=True))


def describe_preview(annotator: AnnotatorModel) -> dict[str, Any]:
    """Return what the preview's part of a model's page shows."""
    run = annotator.runs.filter(is_preview=True).order_by("-pk").first()
    if run is None:
        return {"preview": None, "is_busy": False}
    return {
        "preview": run,
        "is_busy": _is_busy(run),
        "is_standin": _is_standin(run),
        "problem": _find_problem(run),
        "progress": count_progress(run),
        "readings": list_readings(run),
        "poll_seconds": POLL_SECONDS,
    }


def list_readings(run: AnnotatorRun, *, number: int = SHOWN_READINGS) -> list[dict[str, Any]]:
    """Return the first readings of a run as a page shows them."""
    labels, lowest = _read_scale(run)
    shown = []
    rows = ModelReading.objects.filter(run=run).select_related("post", "feed_post", "call").order_by("pk")
    for reading in rows[:number]:
        ratings = list(zip(labels, reading.ratings or (), strict=False))
        call = reading.call
        shown.append(
            {
                "reading": reading,
                "post": reading.post or reading.feed_post,
                "ratings": ratings,
                "seen": [pair for pair in ratings if len(labels) == 1 or pair[1] > lowest],
                "call": call,
                "reply": call.reply[:SHOWN_CHARACTERS] if call else "",
                "is_cut": bool(call) and len(call.reply) > SHOWN_CHARACTERS,
            }
        )
    return shown


def _get_run(request: HttpRequest, slug: str, pk: int, deed: Deed) -> tuple[Study, AnnotatorRun]:
    study = get_study(request.user, slug, deed)
    rows = AnnotatorRun.objects.filter(annotator__study=study).select_related(
        "annotator__prompt", "annotator__study", "curation", "started_by"
    )
    return study, get_object_or_404(rows, pk=pk)


def _get_own_run(request: HttpRequest, slug: str, pk: int) -> tuple[Study, AnnotatorRun]:
    """A run that is steered by its own page: those of a curation are steered by the curation's."""
    study, run = _get_run(request, slug, pk, Deed.SET_UP)
    if run.curation_id:
        raise Http404("This run belongs to a curation, which starts and stops it.")
    return study, run


def _describe_work(
    request: HttpRequest, study: Study, run: AnnotatorRun, form: BudgetForm | None = None
) -> dict[str, Any]:
    job = find_run_job(run)
    at_most = Decimal(run.estimate.get("cost_at_most", 0))
    is_bounded = run.budget is not None and run.budget < at_most
    return {
        "study": study,
        "at_most": run.budget if is_bounded else at_most,
        "is_bounded": is_bounded,
        "stops_early": run.budget is not None and run.budget < Decimal(run.estimate.get("cost", 0)),
        "run": run,
        "job": job,
        "is_busy": _is_busy(run),
        "is_standin": _is_standin(run),
        "problem": _find_problem(run),
        "progress": count_progress(run),
        "poll_seconds": POLL_SECONDS,
        "budget_form": form
        or BudgetForm(initial={"budget": None if run.budget is None else f"{run.budget.normalize():f}"}),
        "may_steer": run.curation_id is None and may(request.user, study, Deed.SET_UP),
        "is_resumable": run.state in (State.STOPPED, State.CANCELLED)
        or (run.state == State.RUNNING and not _is_busy(run)),
        "is_cancellable": run.state in (State.READY, State.RUNNING),
    }


def _show(
    request: HttpRequest, study: Study, run: AnnotatorRun, work: dict[str, Any], status: int = 200
) -> HttpResponse:
    unanswered = ModelReading.objects.filter(run=run, ratings=None).exclude(
        call__state=ModelCall.State.ANSWERED
    )
    context = work | {
        "annotator": run.annotator,
        "facts": summarize_run(run),
        "readings": list_readings(run),
        "n_unanswered": 0 if work["is_busy"] else unanswered.count(),
        "batches": run.batches.all(),
        "may_export": may(request.user, study, Deed.EXPORT),
    }
    return render(request, "modeling/run.html", context, status=status)


def _is_busy(run: AnnotatorRun) -> bool:
    """Whether somebody works for a run, or will."""
    if run.state != State.RUNNING:
        return False
    if run.curation_id:
        return True
    job = find_run_job(run)
    return job is not None and not job.is_final


def _find_problem(run: AnnotatorRun) -> str:
    """Return why a run does not go on, '' if it does."""
    if run.problem or run.state != State.RUNNING or run.curation_id:
        return run.problem
    job = find_run_job(run)
    return job.error if job and job.is_final else ""


def _is_standin(run: AnnotatorRun) -> bool:
    return run.is_standin or run.annotator.is_standin


def _read_scale(run: AnnotatorRun) -> tuple[list[str], float]:
    """Return what each number of a reading is about, and the number that says it is not there."""
    study, prompt = run.annotator.study, run.annotator.prompt
    if prompt is None:
        return list(list_rating_names(run)), study.value_system.scale_min
    design = get_design(prompt)
    labels = ["Final rating"] if design.is_codebook else [concept.label for concept in design.concepts]
    return labels, design.numbers[0]
