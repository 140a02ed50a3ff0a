"""A study checked, launched, paused and closed; and the log of who did what to it."""

from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from annotation.errors import Refused
from annotation.lifecycle import MEANINGS, TRANSITIONS, count_inside, find_hindrance
from annotation.models import Study
from annotation.permissions import Deed, get_study, may
from annotation.review import Topic, review_study
from annotation.services import change_state

State = Study.State
ON_A_PAGE = 25
VERBS = {
    State.DRAFT: "Back to the draft",
    State.PILOT: "Start the pilot",
    State.LIVE: "Go live",
    State.PAUSED: "Pause",
    State.CLOSED: "Close",
}
AGAIN = {
    (State.PAUSED, State.PILOT): "Go on with the pilot",
    (State.PAUSED, State.LIVE): "Go on, live",
    (State.CLOSED, State.PAUSED): "Reopen, paused at first",
}
# Where on the study's page each topic is mended.
SECTIONS = {
    "steps": "steps",
    "texts": "consent",
    "attention": "attention",
    "posts": "posts",
    "time": "time",
    "pay": "time",
    "codes": "codes",
    "language": "about",
    "retention": "privacy",
}


class StateForm(forms.Form):
    """One move of the study, with its reason; `seen` is the state that was shown beside it."""

    to = forms.ChoiceField(choices=State.choices, widget=forms.HiddenInput)
    seen = forms.ChoiceField(choices=State.choices, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=300,
        error_messages={"required": "Say why. Whoever reads the log later should know."},
    )
    confirmed = forms.BooleanField(error_messages={"required": "Tick the box to confirm."})


@dataclass(frozen=True)
class Move:
    """One transition as the page offers it."""

    to: str
    verb: str
    label: str
    meaning: str
    hindrance: str
    form: StateForm

    @property
    def is_open(self) -> bool:
        return self.form.is_bound


@require_http_methods(["GET", "POST"])
@staff_member_required
def check_and_launch(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what stands between a study and its people; move it to another state when it is asked to."""
    if request.method == "GET":
        study = get_study(request.user, slug, Deed.SEE)
        return _show(request, study)
    study = get_study(request.user, slug, Deed.LAUNCH)
    form = StateForm(request.POST)
    if not form.is_valid():
        return _show(request, study, form, status=422)
    answers = form.cleaned_data
    try:
        change_state(study, answers["to"], reason=answers["reason"], actor=request.user, seen=answers["seen"])
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return _show(request, study, form, status=409)
    messages.success(request, f"The study is {study.get_state_display().lower()} now.")
    return redirect("modeling:launch", study.slug)


def _show(
    request: HttpRequest, study: Study, form: StateForm | None = None, status: int = 200
) -> HttpResponse:
    topics = review_study(study)
    n_faults = sum(len(topic.faults) for topic in topics)
    may_launch = may(request.user, study, Deed.LAUNCH)
    events = Paginator(study.events.all(), ON_A_PAGE).get_page(request.GET.get("page"))
    moves = _list_moves(study, n_faults, form) if may_launch else []
    context = {
        "study": study,
        "meaning": MEANINGS[study.state],
        "n_inside": count_inside(study),
        "topics": [
            (topic, _get_mend(study, topic)) for topic in sorted(topics, key=_get_urgency) if topic.has_words
        ],
        "quiet_topics": [topic for topic in topics if not topic.has_words],
        "n_faults": n_faults,
        "n_warnings": sum(len(topic.warnings) for topic in topics),
        "may_launch": may_launch,
        "moves": moves,
        # A move that the study has no more, asked for on a page that had grown old.
        "stray_form": form if form and not any(move.is_open for move in moves) else None,
        "events": events,
    }
    return render(request, "modeling/launch.html", context, status=status)


def _list_moves(study: Study, n_faults: int, form: StateForm | None) -> list[Move]:
    return [_build_move(study, to, n_faults, form) for to in TRANSITIONS[study.state]]


def _build_move(study: Study, to: str, n_faults: int, form: StateForm | None) -> Move:
    hindrance = find_hindrance(study, to)
    if not hindrance and to in Study.TAKES_PEOPLE and n_faults:
        faults = "the fault" if n_faults == 1 else f"the {n_faults} faults"
        hindrance = f"Mend {faults} below first."
    is_asked = form is not None and form.data.get("to") == to
    return Move(
        to=to,
        verb=AGAIN.get((study.state, to), VERBS[to]),
        label=State(to).label,
        meaning=MEANINGS[to],
        hindrance=hindrance,
        form=form if is_asked else StateForm(initial={"to": to, "seen": study.state}),
    )


def _get_urgency(topic: Topic) -> int:
    return 0 if topic.faults else 1 if topic.warnings else 2


def _get_mend(study: Study, topic: Topic) -> str:
    """Return the address where what a topic names is mended."""
    if topic.key == "rehearsal":
        return reverse("modeling:rehearsal", args=[study.slug])
    if topic.key == "values":
        return reverse("admin:annotation_valuesystem_change", args=[study.value_system_id])
    page = reverse("admin:annotation_study_change", args=[study.pk])
    return f"{page}#{SECTIONS[topic.key]}"
