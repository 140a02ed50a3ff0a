"""The consent page."""

from django.http import HttpRequest, HttpResponse

from annotation import services
from annotation.forms import ConsentForm
from annotation.http import go_on, show_step
from annotation.models import Enrollment, Step


def answer_consent(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    form = ConsentForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        given = form.cleaned_data["consent"] == "yes"
        return go_on(services.record_consent(enrollment, step, given=given))
    context = {"form": form, "consent": enrollment.study.consent}
    status = 422 if form.is_bound else 200
    return show_step(request, enrollment, step, "annotation/consent.html", context, status=status)
