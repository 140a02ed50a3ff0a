"""Teaching a model what people together see in posts: asking for it, watching it, fitting with what a model said."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.files.storage import storages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.models import Study, StudyEvent
from annotation.permissions import Deed, get_study, may
from annotation.services.audit import log_event
from modeling.errors import TuningRefused
from modeling.models import AnnotatorModel, AnnotatorRun, FineTuning
from modeling.reporting.requests import request_fit_and_report
from modeling.tuning.services import (
    FINAL_FAILURES,
    MOST_DOLLARS,
    MOST_EPOCHS,
    PREPARE,
    cancel_tuning,
    count_posts_with_raters,
    create_tuning,
    find_hindrance,
    find_job,
    is_under_way,
    list_bases,
    start_tuning,
    tell_dollars,
)
from modeling.tuning.settings import SetSettings, Teaching
from modeling.tuning.usable_runs import list_runs

ENCODER, MODEL = "encoder", "model"
POLL_SECONDS = 3
SHOWN_EVENTS = 30
SHOWN_POSTS = 50
HEADINGS = {
    "What to teach": ("what", "name"),
    "At a provider": (
        "base",
        "base_model",
        "n_epochs",
        "training_price",
        "input_price",
        "output_price",
        "budget",
    ),
    "The consensus set": ("more_raters_than", "n_drawn", "n_kept", "seed", "holdout_share"),
}
OF_A_PROVIDER = HEADINGS["At a provider"]


def _dollars(label: str, help_text: str, *, required: bool = False) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=required,
        min_value=0,
        max_value=MOST_DOLLARS,
        max_digits=13,
        decimal_places=6,
    )


def _whole(label: str, help_text: str, least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, help_text=help_text, min_value=least, max_value=most)


class TuningForm(forms.Form):
    """What is to be taught, by which posts. What concerns a provider may stay empty for a local encoder."""

    use_required_attribute = False

    what = forms.ChoiceField(
        label="Model",
        choices=[
            (ENCODER, "A local encoder, on this installation"),
            (MODEL, "A language model, at a provider"),
        ],
        help_text="A local encoder costs nothing and takes seconds. A provider is paid for what it trains.",
    )
    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="Of the annotator model that comes of it. One by the same name gets the next version.",
    )
    base = forms.ModelChoiceField(
        queryset=AnnotatorModel.objects.none(),
        required=False,
        label="With the prompt and provider of",
        empty_label="Choose an annotator model",
        help_text="The examples are this model’s prompt with the reply wanted; the result is asked in the same way.",
    )
    base_model = forms.CharField(
        label="Model to tune",
        max_length=200,
        required=False,
        help_text="By the provider’s name; it must be one that the provider tunes.",
    )
    n_epochs = _whole("Epochs", "How often the provider goes through the examples.", 1, MOST_EPOCHS)
    training_price = _dollars(
        "Price of training", "Dollars per million tokens, as in the provider’s price list."
    )
    input_price = _dollars("Price of reading", "Of the tuned model, in dollars per million tokens.")
    output_price = _dollars("Price of writing", "Of the tuned model, in dollars per million tokens.")
    budget = _dollars("Budget", "Dollars. It is not started when the estimate is above. Empty: no bound.")
    more_raters_than = _whole(
        "More raters than", "A post is drawn only if more people than this rated it.", 1, 1000
    )
    n_drawn = _whole("Posts drawn", "From those, at random.", 1, 100_000)
    n_kept = _whole("Posts kept", "Of those drawn, the ones on which their raters agree most.", 1, 100_000)
    seed = _whole(
        "Seed",
        "Of the draw, and of the fits that hold posts out: posts held out by a fit with this seed are never drawn.",
        0,
        2**31 - 1,
    )
    holdout_share = forms.FloatField(
        label="Held-out share",
        min_value=0.01,
        max_value=0.99,
        help_text="That those fits hold out: 0.28 unless they were told otherwise.",
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        usual = Teaching(SetSettings(seed=study.seed)).to_dict() | {"what": ENCODER, "training_price": "0"}
        super().__init__(data, initial=usual, auto_id="tune-%s")
        bases = list_bases(study)
        self.fields["base"].queryset = study.annotators.filter(pk__in=[base.pk for base in bases])
        for field in self.fields.values():
            if isinstance(field, forms.IntegerField):  # floats and decimals are such fields too
                # Whatever was typed is shown again: a field for numbers would drop what is none.
                mode = "numeric" if type(field) is forms.IntegerField else "decimal"
                field.widget = forms.TextInput({"inputmode": mode, "autocomplete": "off"})

    def clean(self) -> dict[str, Any]:
        found = super().clean()
        if found.get("what") == ENCODER:
            for name in OF_A_PROVIDER:  # what is not asked for is not at fault
                self.errors.pop(name, None)
        numbers = {name: found.get(name) for name in HEADINGS["The consensus set"]}
        if None not in numbers.values():
            for name, fault in SetSettings.find_faults(numbers).items():
                self.add_error(name, fault)
        return found

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in HEADINGS.items()]

    def create(self, study: Study, user: Any) -> FineTuning:
        """Ask for what a valid form says. Raises TuningRefused."""
        found = self.cleaned_data
        is_model = found["what"] == MODEL
        of_set = SetSettings(**{name: found[name] for name in HEADINGS["The consensus set"]})
        if not is_model:
            return create_tuning(study, name=found["name"], teaching=Teaching(of_set), user=user)
        if found["base"] is None:
            raise TuningRefused({"base": "Choose the annotator model whose prompt and provider it takes."})
        prices = {name: found[name] or Decimal(0) for name in ("input_price", "output_price")}
        return create_tuning(
            study,
            name=found["name"],
            base=found["base"],
            base_model=found["base_model"],
            teaching=Teaching(of_set, n_epochs=found["n_epochs"], **prices),
            training_price=found["training_price"] or Decimal(0),
            budget=found["budget"],
            user=user,
        )


class FitForm(forms.Form):
    """With which run's readings to fit."""

    run = forms.ModelChoiceField(
        queryset=AnnotatorRun.objects.none(),
        label="Run",
        empty_label="Choose a run",
        help_text="A run of an annotator model over the study’s posts that is done.",
        error_messages={"required": "Choose a run.", "invalid_choice": "This run cannot be fitted with."},
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        super().__init__(data, auto_id="fit-%s")
        self.fields["run"].queryset = list_runs(study)
        self.fields["run"].label_from_instance = _name_run


@require_GET
@staff_member_required
def list_tunings(request: HttpRequest, slug: str) -> HttpResponse:
    """List what was taught, with the form to teach another model and to fit with what one said."""
    return _show_list(request, get_study(request.user, slug, Deed.SEE))


@require_POST
@staff_member_required
def make(request: HttpRequest, slug: str) -> HttpResponse:
    """Have a consensus set drawn and its cost estimated."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = TuningForm(study, request.POST)
    if form.is_valid():
        try:
            tuning = form.create(study, request.user)
        except TuningRefused as refusal:
            for name, fault in refusal.faults.items():
                form.add_error(name if name in form.fields else None, fault)
        else:
            return redirect("modeling:tuning", study.slug, tuning.pk)
    return _show_list(request, study, form=form, status=422)


@require_POST
@staff_member_required
def fit(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for a fit whose consensus is what an annotator model said in a run."""
    study = get_study(request.user, slug, Deed.EXCLUDE)
    form = FitForm(study, request.POST)
    if not form.is_valid():
        return _show_list(request, study, fit_form=form, status=422)
    request_fit_and_report(study, annotator_run=form.cleaned_data["run"])
    return redirect("modeling:model", study.slug)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_tuning(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one: its examples, cost, state and result; to htmx, the state, and a fresh page once it has changed."""
    study, tuning = _get(request, slug, pk, Deed.SEE)
    work = _describe_work(request, study, tuning)
    if request.htmx:
        if not work["is_busy"]:
            return HttpResponseClientRefresh()
        return render(request, "modeling/_tuning_work.html", work)
    return render(request, "modeling/tuning.html", work | _describe(request, study, tuning))


@require_POST
@staff_member_required
def start(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Begin, or go on where it stopped."""
    study, tuning = _get(request, slug, pk, Deed.SET_UP)
    try:
        start_tuning(tuning, request.user)
    except TuningRefused as refusal:
        messages.error(request, str(refusal))
    return redirect("modeling:tuning", study.slug, tuning.pk)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop it, here and at the provider."""
    study, tuning = _get(request, slug, pk, Deed.SET_UP)
    if not cancel_tuning(tuning, request.user):
        messages.info(request, "It had come to its end already.")
    return redirect("modeling:tuning", study.slug, tuning.pk)


@require_GET
@staff_member_required
def download_examples(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hand the examples out as they are sent: posts with the consensus of many, and nobody's own ratings."""
    study, tuning = _get(request, slug, pk, Deed.EXPORT)
    storage = storages["artefacts"]
    if not tuning.artefact or not storage.exists(tuning.artefact):
        raise Http404("Its examples are not in the storage.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the examples of “{tuning.name}”.",
        actor=request.user,
        detail={"fine_tuning": tuning.pk, "posts": len(tuning.post_ids)},
    )
    return FileResponse(
        storage.open(tuning.artefact),
        as_attachment=True,
        filename=f"{study.slug}-examples-{tuning.pk}.jsonl",
        content_type="application/jsonl",
    )


def _get(request: HttpRequest, slug: str, pk: int, deed: Deed) -> tuple[Study, FineTuning]:
    study = get_study(request.user, slug, deed)
    rows = study.fine_tunings.select_related("base__prompt", "annotator", "created_by")
    return study, get_object_or_404(rows, pk=pk)


def _show_list(
    request: HttpRequest,
    study: Study,
    *,
    form: TuningForm | None = None,
    fit_form: FitForm | None = None,
    status: int = 200,
) -> HttpResponse:
    may_set_up, may_fit = may(request.user, study, Deed.SET_UP), may(request.user, study, Deed.EXCLUDE)
    usual = SetSettings(seed=study.seed)
    context = {
        "study": study,
        "tunings": study.fine_tunings.select_related("base", "annotator"),
        "form": (form or TuningForm(study)) if may_set_up else None,
        "fit_form": (fit_form or FitForm(study)) if may_fit else None,
        "has_runs": may_fit and list_runs(study).exists(),
        "usual": usual,
        "n_with_raters": count_posts_with_raters(study, usual.more_raters_than),
    }
    return render(request, "modeling/tunings.html", context, status=status)


def _describe_work(request: HttpRequest, study: Study, tuning: FineTuning) -> dict[str, Any]:
    job = find_job(tuning)
    is_preparing = tuning.state == FineTuning.State.READY and not tuning.artefact
    return {
        "study": study,
        "tuning": tuning,
        "job": job,
        "is_preparing": is_preparing,
        "is_busy": is_under_way(tuning) or (is_preparing and not (job and job.is_final)),
        "hindrance": "" if is_preparing else find_hindrance(tuning),
        "job_problem": job.error if job and job.state == job.State.FAILED and not tuning.problem else "",
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "events": tuning.events[: -SHOWN_EVENTS - 1 : -1],
        "estimate": tell_dollars(tuning.estimate["cost"]) if "cost" in tuning.estimate else "",
        "is_paid_anew": bool(tuning.base) and (not tuning.remote_id or tuning.remote_state in FINAL_FAILURES),
        "poll_seconds": POLL_SECONDS,
        "is_cancellable": tuning.state in (FineTuning.State.READY, FineTuning.State.RUNNING),
    }


def _describe(request: HttpRequest, study: Study, tuning: FineTuning) -> dict[str, Any]:
    return {
        "teaching": Teaching.from_dict(tuning.settings),
        "counts": tuning.estimate.get("set"),
        "annotator": tuning.annotator or _find_twin(tuning),
        "posts": study.posts.filter(pk__in=tuning.post_ids[:SHOWN_POSTS]),
        "n_posts": len(tuning.post_ids),
        "price": tell_dollars(tuning.training_price),
        "budget": "" if tuning.budget is None else tell_dollars(tuning.budget),
        "cost": tell_dollars(tuning.cost),
        "may_export": may(request.user, study, Deed.EXPORT),
    }


def _find_twin(tuning: FineTuning) -> AnnotatorModel | None:
    """The model it made, where the very same had been made before."""
    job = find_job(tuning)
    if job is None or job.kind == PREPARE or not job.result:
        return None
    return AnnotatorModel.objects.filter(study=tuning.study_id, pk=job.result.get("annotator")).first()


def _name_run(run: AnnotatorRun) -> str:
    of_standin = " (stand-in)" if run.is_standin or run.annotator.is_standin else ""
    return f"{run.annotator}, run {run.pk} of {run.created_at:%d %B %Y}{of_standin}"
