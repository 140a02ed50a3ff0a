from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Enrollment,
    GateDecision,
    Outcome,
    Rater,
    Step,
)
from annotation.services import withdraw
from annotation.tree.walk import CHOSEN, IMPLIED
from calibration.models import QuestionnaireResponse
from jobs.models import Job
from jobs.services import run_here
from modeling import flagging
from modeling.flagging import compute_flags, get_limits, request_flags, store_flags
from modeling.inclusion import InclusionRule
from modeling.models import QualityFlag
from modeling.participations import read_frame, read_people
from modeling.quality.measuring import Flag
from modeling.quality.rules import RULES, check_limits
from modeling.services import request_fit
from tests.factories import QuestionnaireFactory, StudyFactory
from tests.modeling.rated import FEW, make_rated_study
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db
BEGAN = timezone.now() - timedelta(days=1)
SCORED = {
    "key": "self",
    "version": 1,
    "title": "About you",
    "items": [
        {
            "key": "grid",
            "kind": "grid",
            "label": "How much?",
            "prefer_not_to_say": True,
            "options": [{"value": n, "label": str(n)} for n in range(1, 7)],
            "rows": [{"key": f"q{n}", "label": f"Question {n}."} for n in range(1, 7)],
        },
        {"key": "words", "kind": "text", "label": "Anything else?"},
    ],
    "scoring": {
        "key": "self",
        "instrument": "Self",
        "answers": {"min": 1, "max": 6},
        "items": [f"q{n}" for n in range(1, 7)],
        "scales": [
            {"key": "one", "label": "One", "items": ["q1", "q2"], "reversed": ["q2"]},
            {"key": "two", "label": "Two", "items": ["q3", "q4"]},
            {"key": "three", "label": "Three", "items": ["q5", "q6"]},
        ],
    },
}
CAREFUL = {"q1": 2, "q2": 5, "q3": 4, "q4": 4, "q5": 6, "q6": 6, "words": "No."}


@pytest.fixture
def study():
    study = StudyFactory(
        steps=("training", "gating", "attention_check", "labeling"), posts=6, estimated_minutes=20
    )
    QuestionnaireFactory(study=study, key="self", definition=SCORED)
    return study


def step_of(study, kind):
    return Step.objects.get(study=study, kind=kind)


def finish(
    study, name, *, seconds=60, minutes=20, origin=Rater.Origin.PROLIFIC, answers=None, opens=True, **more
):
    """Somebody who completed the study, row by row."""
    rater = Rater.objects.create(origin=origin, external_id=f"{study.slug}-{name}")
    enrollment = Enrollment.objects.create(
        study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now(), **more
    )
    Enrollment.objects.filter(pk=enrollment.pk).update(
        started_at=BEGAN, finished_at=BEGAN + timedelta(minutes=minutes)
    )
    for position, post in enumerate(study.posts.filter(purpose="labeling"), start=1):
        assignment = Assignment.objects.create(
            enrollment=enrollment,
            step=step_of(study, "labeling"),
            post=post,
            position=position,
            status=Assignment.Status.SUBMITTED,
        )
        Assignment.objects.filter(pk=assignment.pk).update(
            assigned_at=BEGAN, submitted_at=BEGAN + timedelta(seconds=seconds + position)
        )
        Annotation.objects.create(
            enrollment=enrollment,
            post=post,
            assignment=assignment,
            ratings=tuple(1 + (index + position) % 5 if opens else 1 for index in range(10)),
            codes=((CHOSEN if opens else IMPLIED),) * 10,
        )
    QuestionnaireResponse.objects.create(
        enrollment=enrollment, questionnaire=study.questionnaires.get(), version=1, answers=answers or CAREFUL
    )
    return enrollment


def flags_of(enrollment):
    return set(enrollment.quality_flags.values_list("rule", flat=True))


def flag_here(study, limits=None):
    job = run_here(request_flags(study, limits))
    assert job.state == "done", job.error
    return job


def read_one(study):
    ((_, _, person),) = read_people(study)
    return person


class TestReadingPeople:
    def test_every_row_finds_its_place(self, study):
        enrollment = finish(study, "a", seconds=30, minutes=12)
        for item, is_right in (("p", False), ("p", False), ("p", True), ("q", True)):
            Attempt.objects.create(
                enrollment=enrollment,
                step=step_of(study, "training"),
                item=item,
                answers={},
                is_right=is_right,
            )
        for item, is_right in (("g", True), ("h", False)):
            Attempt.objects.create(
                enrollment=enrollment, step=step_of(study, "gating"), item=item, answers={}, is_right=is_right
            )
        check = step_of(study, "attention_check")
        GateDecision.objects.create(enrollment=enrollment, step=check, passed=False, reason="")
        GateDecision.objects.create(
            enrollment=enrollment, step=step_of(study, "gating"), passed=True, reason=""
        )
        person = read_one(study)
        assert [reading.seconds for reading in person.readings] == [31, 32, 33, 34, 35, 36]
        assert person.is_ordered
        assert person.minutes == 12
        assert person.training_tries == (3, 1)
        assert person.gates_right == (True, False)
        assert person.checks_passed == (False,)
        (grid,) = person.grids
        assert (grid.answers, grid.width) == ((2, 5, 4, 4, 6, 6), 5)
        (scored,) = person.scored
        assert scored.scales == ((2.0, 2.0), (4.0, 4.0), (6.0, 6.0))  # q2 counts backwards
        assert scored.items["self.q2"] == 2

    def test_readings_stand_in_the_order_in_which_they_were_given(self, study):
        enrollment = finish(study, "a")
        positions = list(enrollment.assignments.order_by("position"))
        for number, assignment in enumerate(reversed(positions), start=1):
            Assignment.objects.filter(pk=assignment.pk).update(position=100 + number)
        expected = [tuple(a.annotation.ratings) for a in enrollment.assignments.order_by("position")]
        assert [reading.ratings for reading in read_one(study).readings] == expected

    def test_answers_that_were_declined_are_none(self, study):
        finish(study, "a", answers=CAREFUL | {"q3": "prefer_not_to_say", "q4": ""})
        person = read_one(study)
        assert person.grids[0].answers == (2, 5, 6, 6)
        assert person.scored[0].scales == ((2.0, 2.0), (), (6.0, 6.0))

    def test_nobody_knows_when_imported_ratings_were_given(self):
        study = make_rated_study(n_posts=6, n_raters=5, per_post=3, origin=Rater.Origin.IMPORTED)
        for _, _, person in read_people(study):
            assert person.minutes is None
            assert not person.is_ordered
            assert all(reading.seconds is None for reading in person.readings)

    def test_the_times_of_simulated_raters_are_the_machines(self, study):
        finish(study, "a", seconds=1, minutes=0.1, origin=Rater.Origin.SIMULATED)
        person = read_one(study)
        assert person.minutes is None
        assert [reading.seconds for reading in person.readings] == [None] * 6
        assert person.is_ordered

    def test_only_those_who_finished_pilot_or_study_are_read(self, study):
        finish(study, "a")
        finish(study, "b", phase=Enrollment.Phase.PILOT)
        finish(study, "c", phase=Enrollment.Phase.REHEARSAL)
        finish(study, "d", origin=Rater.Origin.TEST)
        gone = finish(study, "e")
        Enrollment.objects.filter(pk=gone.pk).update(outcome=Outcome.SCREENED_OUT)
        kinds = [kind for _, kind, _ in read_people(study)]
        assert kinds == [("live", False), ("pilot", False)]

    def test_the_frame_names_the_groups_by_their_places(self, study):
        frame = read_frame(study)
        assert sorted(place for group in frame.groups for place in group) == list(range(10))
        assert (frame.scale_width, frame.can_be_closed, frame.estimated_minutes) == (4, True, 20)

    def test_reading_takes_the_same_few_queries_however_many_there_are(
        self, study, django_assert_num_queries
    ):
        finish(study, "a")
        list(read_people(study))
        for name in "bcd":
            finish(study, name)
        with django_assert_num_queries(6):
            assert len(list(read_people(study))) == 4


class TestFlags:
    def test_each_rule_finds_its_people(self, study):
        for number in range(12):
            finish(study, f"careful-{number}", seconds=55 + number, minutes=19 + number % 3)
        fast = finish(study, "fast", seconds=1, minutes=2)
        closed = finish(study, "closed", opens=False)
        same = finish(study, "same", answers={f"q{n}": 4 for n in range(1, 7)})
        job = flag_here(study)
        assert flags_of(fast) == {"fast_posts", "fast_total", "below_estimate"}
        assert flags_of(closed) == {"never_opens"}
        assert {"identical_questionnaire", "long_string_questionnaire"} <= flags_of(same)
        assert job.result["n_people"] == 15
        assert job.result["n_flagged"] == 3
        assert job.result["rules"]["never_opens"] == {
            "n_measured": 15, "n_undefined": 0, "n_flagged": 1, "limit": 1.0,
        }  # fmt: skip
        assert job.result["rules"]["attention_checks"]["n_undefined"] == 15
        flag = fast.quality_flags.get(rule="below_estimate")
        assert (flag.number, flag.limit) == (pytest.approx(0.1), 0.3)

    def test_nobody_is_excluded_by_flags(self, study):
        finish(study, "closed", opens=False)
        before = {k: v for k, v in freeze_rows().items() if k.startswith(("annotation.", "calibration."))}
        flag_here(study)
        after = {k: v for k, v in freeze_rows().items() if k.startswith(("annotation.", "calibration."))}
        assert after == before

    def test_computing_again_leaves_the_same_flags(self, study):
        enrollment = finish(study, "closed", opens=False)
        flag_here(study)
        flag_here(study)
        assert list(QualityFlag.objects.values_list("enrollment", "rule", "number", "limit")) == [
            (enrollment.pk, "never_opens", 1, 1)
        ]

    def test_a_flag_that_is_no_longer_earned_goes(self, study):
        enrollment = finish(study, "closed", opens=False)
        flag_here(study)
        Annotation.objects.filter(enrollment=enrollment).update(codes=(CHOSEN,) * 10)
        flag_here(study)
        assert "never_opens" not in flags_of(enrollment)

    def test_simulated_raters_do_not_shift_what_is_usual_for_people(self, study):
        for number in range(12):
            finish(study, f"p-{number}", seconds=55 + number)
        slow = finish(study, "slow", seconds=20)
        flag_here(study)
        alone = flags_of(slow)
        for number in range(30):
            finish(study, f"s-{number}", seconds=1, origin=Rater.Origin.SIMULATED)
        flag_here(study)
        assert flags_of(slow) == alone == {"fast_posts"}

    def test_other_studies_keep_their_flags(self, study):
        other = StudyFactory(steps=("labeling",))
        rater = Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="elsewhere")
        there = Enrollment.objects.create(
            study=other, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now()
        )
        QualityFlag.objects.create(enrollment=there, rule="fast_posts", number=-4, limit=-3)
        flag_here(study)
        assert QualityFlag.objects.filter(enrollment=there).exists()

    def test_who_withdraws_takes_their_flags_along(self, study):
        enrollment = finish(study, "closed", opens=False)
        flag_here(study)
        withdraw(enrollment)
        assert not QualityFlag.objects.exists()

    def test_who_withdrew_while_flags_were_computed_gets_none(self, study):
        enrollment = finish(study, "closed", opens=False)
        flags, _ = compute_flags(study, check_limits({}), lambda *progress: None)
        withdraw(enrollment)
        assert store_flags(study, flags) == 0
        assert not QualityFlag.objects.exists()

    def test_a_study_without_anyone_has_no_flags(self, study):
        job = flag_here(study)
        assert (job.result["n_people"], job.result["n_flagged"]) == (0, 0)


class TestLimits:
    def test_other_limits_flag_others_and_are_kept_for_the_next_time(self, study):
        enrollment = finish(study, "a", minutes=8)
        flag_here(study)
        assert flags_of(enrollment) == set()
        flag_here(study, {"below_estimate": 0.5})
        assert flags_of(enrollment) == {"below_estimate"}
        assert get_limits(study)["below_estimate"] == 0.5
        flag_here(study)
        assert flags_of(enrollment) == {"below_estimate"}

    def test_the_usual_ones_are_those_of_the_rules(self, study):
        assert get_limits(study) == {rule.key: rule.limit for rule in RULES}

    def test_a_limit_without_sense_asks_for_nothing(self, study):
        with pytest.raises(ValueError, match="between 0 and 1"):
            request_flags(study, {"below_estimate": 7})
        assert not Job.objects.exists()

    def test_a_double_click_is_one_job(self, study):
        assert request_flags(study) == request_flags(study)
        assert request_flags(study, {"never_opens": 0.5}) != request_flags(study)
        assert Job.objects.count() == 2


def test_a_fit_without_the_flagged_is_outdated_when_flags_change_who_is_in_it():
    study = make_rated_study()
    settings = request_fit(study, FEW, InclusionRule(without_flags=("never_opens",)))
    job = run_here(settings)
    usual = run_here(request_fit(study, FEW))
    enrollment = study.enrollments.first()
    store_flags(study, {enrollment.pk: [Flag("fast_posts", -4, -3)]})
    fit_run = study.fit_runs.get(pk=job.result["fit_run"])
    assert fit_run.outdated_at is None
    store_flags(study, {enrollment.pk: [Flag("never_opens", 1, 1)]})
    fit_run.refresh_from_db()
    assert fit_run.outdated_at is not None
    assert study.fit_runs.get(pk=usual.result["fit_run"]).outdated_at is None


class TestCommand:
    def test_says_how_many_each_rule_flags(self, study):
        finish(study, "closed", opens=False)
        out = StringIO()
        call_command("flag_quality", study.slug, stdout=out)
        assert "1 people completed it; 1 are flagged" in out.getvalue()
        assert "never_opens                 flagged     1   without a number     0" in out.getvalue()

    def test_takes_limits_and_can_leave_the_work_to_a_worker(self, study):
        out = StringIO()
        call_command("flag_quality", study.slug, "--limit", "fast_posts=-2.5", "--queue", stdout=out)
        assert Job.objects.get(kind=flagging.KIND).payload["limits"]["fast_posts"] == -2.5
        assert not QualityFlag.objects.exists()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["nowhere"], "no study 'nowhere'"),
            (["{slug}", "--limit", "fast_posts"], "must look like"),
            (["{slug}", "--limit", "sleepy=1"], "no rule 'sleepy'"),
        ],
    )
    def test_refuses_what_it_does_not_know(self, study, options, words):
        with pytest.raises(CommandError, match=words):
            call_command("flag_quality", *[option.format(slug=study.slug) for option in options])
