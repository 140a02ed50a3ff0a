"""Soft labels: making them of runs, people and experts, and seeing whose say how much."""

from collections.abc import Sequence
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
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from jobs.models import Job
from modeling.inclusion import DEFAULT, describe
from modeling.models import AnnotatorModel, AnnotatorRun, SoftLabelSet
from modeling.reports.names import SAYS_STANDIN
from modeling.softlabels.drawing import draw_shares
from modeling.softlabels.services import (
    EXAMPLES,
    SAYS_TEST,
    TABLE,
    UNFINISHED,
    SoftLabelsRefused,
    cancel_soft_labels,
    create_soft_labels,
    describe_people,
    find_job,
    make_again,
    name_source,
    select_test_posts,
)
from modeling.softlabels.settings import (
    EXPERTS,
    LOGPROBS,
    MOST_SMOOTHING,
    MOST_WEIGHT,
    PEOPLE,
    RUN,
    SAMPLES,
    VERIFIED,
    SoftLabelSettings,
    Source,
)
from modeling.tuning.usable_runs import list_runs

POLL_SECONDS = 2
MOST_RUNS = 30  # that are offered, the newest
NAME, SMOOTHING = "name", "smoothing"


class SoftLabelForm(forms.Form):
    """A name, and a weight for each source that is to count."""

    use_required_attribute = False

    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="By which an encoder finds them. The same name again makes the next version.",
    )
    smoothing = forms.FloatField(
        label="Smoothing",
        required=False,
        min_value=0,
        max_value=MOST_SMOOTHING,
        initial=0,
        help_text="Added to the count of every rating of a source before shares are taken: 0 leaves counts as they "
        "are, 0.5 keeps a rating that nobody gave from being impossible. Probabilities are never smoothed.",
    )

    def __init__(self, study: Study, data: Any = None) -> None:
        super().__init__(data, auto_id="soft-%s")
        self.groups: list[tuple[str, list[str]]] = []
        self.sources: dict[str, Source] = {}
        runs = list(list_runs(study)[:MOST_RUNS])
        self._offer("Models", [choice for run in runs for choice in _list_choices(run)])
        people = Source(PEOPLE)
        self._offer(
            "People",
            [(people, "People who count", f"{describe(DEFAULT).capitalize()}. One rating, one vote.")],
        )
        self._offer(
            "Experts",
            [
                (Source(EXPERTS, each.pk), f"Experts of “{each.name}”", "Their labels of development posts.")
                for each in study.expert_sets.all()
            ]
            + [
                (
                    Source(VERIFIED, each.pk),
                    f"Decisions by {each.rule_set}",
                    f"What experts said of posts that the rules flagged in run {each.run_id}; undecided ones are none.",
                )
                for each in study.verifications.select_related("rule_set")
            ],
        )
        for field in self.fields.values():
            if isinstance(field, forms.FloatField):
                # Whatever was typed is shown again: a field for numbers would drop what is none.
                field.widget = forms.TextInput({"inputmode": "decimal", "autocomplete": "off"})

    def _offer(self, heading: str, choices: Sequence[tuple[Source, str, str]]) -> None:
        names = []
        for source, label, help_text in choices:
            name = "-".join(
                str(part) for part in (source.kind, source.number, source.reads) if part is not None
            )
            self.sources[name] = source
            self.fields[name] = forms.FloatField(
                label=label, required=False, min_value=0, max_value=MOST_WEIGHT, help_text=help_text
            )
            names.append(name)
        if names:
            self.groups.append((heading, names))

    @property
    def offered(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The weights under their headings."""
        return [(heading, [self[name] for name in names]) for heading, names in self.groups]

    def create(self, study: Study, user: Any) -> SoftLabelSet | None:
        """Ask for what a valid form says; None, with errors beside the fields, where it cannot be made."""
        given = self.cleaned_data
        chosen = [name for name in self.sources if given[name]]
        if not chosen:
            self.add_error(None, "Give one source or more a weight above 0.")
            return None
        sources = []
        for name in chosen:
            source = self.sources[name]
            smoothing = 0.0 if source.reads == LOGPROBS else given[SMOOTHING] or 0.0
            sources.append(Source(source.kind, source.number, given[name], source.reads, smoothing))
        try:
            return create_soft_labels(study, given[NAME], sources, user)
        except SoftLabelsRefused as refusal:
            for field, fault in refusal.faults.items():
                place, _, _ = field.partition(".")
                self.add_error(chosen[int(place)] if place.isdecimal() else field or None, fault)
            return None


def _list_choices(run: AnnotatorRun) -> list[tuple[Source, str, str]]:
    annotator = run.annotator
    said = f" {SAYS_STANDIN}" if run.is_standin or annotator.is_standin else ""
    n = annotator.samples
    often = "one reading of each post" if n == 1 else f"{n} readings of each post"
    choices = [
        (
            Source(RUN, run.pk, reads=SAMPLES),
            f"{annotator}, run {run.pk}: samples",
            f"How often each rating was given, by {often}.{said}",
        )
    ]
    if annotator.uses_logprobs or annotator.kind == AnnotatorModel.Kind.ENCODER:
        choices.append(
            (
                Source(RUN, run.pk, reads=LOGPROBS),
                f"{annotator}, run {run.pk}: probabilities",
                f"The model’s own probabilities of the ratings, mean over readings.{said}",
            )
        )
    return choices


@require_GET
@staff_member_required
def list_soft_labels(request: HttpRequest, slug: str) -> HttpResponse:
    """List a study's soft labels, with the form to make others."""
    return _show_list(request, get_study(request.user, slug, Deed.SEE))


@require_POST
@staff_member_required
def make(request: HttpRequest, slug: str) -> HttpResponse:
    """Have soft labels made."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = SoftLabelForm(study, request.POST)
    made = form.create(study, request.user) if form.is_valid() else None
    if made is None:
        return _show_list(request, study, form=form, status=422)
    return redirect("modeling:soft_label_set", study.slug, made.pk)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how far a set is; once it is made, its sources, counts and some posts."""
    study = get_study(request.user, slug, Deed.SEE)
    made = get_object_or_404(study.soft_label_sets, pk=pk)
    job = find_job(made)
    is_busy = made.state in UNFINISHED and not (job and job.state in Job.STOPPED_STATES)
    if request.htmx and not is_busy:
        return HttpResponseClientRefresh()
    context = {
        "study": study,
        "soft_set": made,
        "job": job,
        "is_busy": is_busy,
        "poll_seconds": POLL_SECONDS,
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "problem": made.problem or (job.error if job and job.state == Job.State.FAILED else ""),
    }
    if request.htmx:
        return render(request, "modeling/_soft_label_work.html", context)
    return render(request, "modeling/soft_label.html", context | _describe(request, study, made))


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop making a set."""
    study = get_study(request.user, slug, Deed.SET_UP)
    made = get_object_or_404(study.soft_label_sets, pk=pk)
    if not cancel_soft_labels(made, request.user):
        messages.warning(request, "It had come to its end already.")
    return redirect("modeling:soft_label_set", study.slug, made.pk)


@require_POST
@staff_member_required
def again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Begin anew with a set that failed or was cancelled."""
    study = get_study(request.user, slug, Deed.SET_UP)
    made = get_object_or_404(study.soft_label_sets, pk=pk)
    try:
        make_again(made, request.user)
    except SoftLabelsRefused as refusal:
        messages.warning(request, str(refusal))
    return redirect("modeling:soft_label_set", study.slug, made.pk)


@require_GET
@staff_member_required
def download(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Hand out a set's table: a row for each post, value and source."""
    study = get_study(request.user, slug, Deed.EXPORT)
    made = get_object_or_404(study.soft_label_sets, pk=pk)
    name, storage = made.counts.get(TABLE, ""), storages["artefacts"]
    if not name or not storage.exists(name):
        raise Http404("The table is not in the storage; make the soft labels again.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the soft labels “{made}”.",
        actor=request.user,
        detail={"soft_labels": made.pk},
    )
    of_standin = "-stand-in" if made.is_standin else ""
    return FileResponse(
        storage.open(name),
        as_attachment=True,
        filename=f"{study.slug}-soft-labels-{made.pk}{of_standin}.parquet",
        content_type="application/vnd.apache.parquet",
    )


def _show_list(
    request: HttpRequest, study: Study, *, form: SoftLabelForm | None = None, status: int = 200
) -> HttpResponse:
    context = {
        "study": study,
        "soft_sets": [
            (made, SoftLabelSettings.from_dict(made.settings).sources)
            for made in study.soft_label_sets.order_by("-created_at", "-pk")
        ],
        "form": (form or SoftLabelForm(study)) if may(request.user, study, Deed.SET_UP) else None,
        "has_runs": list_runs(study).exists(),
        "n_test": select_test_posts(study).values("post_id").distinct().count(),
        "says_test": SAYS_TEST,
        "says_standin": SAYS_STANDIN,
    }
    return render(request, "modeling/soft_labels.html", context, status=status)


def _describe(request: HttpRequest, study: Study, made: SoftLabelSet) -> dict[str, Any]:
    sources = SoftLabelSettings.from_dict(made.settings).sources
    names = [name_source(source, study) for source in sources]
    total = sum(source.weight for source in sources)
    counted = made.counts.get("sources") or [None] * len(sources)
    return {
        "sources": [
            {"name": name, "source": source, "share": 100 * source.weight / total, "counts": counts}
            for name, source, counts in zip(names, sources, counted, strict=True)
        ],
        "source_names": names,
        "rule": describe_people(made),
        "examples": _draw_examples(study, made),
        "may_export": may(request.user, study, Deed.EXPORT) and bool(made.counts.get(TABLE)),
        "trainings": made.trainings.select_related("annotator"),
        "says_test": SAYS_TEST,
        "says_standin": SAYS_STANDIN,
    }


def _draw_examples(study: Study, made: SoftLabelSet) -> list[dict[str, Any]]:
    """The posts of the counts, each value with the bars of every source and those of the mixture."""
    found = made.counts.get(EXAMPLES, [])
    posts = study.posts.in_bulk([example["post"] for example in found])
    tree = get_tree(study.value_system)
    lowest, labels = tree.scale.min, [leaf.name for leaf in tree.leaves]
    return [
        {
            "post": posts[example["post"]],
            "rows": [
                {
                    "value": labels[row["value"]],
                    "bars": [draw_shares(shares, lowest) for shares in row["sources"]],
                    "mixed": draw_shares(row["mixed"], lowest),
                }
                for row in example["values"]
            ],
        }
        for example in found
        if example["post"] in posts
    ]
