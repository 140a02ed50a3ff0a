import pytest

from annotation import services
from annotation.models import Attempt, GateDecision, Outcome, Study
from annotation.selectors import get_current_step
from tests.every_step import build_study
from tests.factories import EnrollmentFactory
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db
PRACTICE = ("swim", "soup")
GATE = ("boss", "lock", "duty")


def stand_before(*steps, **fields):
    """Someone who has just come to the first of these steps, behind which a VCQ follows."""
    return EnrollmentFactory(study=build_study(*steps, "vcq", **fields))


def practise(enrollment, item, *, is_right=True, step=None):
    services.record_training_attempt(
        enrollment,
        step or get_current_step(enrollment),
        item,
        answers={"item": item},
        is_right=is_right,
        n_items=len(PRACTICE),
    )


def answer_gate(enrollment, item, *, is_right=True, step=None):
    services.record_gate_answer(
        enrollment,
        step or get_current_step(enrollment),
        item,
        answers={"item": item},
        is_right=is_right,
        n_items=len(GATE),
        threshold=2,
    )


def answer_check(enrollment, *, is_right, step=None):
    services.record_attention_answer(
        enrollment, step or get_current_step(enrollment), answers={"number": 1}, is_right=is_right
    )


def kind_of_current(enrollment):
    enrollment.refresh_from_db()
    step = get_current_step(enrollment)
    return step and step.kind


class TestTraining:
    def test_wrong_attempts_are_kept_and_each_post_right_once_is_enough(self):
        enrollment = stand_before("training")
        practise(enrollment, "swim", is_right=False)
        practise(enrollment, "swim")
        assert kind_of_current(enrollment) == "training"
        practise(enrollment, "soup", is_right=False)
        practise(enrollment, "soup")
        assert kind_of_current(enrollment) == "vcq"
        assert list(Attempt.objects.values_list("item", "is_right")) == [
            ("swim", False),
            ("swim", True),
            ("soup", False),
            ("soup", True),
        ]

    @pytest.mark.parametrize("item", ["swim", "soup", "walk", ""])
    @pytest.mark.parametrize("is_right", [True, False])
    def test_only_the_open_post_takes_an_answer(self, item, is_right):
        enrollment = stand_before("training")
        practise(enrollment, "swim")
        if item == "soup":
            services.finish(enrollment, Outcome.TIMED_OUT)
        before = freeze_rows()
        practise(enrollment, item, is_right=is_right, step=enrollment.study.steps.first())
        assert freeze_rows() == before

    def test_a_step_that_is_over_or_not_reached_takes_no_answer(self):
        enrollment = stand_before("training", "gating", "training")
        first, _, later, _ = enrollment.study.steps.all()
        practise(enrollment, "swim")
        practise(enrollment, "soup")
        before = freeze_rows()
        for step in (first, later):
            practise(enrollment, "swim", step=step)
        assert freeze_rows() == before


class TestAGate:
    def test_is_decided_once_all_its_posts_are_answered(self):
        enrollment = stand_before("gating")
        answer_gate(enrollment, "boss")
        answer_gate(enrollment, "lock")
        assert not GateDecision.objects.exists()
        answer_gate(enrollment, "duty", is_right=False)
        decision = GateDecision.objects.get()
        assert (decision.passed, decision.reason) == (True, "2 of 3 right, 2 needed")
        assert kind_of_current(enrollment) == "vcq"

    def test_below_its_threshold_screens_out(self):
        enrollment = stand_before("gating")
        for item, is_right in zip(GATE, (True, False, False), strict=True):
            answer_gate(enrollment, item, is_right=is_right)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.SCREENED_OUT
        assert GateDecision.objects.get().reason == "1 of 3 right, 2 needed"

    def test_keeps_the_first_answer_to_a_post(self):
        enrollment = stand_before("gating")
        answer_gate(enrollment, "boss", is_right=False)
        before = freeze_rows()
        answer_gate(enrollment, "boss", is_right=True)
        assert freeze_rows() == before

    @pytest.mark.parametrize("item", ["lock", "walk", ""])
    def test_takes_no_answer_to_a_post_that_is_not_open(self, item):
        enrollment = stand_before("gating")
        before = freeze_rows()
        answer_gate(enrollment, item)
        assert freeze_rows() == before

    @pytest.mark.parametrize("n_right", [0, 3])
    def test_changes_nothing_once_it_is_decided(self, n_right):
        enrollment = stand_before("gating")
        step = get_current_step(enrollment)
        for number, item in enumerate(GATE):
            answer_gate(enrollment, item, is_right=number < n_right)
        before = freeze_rows()
        answer_gate(enrollment, "duty", is_right=n_right == 0, step=step)
        assert freeze_rows() == before

    def test_that_lies_ahead_takes_no_answer(self):
        enrollment = stand_before("number", "gating")
        before = freeze_rows()
        answer_gate(enrollment, "boss", step=enrollment.study.steps.get(kind="gating"))
        assert freeze_rows() == before


class TestAttentionChecks:
    END = {"attention_consequence": Study.AttentionConsequence.END, "attention_limit": 2}

    def test_the_study_ends_with_the_failure_that_reaches_the_limit(self):
        enrollment = stand_before("number", "grid", "number", **self.END)
        answer_check(enrollment, is_right=False)
        answer_check(enrollment, is_right=True)
        assert enrollment.outcome == ""
        answer_check(enrollment, is_right=False)
        enrollment.refresh_from_db()
        assert enrollment.outcome == Outcome.FAILED_ATTENTION
        assert list(GateDecision.objects.order_by("pk").values_list("passed", flat=True)) == [
            False,
            True,
            False,
        ]

    def test_failures_that_are_only_noted_hold_nobody_up(self):
        enrollment = stand_before("number", "grid", attention_limit=1)
        answer_check(enrollment, is_right=False)
        answer_check(enrollment, is_right=False)
        assert kind_of_current(enrollment) == "vcq"
        assert GateDecision.objects.filter(passed=False).count() == 2

    def test_a_check_that_was_passed_never_ends_the_study(self):
        enrollment = stand_before("number", "grid", "number")
        answer_check(enrollment, is_right=False)
        answer_check(enrollment, is_right=False)
        Study.objects.update(**self.END)  # from now on
        enrollment.refresh_from_db()
        answer_check(enrollment, is_right=True)
        assert kind_of_current(enrollment) == "vcq"

    @pytest.mark.parametrize("second", [True, False])
    def test_a_second_answer_changes_nothing(self, second):
        enrollment = stand_before("number", "grid", **self.END)
        step = get_current_step(enrollment)
        answer_check(enrollment, is_right=not second)
        before = freeze_rows()
        answer_check(enrollment, is_right=second, step=step)
        assert freeze_rows() == before

    def test_a_check_that_lies_ahead_takes_no_answer(self):
        enrollment = stand_before("gating", "number", **self.END)
        before = freeze_rows()
        answer_check(enrollment, is_right=False, step=enrollment.study.steps.get(kind="attention_check"))
        assert freeze_rows() == before

    def test_failed_gates_are_no_failed_checks(self):
        enrollment = stand_before("number", **(self.END | {"attention_limit": 2}))
        other = enrollment.study.steps.get(kind="vcq")
        GateDecision.objects.create(enrollment=enrollment, step=other, passed=False, reason="another kind")
        answer_check(enrollment, is_right=False)
        assert kind_of_current(enrollment) == "vcq"
