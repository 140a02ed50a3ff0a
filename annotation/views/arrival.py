"""The first page: from the recruiting platform's link into the study."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods

from annotation import services
from annotation.access import remember
from annotation.http import explain_problems, go_on
from annotation.models import Study
from annotation.recruitment import find_enrollment, read_entry, seal, unseal


@require_http_methods(["GET", "POST"])
@explain_problems
def arrive(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who is welcome; take them in when they press the button.

    Opening the link changes nothing. Who arrived travels in the form, signed, so the button needs no
    session; like every form it needs the CSRF cookie that its page set.
    """
    study = get_object_or_404(Study, slug=slug)
    if request.method == "GET":
        entry = read_entry(request.GET)
        is_back = find_enrollment(study, entry) is not None
        return render(
            request, "annotation/arrival.html", {"study": study, "token": seal(entry), "is_back": is_back}
        )
    enrollment = services.enroll(study, unseal(request.POST.get("entry", "")))
    return remember(go_on(enrollment), enrollment)
