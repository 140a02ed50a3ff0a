"""The first page: from the recruiting platform's link into the study."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.http import require_http_methods

from annotation import services
from annotation.access import build_query, has_cookie_of, remember
from annotation.errors import Unfinished
from annotation.http import SeeOther, explain_problems
from annotation.launch import find_faults_ahead
from annotation.models import Rater, Study
from annotation.recruitment import find_enrollment, read_entry, seal, unseal


@require_http_methods(["GET", "POST"])
@explain_problems
def arrive(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who is welcome; take them in when they press the button.

    Opening the link changes nothing. Who arrived travels in the form, signed, so the button needs no
    cookie: browsers may refuse those that a page opened from another site sets. The answer to the button is
    this site's own and sets one; the next address can do without it.
    """
    study = get_object_or_404(Study, slug=slug)
    translation.activate(study.language)
    if request.method == "GET":
        entry = read_entry(request.GET)
        context = {
            "study": study,
            "token": seal(entry),
            "is_back": find_enrollment(study, entry) is not None,
            "is_test": entry.origin == Rater.Origin.TEST,
        }
        return render(request, "annotation/arrival.html", context)
    entry = unseal(request.POST.get("entry", ""))
    if entry.is_rehearsal and (faults := find_faults_ahead(study, None)):
        raise Unfinished(faults)
    enrollment = services.enroll(study, entry)
    if not has_cookie_of(request, enrollment):
        request.rater_query = build_query(enrollment)
    return remember(SeeOther(reverse("annotation:current_step", args=[study.slug])), enrollment)
