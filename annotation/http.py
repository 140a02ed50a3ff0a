"""Where a request goes on: the server decides, the browser follows."""

from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django_htmx.http import HttpResponseClientRedirect

from .errors import EntryError, NotEnrolled, Refused, StudyClosed
from .models import Enrollment, Step
from .selectors import get_current_step


def get_current_path(enrollment: Enrollment) -> str:
    """Return the one address where this person's way goes on."""
    step = get_current_step(enrollment)
    if step is None:
        return reverse("annotation:done", args=[enrollment.study.slug])
    return get_step_path(enrollment, step)


def get_step_path(enrollment: Enrollment, step: Step) -> str:
    return reverse("annotation:step", args=[enrollment.study.slug, step.position])


class SeeOther(HttpResponseRedirect):
    """The answer to every form that was taken: look there next."""

    status_code = 303


def go_on(enrollment: Enrollment) -> HttpResponse:
    """Send someone to where their way goes on."""
    return SeeOther(get_current_path(enrollment))


PROBLEM_PAGES = {
    EntryError: ("annotation/bad_link.html", 400),
    StudyClosed: ("annotation/closed.html", 403),
    NotEnrolled: ("annotation/not_enrolled.html", 403),
    Refused: ("annotation/refused.html", 409),
}


def explain_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Turn what can go wrong on a rater's way into a page with a next step; keep pages out of caches.

    htmx is told to leave the page where another browser is redirected: it would swap the other page in.
    """

    @never_cache
    @wraps(view)
    def explained(request: HttpRequest, slug: str, *args, **kwargs) -> HttpResponse:
        try:
            response = view(request, slug, *args, **kwargs)
            if request.htmx and isinstance(response, SeeOther):
                return HttpResponseClientRedirect(response.url)
            return response
        except tuple(PROBLEM_PAGES) as problem:
            template, status = PROBLEM_PAGES[type(problem)]
            return render(request, template, {"problem": problem, "slug": slug}, status=status)

    return explained
