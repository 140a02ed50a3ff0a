"""From feeds to the posts of a study: the curations, one's settings, its feeds, its stages, its sample."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRedirect

from annotation.errors import Refused
from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from annotation.services.uploads import NEEDS_REASON, rank
from jobs.models import Job
from modeling.annotators.facts import count_progress
from modeling.curation import account, feeds, services
from modeling.curation.forms import CurationForm, FeedFileForm, PutForm
from modeling.curation.loading import load_sample
from modeling.curation.rows import REASON_LABELS
from modeling.curation.stages import BY_MODEL, Stage
from modeling.models import AnnotatorRun, Curation
from modeling.reports.names import SAYS_STANDIN

POLL_SECONDS = 3
FILES = {"posts": account.write_account, "draws": account.write_draws}
State = Curation.State


@require_GET
@staff_member_required
def list_curations(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the curations of a study."""
    study = get_study(request.user, slug)
    found = list(study.curations.all())
    for curation in found:
        curation.n_feed_posts = curation.feed_posts.count()
        curation.n_sampled = _count_sampled(curation)
    return render(request, "modeling/curations.html", {"study": study, "curations": found})


@require_http_methods(["GET", "POST"])
@staff_member_required
def make_curation(request: HttpRequest, slug: str) -> HttpResponse:
    """Take what a new curation is to keep."""
    study = get_study(request.user, slug, Deed.SET_UP)
    form = CurationForm(study, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            curation = services.create_curation(study, **_read(form), user=request.user)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("modeling:curation", study.slug, curation.pk)
    status = 422 if form.errors else 200
    return render(request, "modeling/curation_settings.html", {"study": study, "form": form}, status=status)


@require_http_methods(["GET", "POST"])
@staff_member_required
def change_settings(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change what a curation keeps and whom it asks."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    form = CurationForm(study, request.POST or None, curation=curation)
    if request.method == "POST" and form.is_valid():
        try:
            services.change_curation(curation, **_read(form), user=request.user)
        except Refused as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect("modeling:curation", study.slug, curation.pk)
    context = {"study": study, "curation": curation, "form": form}
    return render(request, "modeling/curation_settings.html", context, status=422 if form.errors else 200)


@require_GET
@staff_member_required
@vary_on_headers("HX-Request")
def show_curation(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a curation where it stands: its work, its feeds, its funnel and its sample."""
    study, curation = _get(request, slug, pk)
    if request.htmx:
        work = _describe_work(curation)
        if not work["is_busy"] and not work["loading"]:
            return HttpResponseClientRedirect(request.path)
        context = {"study": study, "curation": curation, **work}
        return render(
            request,
            "modeling/_curation_work.html",
            context | {"may_set_up": may(request.user, study, Deed.SET_UP)},
        )
    return _show(request, study, curation)


@require_POST
@staff_member_required
def upload_feeds(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a file of feeds and have it loaded."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    form = FeedFileForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            feeds.request_load(curation, form.cleaned_data["file"], actor=request.user)
        except Refused as refusal:
            form.add_error("file", str(refusal))
        else:
            return redirect("modeling:curation", study.slug, curation.pk)
    return _show(request, study, curation, file_form=form, status=422)


@require_POST
@staff_member_required
def start(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Set a curation going, or let it go on."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    try:
        services.start_curation(curation, request.user)
    except Refused as refusal:
        return _show(request, study, curation, problem=str(refusal), status=422)
    return redirect("modeling:curation", study.slug, curation.pk)


@require_POST
@staff_member_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Stop a curation that is under way."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    if not services.cancel_curation(curation, request.user):
        messages.warning(request, "It is not under way; nothing was cancelled.")
    return redirect("modeling:curation", study.slug, curation.pk)


@require_POST
@staff_member_required
def read_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take back the failed readings of a stage, so that the next start tries them again."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    stage = request.POST.get("stage", "")
    if stage not in BY_MODEL:
        raise BadRequest(f"A stage is one of {', '.join(BY_MODEL)}.")
    try:
        number = services.read_again(curation, Stage(stage), request.user)
    except Refused as refusal:
        return _show(request, study, curation, problem=str(refusal), status=422)
    if number:
        messages.success(request, f"{number:,} failed readings are tried again at the next start.")
    else:
        messages.warning(
            request, "Behind each of them stands a reply that was paid for; it would be found again as it is."
        )
    return redirect("modeling:curation", study.slug, curation.pk)


@require_POST
@staff_member_required
def put_sample(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put the sample into the study."""
    study, curation = _get(request, slug, pk, Deed.SET_UP)
    form = PutForm(request.POST)
    if form.is_valid():
        try:
            loaded = load_sample(curation, user=request.user, reason=form.cleaned_data["reason"])
        except Refused as refusal:
            form.add_error("reason", str(refusal))
        else:
            messages.success(
                request,
                f"{loaded.n_added:,} posts were added to the study; {loaded.n_known:,} were there already.",
            )
            return redirect("modeling:curation", study.slug, curation.pk)
    return _show(request, study, curation, put_form=form, status=422)


@require_GET
@staff_member_required
def download(request: HttpRequest, slug: str, pk: int, table: str) -> HttpResponse:
    """Send the account of a curation: of every post, or of every draw."""
    study, curation = _get(request, slug, pk, Deed.EXPORT)
    if table not in FILES:
        raise BadRequest(f"The account has the tables {' and '.join(FILES)}.")
    response = StreamingHttpResponse(FILES[table](curation), content_type="text/csv; charset=utf-8")
    name = f"{study.slug}-{slugify(curation.name) or curation.pk}-{table}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _get(request: HttpRequest, slug: str, pk: int, deed: Deed = Deed.SEE) -> tuple[Study, Curation]:
    study = get_study(request.user, slug, deed)
    found = study.curations.select_related("study", *BY_MODEL)
    return study, get_object_or_404(found, pk=pk)


def _read(form: CurationForm) -> dict[str, Any]:
    return {
        "name": form.cleaned_data["name"],
        "seed": form.cleaned_data["seed"],
        "settings": form.get_settings(),
        "annotators": form.get_annotators(),
    }


def _count_sampled(curation: Curation) -> int:
    return next((line["kept"] for line in curation.funnel if line["stage"] == Stage.SAMPLE), 0)


def _show(
    request: HttpRequest,
    study: Study,
    curation: Curation,
    *,
    file_form: FeedFileForm | None = None,
    put_form: PutForm | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    work = _describe_work(curation)
    estimates = account.estimate_stages(curation)
    context = {
        "study": study,
        "curation": curation,
        "settings": services.get_settings(curation),
        "may_set_up": may(request.user, study, Deed.SET_UP),
        "may_export": may(request.user, study, Deed.EXPORT),
        "is_standin": curation.is_standin,
        "standin_words": SAYS_STANDIN,
        "uploads": [_describe_upload(upload) for upload in curation.uploads.all()],
        "takes_feeds": not work["is_busy"] and curation.state != State.LOADED,
        "file_form": file_form or FeedFileForm(),
        "hindrances": services.find_hindrances(curation),
        "estimates": estimates,
        "cost": sum(each.cost for each in estimates),
        "cost_at_most": sum(each.cost_at_most for each in estimates),
        "funnel": account.list_funnel(curation),
        "sample": account.summarize_sample(curation),
        "put_form": put_form or PutForm(),
        "needs_reason": study.state in NEEDS_REASON,
        "problem": problem,
        **work,
    }
    return render(request, "modeling/curation.html", context, status=status)


def _describe_work(curation: Curation) -> dict[str, Any]:
    """What is under way, and what ended badly."""
    is_busy = services.is_busy(curation)
    job = services.find_job(curation)
    has_failed = curation.state == State.RUNNING and not is_busy
    run = curation.runs.filter(state=AnnotatorRun.State.RUNNING).order_by("-pk").first() if is_busy else None
    loading = feeds.list_load_jobs(curation).first()
    return {
        "job": job,
        "is_busy": is_busy,
        "failure": job.error or "Its job was cancelled." if has_failed and job else "",
        "run": run,
        "run_progress": count_progress(run) if run else None,
        "loading": loading if loading and not loading.is_final else None,
        "not_loaded": loading if loading and loading.state == Job.State.FAILED else None,
        "poll_seconds": POLL_SECONDS,
    }


def _describe_upload(upload: Any) -> dict[str, Any]:
    counts = upload.counts
    refused = [(REASON_LABELS[reason], number) for reason, number in rank(counts.get("refused", {}))]
    return {
        "upload": upload,
        "counts": counts,
        "refused": refused,
        "n_refused": sum(number for _, number in refused),
        "examples": [
            (row, REASON_LABELS[reason], detail) for row, reason, detail in counts.get("examples", [])[:20]
        ],
        "languages": rank(counts.get("languages", {}))[:8],
    }
