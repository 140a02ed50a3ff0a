"""Attention checks: a number read off an image, or a row of a grid that says what to choose."""

import random
from base64 import b64encode

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from annotation import services
from annotation.attention.grid import GridCheck, is_passed, read_attention_config
from annotation.attention.number_image import describe, draw_task, render
from annotation.forms import GridCheckForm, NumberCheckForm
from annotation.http import get_draft, go_on, show_step
from annotation.models import Enrollment, Step
from annotation.views.number_words import say_riddle


def answer_check(request: HttpRequest, enrollment: Enrollment, step: Step) -> HttpResponse:
    """Show the check; take its one answer. What cannot be an answer is asked again."""
    check = read_attention_config(step.config)
    ask = _ask_grid if isinstance(check, GridCheck) else _ask_number
    return ask(request, enrollment, step, check)


def _ask_grid(request: HttpRequest, enrollment: Enrollment, step: Step, check: GridCheck) -> HttpResponse:
    form = GridCheckForm(check, _get_data(request), draft=get_draft(enrollment, step))
    if form.is_valid():
        return _take(
            enrollment, step, answers=form.cleaned_data, is_right=is_passed(check, form.cleaned_data)
        )
    return _show(request, enrollment, step, "annotation/attention_grid.html", {"form": form, "check": check})


def _ask_number(request: HttpRequest, enrollment: Enrollment, step: Step, check: object) -> HttpResponse:
    rng = _draw_for(enrollment, step)
    number = draw_task(rng).number
    form = NumberCheckForm(_get_data(request), draft=get_draft(enrollment, step))
    if form.is_valid():
        given = form.cleaned_data["seen"]
        return _take(enrollment, step, answers={"number": given}, is_right=given == number)
    image = b64encode(render(number, rng)).decode()
    context = {"form": form, "image": image, "riddle": say_riddle(describe(number, rng))}
    return _show(request, enrollment, step, "annotation/attention_number.html", context)


def _get_data(request: HttpRequest):
    return request.POST if request.method == "POST" else None


def _draw_for(enrollment: Enrollment, step: Step) -> random.Random:
    """The same number for a person at each visit, and nobody can work it out from what a page holds."""
    secret = salted_hmac("annotation.views.attention", f"{enrollment.public_id}:{step.pk}").hexdigest()
    return random.Random(secret)  # noqa: S311 - repeatable on purpose; the seed is the secret


def _take(enrollment: Enrollment, step: Step, *, answers: dict, is_right: bool) -> HttpResponse:
    services.record_attention_answer(enrollment, step, answers=answers, is_right=is_right)
    enrollment.refresh_from_db()
    return go_on(enrollment)


def _show(
    request: HttpRequest, enrollment: Enrollment, step: Step, template: str, context: dict
) -> HttpResponse:
    status = 422 if context["form"].is_bound else 200
    return show_step(request, enrollment, step, template, context, status=status)
