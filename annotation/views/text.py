"""A page that is only read: instructions before the work, a debriefing after it."""

from django.http import HttpRequest, HttpResponse

from annotation import services
from annotation.http import go_on, show_step
from annotation.models import Enrollment, Step


def read_text(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the step's text; take that it was read."""
    if request.method == "POST":
        return go_on(services.complete_step(enrollment, step))
    return show_step(request, enrollment, step, "annotation/text.html", {"text": step.config})
