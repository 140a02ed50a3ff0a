"""The frozen versions of a study, what differs between two of them, and each as a file."""

from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from annotation.models import Study, StudyVersion
from annotation.permissions import get_study
from annotation.studyfile import to_json
from annotation.versions import build_version_file, describe_changes


@require_GET
@staff_member_required
def list_versions(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the versions of a study, the newest first."""
    study = get_study(request.user, slug)
    return render(request, "modeling/versions.html", {"study": study, "versions": _list_versions(study)})


@require_GET
@staff_member_required
def show_changes(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what differs between the versions `old` and `new`; between the last two when none is named."""
    study = get_study(request.user, slug)
    numbers = list(study.versions.order_by("-number").values_list("number", flat=True)[:2])
    if not numbers:
        raise Http404("This study has no version yet.")
    old = _get_version(study, request.GET.get("old"), numbers[-1])
    new = _get_version(study, request.GET.get("new"), numbers[0])
    old, new = sorted((old, new), key=lambda version: version.number)
    context = {
        "study": study,
        "old": old,
        "new": new,
        "changes": describe_changes(old, new),
        "versions": _list_versions(study),
    }
    return render(request, "modeling/version_changes.html", context)


@require_GET
@staff_member_required
def download_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Send a version as a study file, without completion codes; its name says when posts are gone since."""
    study = get_study(request.user, slug)
    data, n_missing = build_version_file(get_object_or_404(StudyVersion, study=study, number=number))
    ending = f"-without-{n_missing}-posts" if n_missing else ""
    response = HttpResponse(to_json(data), content_type="application/json")
    response["Content-Disposition"] = (
        f'attachment; filename="{study.slug}-version-{number}{ending}.study.json"'
    )
    return response


def _list_versions(study: Study) -> QuerySet[StudyVersion]:
    return study.versions.order_by("-number").defer("content", "post_digests")


def _get_version(study: Study, number: str | None, default: int) -> StudyVersion:
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Http404("There is no such version.")
    return get_object_or_404(StudyVersion, study=study, number=int(number or default))
