"""Scripted people walk a study with steps of every kind through the served pages alone, without scripts."""

import pytest

from annotation.models import Attempt, Enrollment, GateDecision, Outcome, PageVisit
from annotation.recruitment import build_entry_path
from annotation.selectors import get_tree
from modeling.simulated_raters import learn
from modeling.simulation.browser import walk_study
from tests.every_step import ALL_CODES, EVERY_STEP, build_study
from tests.visitor import Visitor, find_codes

pytestmark = pytest.mark.django_db


class Pupil:
    """A mind that has understood the instructions; what it is `bad_at` it answers wrongly."""

    def __init__(self, study, *, bad_at=()):
        self.lessons = learn(study, get_tree(study.value_system))
        self.bad_at = bad_at

    def choose_branches(self, post_text, node_key, options):
        known = self.lessons.readings.get(post_text)
        if known is None or ("gating" in self.bad_at and post_text in GATE_TEXTS):
            return ["none"]
        return [option for option in options if option in known.opened] or ["none"]

    def rate(self, post_text, value_key, options):
        return self.lessons.readings[post_text].ratings[value_key]

    def question(self, post_text, value_key, options):
        return options[0]

    def field(self, name, control):
        if name in self.lessons.told and "grid" not in self.bad_at:
            return self.lessons.told[name]
        return control.options[0] if control.options else ""

    def solve(self, riddle):
        return "5" if "number" in self.bad_at else str(self.lessons.numbers[riddle])


GATE_TEXTS = ("I decide here.", "Lock your doors.", "Work comes first.")


@pytest.fixture
def study():
    return build_study(*EVERY_STEP, posts=5, attention_consequence="end", attention_limit=2)


def walk(study, mind, **browser):
    visitor = Visitor(**browser)
    return walk_study(visitor, build_entry_path(study, "rater-one"), mind), visitor


@pytest.mark.parametrize("keeps_cookies", [True, False])
def test_all_steps_are_walked_with_cookies_and_without(study, keeps_cookies):
    walked, visitor = walk(study, Pupil(study), keeps_cookies=keeps_cookies)
    assert (walked.outcome, walked.completion_code) == (Outcome.COMPLETED, ALL_CODES[Outcome.COMPLETED])
    enrollment = Enrollment.objects.get()
    assert enrollment.step_completions.count() == len(EVERY_STEP)
    assert enrollment.annotations.count() == 4
    assert Attempt.objects.filter(is_right=True).count() == Attempt.objects.count() == 7
    assert GateDecision.objects.filter(passed=True).count() == 3
    assert PageVisit.objects.filter(step__kind="training").count() == 2
    with_mark = [url for url, status, _ in visitor.served if "rater=" in url and status == 200]
    assert bool(with_mark) is not keeps_cookies


def test_no_completion_code_is_in_any_answer_before_the_end(study):
    _, visitor = walk(study, Pupil(study))
    *before, (_, _, last) = visitor.served
    for url, _, body in before:
        assert not find_codes(url + body, ALL_CODES.values())
    assert find_codes(last, ALL_CODES.values()) == {ALL_CODES[Outcome.COMPLETED]}


@pytest.mark.parametrize(
    ("bad_at", "outcome"),
    [
        (["gating"], Outcome.SCREENED_OUT),
        (["number"], Outcome.COMPLETED),
        (["number", "grid"], Outcome.FAILED_ATTENTION),
    ],
)
def test_what_goes_wrong_leads_to_the_way_out_of_its_own_and_its_code_alone(study, bad_at, outcome):
    walked, visitor = walk(study, Pupil(study, bad_at=bad_at))
    assert (walked.outcome, walked.completion_code) == (outcome, ALL_CODES[outcome])
    served = "".join(body for _, _, body in visitor.served)
    assert find_codes(served, ALL_CODES.values()) == {ALL_CODES[outcome]}
