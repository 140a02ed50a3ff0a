"""The states of a study, which follow on which, and what each means for the people in it.

`annotation.services.change_state` moves a study; nothing else does.
"""

from .models import Enrollment, Study

State = Study.State

# Closing can be taken back, in two steps, so that a study closed by mistake is not lost: whoever reopens it
# passes the launch checks again.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    State.DRAFT: (State.PILOT, State.LIVE, State.CLOSED),
    State.PILOT: (State.LIVE, State.PAUSED, State.DRAFT, State.CLOSED),
    State.LIVE: (State.PAUSED, State.CLOSED),
    State.PAUSED: (State.LIVE, State.PILOT, State.DRAFT, State.CLOSED),
    State.CLOSED: (State.PAUSED,),
}

MEANINGS = {
    State.DRAFT: "Nobody can come in but test participants and simulated raters of a rehearsal.",
    State.PILOT: "People can come in. What they answer is kept apart from the data and uses up no places.",
    State.LIVE: "People can come in, and what they answer is data.",
    State.PAUSED: "Nobody new can come in; newcomers read that the study pauses. Those inside go on and finish.",
    State.CLOSED: "Nobody new can come in. Those inside may finish; nobody can take their answers back any more.",
}


def is_possible(old: str, new: str) -> bool:
    """Whether the table lets a study go from one state to another."""
    return new in TRANSITIONS.get(old, ())


def find_hindrance(study: Study, new: str) -> str:
    """Return why the people in a study keep it from a state that the table allows; '' when nothing does.

    A pilot can be taken back to the draft, or be resumed, only as long as nobody took part live; and to the
    draft only once nobody is on their way.
    """
    if new == State.DRAFT and (n_inside := count_inside(study)):
        who = "1 person is" if n_inside == 1 else f"{n_inside} people are"
        return f"{who} on their way through the study: pause it and wait until nobody is inside."
    if new in (State.DRAFT, State.PILOT) and study.state != State.DRAFT and has_taken_people_live(study):
        return "People have taken part in it live, so it can be no draft and no pilot again."
    return ""


def count_inside(study: Study) -> int:
    """How many people are on their way, rehearsals left out."""
    return study.enrollments.filter(outcome="").exclude(phase=Enrollment.Phase.REHEARSAL).count()


def has_taken_people_live(study: Study) -> bool:
    return study.enrollments.filter(phase=Enrollment.Phase.LIVE).exists()
