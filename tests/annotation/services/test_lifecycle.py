import itertools

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from annotation import services
from annotation.errors import Refused, StudyClosed, StudyPaused
from annotation.lifecycle import MEANINGS, TRANSITIONS, count_inside
from annotation.models import Enrollment, Outcome, Rater, Study, StudyEvent
from annotation.recruitment import Entry
from annotation.services.lifecycle import hold_state
from tests.every_step import build_study
from tests.factories import EnrollmentFactory, StudyFactory
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db
State = Study.State
PAIRS = list(itertools.product(State.values, State.values))
ALLOWED = {
    ("draft", "pilot"),
    ("draft", "live"),
    ("draft", "closed"),
    ("pilot", "draft"),
    ("pilot", "live"),
    ("pilot", "paused"),
    ("pilot", "closed"),
    ("live", "paused"),
    ("live", "closed"),
    ("paused", "draft"),
    ("paused", "pilot"),
    ("paused", "live"),
    ("paused", "closed"),
    ("closed", "paused"),
}


def make(state, *names, **fields):
    return build_study(*(names or ("consent", "labeling")), state=state, **fields)


def move(study, to, **more):
    return services.change_state(study, to, **({"reason": "It is time."} | more))


def test_the_table_is_complete_and_every_state_has_its_meaning():
    assert {(old, new) for old, followers in TRANSITIONS.items() for new in followers} == ALLOWED
    assert set(TRANSITIONS) == set(MEANINGS) == set(State.values)


@pytest.mark.parametrize(("old", "new"), sorted(ALLOWED))
def test_an_allowed_transition_is_made_and_logged(old, new):
    study = make(old)
    user = get_user_model().objects.create_user("ada", is_staff=True)
    assert move(study, new, actor=user, reason="  All is ready.  ").state == new
    assert Study.objects.get().state == new
    event = StudyEvent.objects.get(action="state")
    assert (event.study, event.actor, event.actor_name, event.reason) == (study, user, "ada", "All is ready.")
    assert event.summary == f"Moved from {old} to {new}."
    assert event.detail == {"from": old, "to": new, "people_inside": 0}


@pytest.mark.parametrize(("old", "new"), sorted(set(PAIRS) - ALLOWED))
def test_any_other_transition_is_refused_and_leaves_nothing(old, new):
    study = make(old)
    before = freeze_rows()
    with pytest.raises(Refused, match=f"cannot go from {old} to {new}"):
        move(study, new)
    assert freeze_rows() == before


def test_an_unknown_state_is_refused():
    with pytest.raises(Refused, match="cannot go from draft to finished"):
        move(make("draft"), "finished")


@pytest.mark.parametrize("reason", ["", "   \n"])
def test_without_a_reason_nothing_moves(reason):
    study = make("live")
    with pytest.raises(Refused, match="reason is missing"):
        move(study, "paused", reason=reason)
    assert (Study.objects.get().state, StudyEvent.objects.count()) == ("live", 0)


@pytest.mark.parametrize(("old", "new"), [pair for pair in sorted(ALLOWED) if pair[1] in ("pilot", "live")])
def test_nobody_is_let_into_a_study_with_faults(old, new):
    study = make(old, "labeling")
    with pytest.raises(Refused, match=f"cannot be {new} yet: The first step must be the consent"):
        move(study, new)
    study.refresh_from_db()
    assert (study.state, study.current_version, StudyEvent.objects.count()) == (old, None, 0)


@pytest.mark.parametrize(
    ("old", "new"), [pair for pair in sorted(ALLOWED) if pair[1] not in ("pilot", "live")]
)
def test_a_study_with_faults_can_still_be_taken_away_from_people(old, new):
    assert move(make(old, "labeling"), new).state == new


@pytest.mark.parametrize(("old", "new"), sorted(ALLOWED))
def test_letting_people_in_freezes_a_version_and_nothing_else_does(old, new):
    study = move(make(old), new)
    assert (study.current_version is not None) == (new in ("pilot", "live"))


def test_a_decision_about_a_state_that_is_over_is_refused():
    study, same = make("live"), Study.objects.get()
    move(same, "paused")
    with pytest.raises(Refused, match="no longer live but paused"):
        move(study, "closed")
    with pytest.raises(Refused, match="no longer live but paused"):
        move(Study.objects.get(), "closed", seen="live")
    assert Study.objects.get().state == "paused"
    assert StudyEvent.objects.filter(action="state").count() == 1


@pytest.mark.parametrize("state", ["pilot", "paused"])
def test_a_pilot_goes_back_to_the_draft_only_once_nobody_is_inside(state):
    study = make("pilot")
    enrollment = EnrollmentFactory(study=study)
    Study.objects.update(state=state)
    study.refresh_from_db()
    with pytest.raises(Refused, match="1 person is on their way"):
        move(study, "draft")
    services.finish(enrollment, Outcome.NO_CONSENT)
    assert move(study, "draft").state == "draft"


def test_who_rehearses_is_not_inside():
    study = make("pilot")
    EnrollmentFactory(study=study, rater__origin=Rater.Origin.TEST)
    assert count_inside(study) == 0
    assert move(study, "draft").state == "draft"


@pytest.mark.parametrize("new", ["draft", "pilot"])
def test_a_study_that_had_people_live_is_no_pilot_or_draft_again(new):
    study = make("live")
    services.finish(EnrollmentFactory(study=study), Outcome.NO_CONSENT)
    move(study, "paused")
    with pytest.raises(Refused, match="People have taken part in it live"):
        move(study, new)
    assert move(study, "live").state == "live"


def test_a_version_that_cannot_be_frozen_leaves_the_state_as_it_was(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no room")

    monkeypatch.setattr("annotation.versions.freeze", fail)
    study = make("draft")
    with pytest.raises(OSError, match="no room"):
        move(study, "live")
    assert (Study.objects.get().state, StudyEvent.objects.count()) == ("draft", 0)


class TestArriving:
    entry = Entry("rater-one", "study-1", "session-1")

    @pytest.mark.parametrize(("state", "phase"), [("pilot", "pilot"), ("live", "live")])
    def test_people_are_of_the_phase_in_which_they_come(self, state, phase):
        assert services.enroll(make(state), self.entry).phase == phase

    def test_someone_stays_of_the_phase_in_which_they_came(self):
        study = make("pilot")
        services.enroll(study, self.entry)
        move(study, "live")
        assert services.enroll(study, self.entry).phase == Enrollment.Phase.PILOT

    def test_a_paused_study_says_that_it_pauses_and_others_that_they_are_closed(self):
        with pytest.raises(StudyPaused):
            services.enroll(make("paused"), self.entry)
        for state in ("draft", "closed"):
            with pytest.raises(StudyClosed) as refusal:
                services.enroll(make(state), self.entry)
            assert type(refusal.value) is StudyClosed
        assert not Rater.objects.exists()

    @pytest.mark.parametrize("state", ["paused", "closed"])
    def test_those_inside_are_found_again(self, state):
        study = make("live")
        enrollment = services.enroll(study, self.entry)
        move(study, state)
        assert services.enroll(study, self.entry) == enrollment

    def test_the_state_that_counts_is_the_one_of_now_not_of_when_the_page_was_opened(self):
        study = make("live")
        move(Study.objects.get(), "paused")
        with pytest.raises(StudyPaused):
            services.enroll(study, self.entry)

    def test_people_note_the_version_they_came_to(self):
        study = make("draft")
        move(study, "live")
        enrollment = services.enroll(study, self.entry)
        assert enrollment.study_version == study.current_version is not None

    def test_a_study_that_was_deleted_meanwhile_takes_nobody_in(self):
        study = StudyFactory(steps=(), posts=0, questions=0)
        Study.objects.get().delete()
        with pytest.raises(StudyClosed), transaction.atomic():
            hold_state(study)
