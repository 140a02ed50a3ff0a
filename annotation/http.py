"""Where a request goes on, and how a step's page is served: the server decides, the browser follows."""

import logging
from collections.abc import Callable
from functools import wraps

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django_htmx.http import HttpResponseClientRedirect

from .access import mark_page
from .errors import EntryError, NotEnrolled, Refused, StudyClosed, StudyPaused, Unfinished
from .models import Draft, Enrollment, Step, Study
from .selectors import get_current_step

logger = logging.getLogger(__name__)


def get_current_path(enrollment: Enrollment) -> str:
    """Return the one address where this person's way goes on."""
    step = get_current_step(enrollment)
    if step is None:
        return reverse("annotation:done", args=[enrollment.study.slug])
    return get_step_path(enrollment, step)


def get_step_path(enrollment: Enrollment, step: Step) -> str:
    return reverse("annotation:step", args=[enrollment.study.slug, step.position])


class SeeOther(HttpResponseRedirect):
    """The answer to every form that is no page of its own: look there next."""

    status_code = 303
    is_taken = True


def go_on(enrollment: Enrollment) -> HttpResponse:
    """Send someone to where their way goes on."""
    return SeeOther(get_current_path(enrollment))


def go_past(enrollment: Enrollment) -> HttpResponse:
    """Send someone on from a form that was not taken: another tab had been faster, or a reply was lost."""
    response = go_on(enrollment)
    response.is_taken = False
    return response


def get_draft_fields(enrollment: Enrollment, step: Step, item: str) -> str | None:
    """Return the fields that were kept of this page before it was submitted, as a browser sends them."""
    kept = Draft.objects.filter(enrollment=enrollment, step=step, item=item)
    return kept.values_list("fields", flat=True).first()


def get_draft(enrollment: Enrollment, step: Step, item: str = "") -> QueryDict | None:
    """Return the fields that were kept of this page before it was submitted."""
    fields = get_draft_fields(enrollment, step, item)
    return QueryDict(fields) if fields else None


def show_step(
    request: HttpRequest,
    enrollment: Enrollment,
    step: Step,
    template: str,
    context: dict,
    *,
    item: str = "",
    status: int = 200,
) -> HttpResponse:
    """Render a step's page with what all of them carry; `item` says which post or question is asked."""
    frame = {
        "enrollment": enrollment,
        "study": enrollment.study,
        "step": step,
        "item": item,
        "page_mark": mark_page(enrollment),
    }
    return render(request, template, frame | context, status=status)


PROBLEM_PAGES = {
    EntryError: ("annotation/bad_link.html", 400),
    StudyClosed: ("annotation/closed.html", 403),
    StudyPaused: ("annotation/paused.html", 403),
    NotEnrolled: ("annotation/not_enrolled.html", 403),
    Refused: ("annotation/refused.html", 409),
    Unfinished: ("annotation/unfinished.html", 409),
    Http404: ("404.html", 404),
}


def explain_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn what can go wrong on a rater's way into a page with a next step; keep pages out of caches.

    Also carries what the way needs where a browser offers less than usual: a mark in the address where no
    cookie is kept, and, for htmx, the next address as a header, since it would swap the other page in.
    The forms prove themselves by their mark (`annotation.access`), so Django's check is not asked.
    """

    @csrf_exempt
    @never_cache
    @wraps(view)
    def explained(request: HttpRequest, slug: str, *args, **kwargs) -> HttpResponse:
        with translation.override(translation.get_language()):
            try:
                response = view(request, slug, *args, **kwargs)
            except tuple(PROBLEM_PAGES) as problem:
                return _explain(request, slug, problem)
            if isinstance(response, SeeOther):
                response["Location"] += getattr(request, "rater_query", "")
                if request.htmx:
                    cookies, response = response.cookies, HttpResponseClientRedirect(response.url)
                    response.cookies = cookies
            return response

    return explained


def _explain(request: HttpRequest, slug: str, problem: Exception) -> HttpResponse:
    template, status = PROBLEM_PAGES[type(problem)]
    logger.info("%s %s was answered %s: %s", request.method, request.path, status, type(problem).__name__)
    study = Study.objects.filter(slug=slug).first()
    if study:
        translation.activate(study.language)
    return render(request, template, {"problem": problem, "slug": slug, "study": study}, status=status)
