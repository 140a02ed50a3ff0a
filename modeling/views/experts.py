"""Sets of posts that experts label: made, followed, loaded from files, closed, and their test posts opened."""

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.permissions import Deed, get_study, may
from annotation.services.audit import log_event
from modeling.errors import ImportRefused
from modeling.experts import services, standing
from modeling.experts.exporting import write_labels
from modeling.experts.forms import LabelFileForm, OpeningForm, SetForm
from modeling.experts.importing import import_labels
from modeling.models import ExpertSet, Report
from modeling.reporting.subjects import name_subject, request_report
from modeling.reports.names import SAYS_STANDIN

SHOWN_FAULTS = 50


@require_GET
@staff_member_required
def list_sets(request: HttpRequest, slug: str) -> HttpResponse:
    """List the expert sets of a study."""
    study = get_study(request.user, slug, Deed.SEE)
    sets = list(study.expert_sets.select_related("created_by"))
    lines = [
        {
            "set": each,
            "n_posts": each.items.count(),
            "n_test": each.items.filter(split=standing.Split.TEST).count(),
            "experts": standing.list_experts(each),
            "n_openings": each.openings.count(),
        }
        for each in sets
    ]
    context = {"study": study, "lines": lines, "may_set_up": may(request.user, study, Deed.SET_UP)}
    return render(request, "modeling/experts.html", context)


@require_http_methods(["GET", "POST"])
@staff_member_required
def make_set(request: HttpRequest, slug: str) -> HttpResponse:
    """Take what a new set is to be, and deal its posts."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = SetForm(study, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_set(study, **form.as_arguments, user=request.user)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("modeling:expert_set", study.slug, made.pk)
    context = {"study": study, "form": form}
    return render(request, "modeling/expert_new.html", context, status=422 if form.errors else 200)


@require_GET
@staff_member_required
def show_set(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how far a set is, in numbers: what experts said stands on the pages of single posts."""
    study, expert_set = get_set(request, slug, pk)
    return _show(request, study, expert_set)


@require_POST
@staff_member_required
def close(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End the labeling of a set."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    services.close_set(expert_set, request.user)
    return redirect("modeling:expert_set", study.slug, expert_set.pk)


@require_POST
@staff_member_required
def reopen(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take labels again."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    try:
        services.reopen_set(expert_set, request.user)
    except Refused as refusal:
        return _show(request, study, expert_set, problem=str(refusal), status=422)
    return redirect("modeling:expert_set", study.slug, expert_set.pk)


@require_http_methods(["GET", "POST"])
@staff_member_required
def load_labels(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a file of labels: all of it, or nothing with everything that is amiss in it."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    is_sent = request.method == "POST"
    form = LabelFileForm(request.POST, request.FILES) if is_sent else LabelFileForm()
    faults: list[str] = []
    if is_sent and form.is_valid():
        try:
            counts = import_labels(
                expert_set,
                form.cleaned_data["file"].file,
                revise=form.cleaned_data["revise"],
                user=request.user,
            )
        except ImportRefused as refusal:
            faults = refusal.faults
        except Refused as refusal:
            faults = [str(refusal)]
        else:
            for sentence in counts.list_sentences():
                messages.info(request, sentence)
            return redirect("modeling:expert_set", study.slug, expert_set.pk)
    context = {
        "study": study,
        "expert_set": expert_set,
        "form": form,
        "faults": faults[:SHOWN_FAULTS],
        "n_faults": len(faults),
        "keys": study.value_keys,
        "scale": study.value_system,
    }
    is_refused = faults or form.errors
    return render(request, "modeling/expert_import.html", context, status=422 if is_refused else 200)


@require_GET
@staff_member_required
def download_labels(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send every label, resolution and the reference; not to someone who labels the set while it is open."""
    study, expert_set = get_set(request, slug, pk, Deed.EXPORT)
    if not standing.may_see_labels(expert_set, request.user):
        raise Http404("You label this set: what others say can be downloaded once it is closed.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the labels of expert set '{expert_set}'.",
        actor=request.user,
        detail={"expert_set": expert_set.pk},
    )
    response = StreamingHttpResponse(write_labels(expert_set), content_type="text/csv; charset=utf-8")
    name = f"{study.slug}-experts-{expert_set.pk}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_POST
@staff_member_required
def open_test(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Open the test posts for a family of prompts, for good, and have its runs scored on them."""
    study, expert_set = get_set_to_work_on(request, slug, pk)
    form = OpeningForm(services.list_openable_runs(expert_set), request.POST)
    if form.is_valid():
        runs = form.cleaned_data["runs"]
        family = services.get_family(runs[0].annotator)
        try:
            opening = services.open_test(
                expert_set, family, runs, reason=form.cleaned_data["reason"], user=request.user
            )
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            subject = name_subject(set=expert_set.pk, test=opening.pk)
            request_report(study, Report.Kind.CALIBRATION, subject)
            messages.info(request, services.say_opening(opening))
            return redirect("modeling:calibration_test", study.slug, expert_set.pk, opening.pk)
    return _show(request, study, expert_set, opening_form=form, status=422)


def get_set(request: HttpRequest, slug: str, pk: int, deed: Deed = Deed.SEE) -> tuple[Study, ExpertSet]:
    """Return a set of a study in which this account may do this. Raises Http404 otherwise."""
    study = get_study(request.user, slug, deed)
    sets = ExpertSet.objects.filter(study=study).select_related("study__value_system", "created_by")
    return study, get_object_or_404(sets, pk=pk)


def get_set_to_work_on(request: HttpRequest, slug: str, pk: int) -> tuple[Study, ExpertSet]:
    """Return a set for whoever labels, resolves, closes or opens. Raises Http404 for others."""
    study, expert_set = get_set(request, slug, pk)
    if not may_work(request, study):
        raise Http404("Expert sets are worked on by whoever sets up the study or analyses it.")
    return study, expert_set


def may_work(request: HttpRequest, study: Study) -> bool:
    """Return whether this account gives labels and decisions in the study."""
    return may(request.user, study, Deed.SET_UP) or may(request.user, study, Deed.EXCLUDE)


def _show(
    request: HttpRequest,
    study: Study,
    expert_set: ExpertSet,
    *,
    opening_form: OpeningForm | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    try:
        splits = standing.summarize_splits(standing.list_standings(expert_set))
    except Refused as refusal:
        splits, problem = [], problem or str(refusal)
    name = request.user.get_username()
    own = standing.list_own(expert_set, name)
    can_work = may_work(request, study)
    runs = services.list_openable_runs(expert_set) if can_work and expert_set.closed_at else []
    openings = list(expert_set.openings.all())
    n_test = expert_set.items.filter(split=standing.Split.TEST).count()
    context = {
        "study": study,
        "expert_set": expert_set,
        "problem": problem,
        "splits": splits,
        "experts": standing.list_experts(expert_set),
        "n_posts": expert_set.items.count(),
        "n_test": n_test,
        "n_own": len(own),
        "first_own": next(iter(own), None),
        "n_waiting": len(standing.list_waiting(expert_set, name)),
        "n_known": standing.count_dealt_otherwise(expert_set, standing.Split.DEVELOPMENT),
        "n_open": sum(each.n_open for each in splits),
        "n_incomplete": sum(each.n_posts - each.n_complete for each in splits),
        "may_work": can_work,
        "may_export": may(request.user, study, Deed.EXPORT),
        "sees_labels": standing.may_see_labels(expert_set, request.user),
        "openings": openings,
        "opening_form": opening_form or (OpeningForm(runs) if runs else None),
        "has_standin": any(run.is_standin for run in runs),
        "standin_words": SAYS_STANDIN,
        "scale": study.value_system,
    }
    return render(request, "modeling/expert_set.html", context, status=status)
