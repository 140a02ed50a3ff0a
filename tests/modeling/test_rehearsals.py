import pytest

from annotation.errors import Refused
from annotation.models import Annotation, Enrollment, Outcome, Rater, StepCompletion, Study, StudyEvent
from annotation.selectors import count_live_assignments
from annotation.services import preview_step
from annotation.steps import KINDS
from jobs.models import Job
from jobs.services import run_here
from modeling import rehearsals, simulated_raters
from modeling.rehearsals import (
    MOST_RATERS,
    count_outcomes,
    erase_rehearsal,
    list_participants,
    list_rehearsed,
    request_rehearsal,
)
from modeling.simulated_raters import Cast, walk_directly
from tests.every_step import EVERY_STEP, build_study
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db


def send(study, n_raters, token="a" * 32):
    job = run_here(request_rehearsal(study, n_raters, token=token))
    study.refresh_from_db()
    return job


def draft(*names, **fields):
    return build_study(*(names or ("consent", "labeling")), **({"state": "draft", "posts": 6} | fields))


@pytest.mark.parametrize("state", Study.State.values)
def test_simulated_raters_walk_every_kind_of_step_in_every_state_and_are_no_data(state):
    study = draft(*EVERY_STEP, state=state, redundancy_cap=2)
    job = send(study, 2)
    assert (job.state, job.result) == ("done", {"raters": 2, "mishaps": []})
    assert study.state == state
    people = Enrollment.objects.all()
    assert {(p.phase, p.outcome, p.rater.origin) for p in people} == {("rehearsal", "completed", "simulated")}
    assert set(count_live_assignments(study).values()) == {0}


def test_progress_and_the_log_say_how_many(monkeypatch):
    monkeypatch.setattr("jobs.services.REPORT_SECONDS", 0)
    seen = []
    job = request_rehearsal(draft(), 3, token="a" * 32)
    run_here(job, on_progress=lambda job: seen.append((job.progress_done, job.progress_total)))
    assert (3, 3) in seen
    (event,) = StudyEvent.objects.filter(action="rehearsal")
    assert (event.summary, event.detail) == ("Sent in 3 simulated raters.", {"raters": 3})


def test_one_request_sent_twice_sends_them_in_once_and_another_sends_in_others():
    study = draft()
    assert send(study, 2) == send(study, 2)
    assert Enrollment.objects.count() == 2
    send(study, 3, token="b" * 32)
    assert Rater.objects.count() == Enrollment.objects.count() == 5


def test_the_raters_of_a_rehearsal_are_others_than_those_of_the_data():
    study = draft(state="live")
    walk_directly(Cast(study), [1, 2], on_progress=lambda done, total: None)
    send(study, 2)
    phases = sorted(Enrollment.objects.values_list("phase", flat=True))
    assert phases == ["live", "live", "rehearsal", "rehearsal"]
    assert Cast(study).list_unfinished(2) == []


@pytest.mark.parametrize("n_raters", [0, -1, MOST_RATERS + 1])
def test_too_few_and_too_many_are_refused(n_raters):
    with pytest.raises(Refused, match="From 1 to 200 raters"):
        request_rehearsal(draft(), n_raters, token="a" * 32)
    assert not Job.objects.exists()


def test_a_study_that_nobody_can_walk_is_refused_with_the_reasons():
    study = draft("consent", "training")
    study.steps.filter(kind="training").update(config={})
    with pytest.raises(Refused, match=r"Nobody can walk this study yet: Step 2 \(Training\)"):
        request_rehearsal(study, 1, token="a" * 32)
    with pytest.raises(Refused, match="The study has no steps"):
        request_rehearsal(StudyFactory(steps=()), 1, token="a" * 32)
    assert not Job.objects.exists()


def test_a_study_that_broke_between_the_request_and_the_job_fails_it_with_the_reasons():
    study = draft("consent", "training")
    job = request_rehearsal(study, 1, token="a" * 32)
    study.steps.filter(kind="training").update(config={})
    job = run_here(job)
    assert (job.state, job.attempts) == ("failed", 1)
    assert "Step 2 (Training)" in job.error


def test_a_study_without_posts_can_be_rehearsed_too():
    study = draft("consent", "questionnaire", posts=0, questions=0)
    assert send(study, 1).result == {"raters": 1, "mishaps": []}


class TestMishaps:
    def break_vcq(self, monkeypatch):
        def break_off(*args):
            raise LookupError("no question left")

        monkeypatch.setitem(simulated_raters.WALKERS, "vcq", break_off)

    def test_who_cannot_go_on_stays_there_and_the_others_go_all_the_same(self, monkeypatch):
        self.break_vcq(monkeypatch)
        study = draft("consent", "labeling", "vcq")
        result = send(study, 2).result
        assert [(m["step"], m["what"]) for m in result["mishaps"]] == [
            ("3. vcq", "LookupError: no question left")
        ] * 2
        rows = list_participants(study, list_rehearsed(study))
        assert [(row.stands_at, row.n_done, row.n_steps, row.outcome) for row in rows] == [
            (f"3. {KINDS['vcq'].label}", 2, 3, "")
        ] * 2
        assert all(row.mishaps == ["Broke at 3. vcq: LookupError: no question left"] for row in rows)
        assert Annotation.objects.count() == 2 * study.posts_per_rater

    def test_a_walk_that_does_not_come_on_is_ended(self, monkeypatch):
        monkeypatch.setitem(simulated_raters.WALKERS, "consent", lambda *args: None)
        monkeypatch.setattr(simulated_raters, "MAX_ROUNDS", 10)
        (mishap,) = send(draft(), 1).result["mishaps"]
        assert "did not come to an end within 10 rounds" in mishap["what"]

    def test_a_later_request_tries_nobody_of_an_earlier_one_again(self, monkeypatch):
        self.break_vcq(monkeypatch)
        study = draft("consent", "vcq")
        send(study, 2)
        assert send(study, 1, token="b" * 32).result["raters"] == 1
        assert Enrollment.objects.count() == 3


class TestTable:
    def test_a_test_participant_can_go_on_and_says_where_they_were_put(self):
        study = draft("consent", "instructions", "labeling")
        preview_step(study, study.steps.get(position=2))
        (row,) = list_participants(study, list_rehearsed(study))
        assert row.name.startswith("Test participant ")
        assert (row.is_test, row.began_at_step, row.stands_at) == (True, "2", "2. Instructions")
        assert row.resume_path.startswith("?rater=")
        assert 0 <= row.minutes < 1

    def test_a_simulated_rater_has_a_number_and_no_door(self):
        study = draft()
        send(study, 1)
        (row,) = list_participants(study, list_rehearsed(study))
        assert (row.name, row.is_test, row.outcome, row.resume_path) == (
            "Simulated rater 1",
            False,
            "Completed",
            "",
        )
        assert (row.n_done, row.n_steps, row.stands_at, row.mishaps) == (2, 2, "", [])

    def test_wrong_tries_and_failed_checks_are_named(self):
        study = draft("consent", "training", "number")
        enrollment = preview_step(study, study.steps.get(position=3))
        training, check = study.steps.get(position=2), study.steps.get(position=3)
        for _ in range(2):
            enrollment.attempts.create(step=training, item="swim", answers={}, is_right=False)
        enrollment.gate_decisions.create(step=check, passed=False, reason="not answered as asked")
        (row,) = list_participants(study, list_rehearsed(study))
        assert row.mishaps == ["Step 2: 2 wrong tries", "Step 3: failed, not answered as asked"]

    def test_the_number_of_queries_does_not_grow_with_the_people(self, django_assert_max_num_queries):
        study = draft()
        send(study, 8)
        people = list(list_rehearsed(study))
        with django_assert_max_num_queries(6):
            assert len(list_participants(study, people)) == 8

    def test_outcomes_are_counted_for_the_rehearsal_alone(self):
        study = draft(state="live")
        walk_directly(Cast(study), [1], on_progress=lambda done, total: None)
        send(study, 2)
        preview_step(study, study.steps.first())
        assert count_outcomes(study) == {"all": 3, "simulated": 2, "completed": 2}


class TestErasing:
    def test_it_takes_everyone_of_the_rehearsal_and_stops_who_is_on_the_way(self):
        study = draft()
        send(study, 2)
        waiting = request_rehearsal(study, 5, token="b" * 32)
        assert erase_rehearsal(study) == 2
        waiting.refresh_from_db()
        assert waiting.state == "cancelled"
        assert not Enrollment.objects.exists()
        assert not Rater.objects.exists()
        assert not StepCompletion.objects.exists()

    def test_simulated_raters_who_are_on_the_way_come_no_further(self, monkeypatch):
        study = draft()
        job = request_rehearsal(study, 3, token="a" * 32)
        walk = simulated_raters._walk

        def walk_and_erase(cast, number):
            walk(cast, number)
            erase_rehearsal(study)

        monkeypatch.setattr(simulated_raters, "_walk", walk_and_erase)
        assert run_here(job).state == "cancelled"
        assert not Enrollment.objects.exists()

    def test_a_new_rehearsal_after_it_has_people_again(self):
        study = draft()
        send(study, 1)
        erase_rehearsal(study)
        send(study, 1, token="b" * 32)
        assert Enrollment.objects.get().outcome == Outcome.COMPLETED
        assert rehearsals.get_latest_job(study).payload == {"study": study.pk, "first": 2, "last": 2}


def test_an_old_job_of_another_study_counts_for_nothing():
    send(draft(), 4)
    study = draft()
    assert request_rehearsal(study, 1, token="b" * 32).payload["first"] == 1
