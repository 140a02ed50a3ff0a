"""Checks of a curation's classifiers: drawn, labeled by people who see no decision, closed, and what came of them."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.permissions import Deed, get_study, may
from annotation.services.audit import log_event
from modeling.checking import presenting, services
from modeling.checking.forms import CheckForm
from modeling.checking.services import FOUND, SAMPLE
from modeling.models import CheckLabel, ClassifierCheck, Curation
from modeling.reports.names import SAYS_STANDIN

POLL_SECONDS = 2
LONGEST_PLACE = 6  # digits
ANSWERS = {"yes": True, "no": False}


@require_GET
@staff_member_required
def list_checks(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """List the checks of a curation's classifiers."""
    study, curation = _get_curation(request, slug, pk)
    checks = list(curation.checks.select_related("created_by"))
    for check in checks:
        check.n_items = check.items.count()
        check.n_labelers = len(services.list_labelers(check))
    context = {
        "study": study,
        "curation": curation,
        "checks": checks,
        "may_set_up": may(request.user, study, Deed.SET_UP),
    }
    return render(request, "modeling/checks.html", context)


@require_http_methods(["GET", "POST"])
@staff_member_required
def make_check(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take what is to be checked, and draw the posts."""
    study, curation = _get_curation(request, slug, pk, Deed.SET_UP)
    form = CheckForm(curation, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            check = services.create_check(curation, **form.cleaned_data, user=request.user)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            if shortage := presenting.say_shortage(check):
                messages.warning(request, f"{shortage} All of them were taken.")
            return redirect("modeling:check", study.slug, check.pk)
    context = {"study": study, "curation": curation, "form": form}
    return render(request, "modeling/check_make.html", context, status=422 if form.errors else 200)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_check(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show how far the labeling is, and what came of it once it is closed."""
    study, check = _get_check(request, slug, pk)
    if request.htmx:
        if not _is_computing(check):
            return HttpResponseClientRefresh()
        return render(request, "modeling/_check_work.html", _describe_work(request, study, check))
    return _show(request, study, check)


@require_http_methods(["GET", "POST"])
@staff_member_required
def label(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one post to somebody who labels, and take what they say of it."""
    study, check = _get_check(request, slug, pk)
    if not _may_label(request, study):
        raise Http404("Labels are given by whoever sets up the study or analyses it.")
    if request.method == "POST":
        return _take_label(request, study, check)
    if check.closed_at:
        return redirect("modeling:check", study.slug, check.pk)
    own = _list_own(request, check)
    position = _read_place(request.GET.get("post", "")) or _find_next(check, own, 0)
    item = check.items.select_related("feed_post").filter(position=position).first()
    if item is None:
        return redirect("modeling:check", study.slug, check.pk)
    n_items = check.items.count()
    context = {
        "study": study,
        "check": check,
        "curation": check.curation,
        "position": position,
        "post": item.feed_post,
        "own": own.get(position),
        "before": position - 1 if position > 1 else None,
        "after": position + 1 if position < n_items and position in own else None,
        "n_items": n_items,
        "n_labeled": len(own),
        "words": presenting.get_words(check),
        "design": presenting.get_design(check),
    }
    return render(request, "modeling/check_label.html", context)


@require_POST
@staff_member_required
def close(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """End the labeling and have the results computed."""
    study, check = _get_check(request, slug, pk)
    if not _may_label(request, study):
        raise Http404("A check is closed by whoever sets up the study or analyses it.")
    try:
        services.close_check(check, request.user)
    except Refused as refusal:
        return _show(request, study, check, problem=str(refusal), status=422)
    return redirect("modeling:check", study.slug, check.pk)


@require_GET
@staff_member_required
def download_labels(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send what everybody said of each post, once the check is closed."""
    study, check = _get_check(request, slug, pk, Deed.EXPORT)
    if FOUND not in check.results:
        raise Http404("Labels can be downloaded once the check is closed and its results are computed.")
    log_event(
        study,
        StudyEvent.Action.EXPORT,
        f"Downloaded the labels of check {check.pk}.",
        actor=request.user,
        detail={"check": check.pk},
    )
    response = StreamingHttpResponse(presenting.write_labels(check), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{study.slug}-check-{check.pk}.csv"'
    return response


def _get_curation(request: HttpRequest, slug: str, pk: int, deed: Deed = Deed.SEE) -> tuple[Study, Curation]:
    study = get_study(request.user, slug, deed)
    return study, get_object_or_404(study.curations.select_related("study"), pk=pk)


def _get_check(
    request: HttpRequest, slug: str, pk: int, deed: Deed = Deed.SEE
) -> tuple[Study, ClassifierCheck]:
    study = get_study(request.user, slug, deed)
    checks = ClassifierCheck.objects.filter(curation__study=study).select_related("curation__study")
    return study, get_object_or_404(checks, pk=pk)


def _may_label(request: HttpRequest, study: Study) -> bool:
    return may(request.user, study, Deed.SET_UP) or may(request.user, study, Deed.EXCLUDE)


def _list_own(request: HttpRequest, check: ClassifierCheck) -> dict[int, bool]:
    """What this person said, by the post's place: nobody else's labels are read."""
    labels = CheckLabel.objects.filter(item__classifier_check=check, labeler=request.user)
    return dict(labels.order_by("item__position").values_list("item__position", "is_positive"))


def _read_place(written: str) -> int | None:
    return int(written) if written.isdecimal() and len(written) <= LONGEST_PLACE else None


def _find_next(check: ClassifierCheck, own: dict[int, bool], after: int) -> int | None:
    """The next post without this person's label: after this place, else from the first."""
    open_ones = [
        position
        for position in check.items.order_by("position").values_list("position", flat=True)
        if position not in own
    ]
    return next((each for each in open_ones if each > after), open_ones[0] if open_ones else None)


def _take_label(request: HttpRequest, study: Study, check: ClassifierCheck) -> HttpResponse:
    answer, position = request.POST.get("label", ""), _read_place(request.POST.get("post", ""))
    if answer not in ANSWERS or position is None:
        raise BadRequest("A label is yes or no, of a post by its place.")
    try:
        services.set_label(check, position, request.user, is_positive=ANSWERS[answer])
    except Refused as refusal:
        messages.warning(request, str(refusal))
        return redirect("modeling:check", study.slug, check.pk)
    following = _find_next(check, _list_own(request, check), position)
    if following is None:
        return redirect("modeling:check", study.slug, check.pk)
    return redirect(reverse("modeling:check_label", args=[study.slug, check.pk]) + f"?post={following}")


def _is_computing(check: ClassifierCheck) -> bool:
    job = services.find_job(check) if check.closed_at and FOUND not in check.results else None
    return bool(job and not job.is_final)


def _describe_work(request: HttpRequest, study: Study, check: ClassifierCheck) -> dict[str, Any]:
    job = services.find_job(check)
    return {
        "study": study,
        "check": check,
        "job": job,
        "is_computing": _is_computing(check),
        "has_failed": bool(check.closed_at and FOUND not in check.results and (job is None or job.is_final)),
        "may_label": _may_label(request, study),
        "poll_seconds": POLL_SECONDS,
    }


def _show(
    request: HttpRequest, study: Study, check: ClassifierCheck, *, problem: str = "", status: int = 200
) -> HttpResponse:
    """An open check tells how far each one is; a closed one what came of it."""
    n_items = check.items.count()
    context = {
        "curation": check.curation,
        "problem": problem,
        "n_items": n_items,
        "n_missing": 2 * check.n_each - n_items,
        "words": presenting.get_words(check),
        "is_standin": check.results[SAMPLE]["is_standin"],
        "standin_words": SAYS_STANDIN,
        **_describe_work(request, study, check),
    }
    if check.closed_at is None:
        own = _list_own(request, check)
        labelers = services.list_labelers(check)
        texts = dict(check.items.values_list("position", "feed_post__text"))
        context |= {
            "labelers": labelers,
            "own": [(position, said, texts[position]) for position, said in own.items()],
            "n_open": n_items - len(own),
            "hindrance": services.find_hindrance(check),
            "unfinished": [each for each in labelers if not each.is_done],
        }
    elif FOUND in check.results:
        found = check.results[FOUND]
        context |= {
            "found": found,
            "sample": check.results[SAMPLE],
            "shortage": presenting.say_shortage(check),
            "table": presenting.tabulate_scores(found),
            "differences": presenting.list_differences(check),
            "design": presenting.get_design(check),
            "may_export": may(request.user, study, Deed.EXPORT),
        }
    return render(request, "modeling/check.html", context, status=status)
