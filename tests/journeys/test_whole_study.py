"""Scripted people walk whole studies through the served pages alone, without scripts."""

import pytest

from annotation.models import Annotation, Assignment, Enrollment, Outcome, Post, Rater
from annotation.recruitment import build_entry_path
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import CHOSEN, IMPLIED
from calibration.models import CalibrationAnswer, QuestionnaireResponse
from modeling.simulation.browser import walk_study
from tests.factories import CODES, StudyFactory, ValueSystemFactory, load_nineteen, load_ten
from tests.visitor import Visitor, find_codes

pytestmark = pytest.mark.django_db

TINY = {
    "slug": "tiny",
    "name": "Tiny",
    "version": 1,
    "description": "",
    "source": "",
    "scale": {"min": -1, "max": 7, "shown_from": -1, "low": "Opposed", "high": "Of supreme importance"},
    "root": {
        "key": "all",
        "name": "All",
        "label": "All",
        "definition": "",
        "question": "How much?",
        "help": "",
        "answers": "several",
        "children": [
            {"key": "order", "name": "Order", "label": "Order", "definition": "Things in their place."},
            {"key": "play", "name": "Play", "label": "Play", "definition": "Doing it for its own sake."},
        ],
    },
}


class Script:
    """A mind that marks the first `n_marked` branches of a question and rates by the value's name alone."""

    def __init__(self, *, consent="yes", n_marked=9):
        self.consent, self.n_marked = consent, n_marked
        self.seen = set()

    def choose_branches(self, post_text, node_key, options):
        self.seen.add(node_key)
        return [option for option in options if option != "none"][: self.n_marked] or ["none"]

    def rate(self, post_text, value_key, options):
        self.seen.add(value_key)
        self.options = list(options)
        return options[len(value_key) % len(options)]

    def question(self, post_text, value_key, options):
        return options[-1]

    def field(self, name, control):
        if name == "consent":
            return self.consent
        if control.options:
            return control.options[-1]
        return "44" if name == "age" else "Some words\nin two lines"


def walk(study, script, rater_id="rater-one"):
    visitor = Visitor()
    return walk_study(visitor, build_entry_path(study, rater_id), script), visitor


@pytest.fixture(params=["ten values", "nineteen values", "two values without groups"])
def tree(request):
    return {
        "ten values": load_ten(),
        "nineteen values": load_nineteen(),
        "two values without groups": ValueTree.from_dict(TINY),
    }[request.param]


@pytest.fixture
def study(tree):
    return StudyFactory(value_system=ValueSystemFactory(tree=tree), posts_per_rater=3, posts=4)


def test_a_person_walks_the_whole_study_of_any_value_system(study, tree):
    script = Script()
    walked, _ = walk(study, script)
    assert (walked.outcome, walked.completion_code) == (Outcome.COMPLETED, "DONE1111")
    levels = list(tree.scale.levels)
    assert script.options == levels
    enrollment = Enrollment.objects.get()
    assert enrollment.outcome == Outcome.COMPLETED
    assert enrollment.consent_record.given
    assert enrollment.step_completions.count() == 4
    annotations = Annotation.objects.all()
    assert len(annotations) == 3
    for annotation in annotations:
        assert len(annotation.ratings) == len(annotation.codes) == len(tree.value_keys)
        for key, rating, code in zip(tree.value_keys, annotation.ratings, annotation.codes, strict=True):
            is_open = tree.parent(key).key in annotation.opened
            assert code == (CHOSEN if is_open else IMPLIED)
            assert rating == (levels[len(key) % len(levels)] if is_open else tree.scale.min)
        assert annotation.rationale == "Some words\nin two lines"
    assert set(CalibrationAnswer.objects.values_list("rating", flat=True)) == {tree.scale.max}
    assert CalibrationAnswer.objects.count() == 2
    answers = QuestionnaireResponse.objects.get().answers
    assert answers["age"] == 44
    assert answers["party"] == "prefer_not_to_say"


def test_a_person_who_sees_nothing_leaves_implied_ratings_alone(study, tree):
    walked, _ = walk(study, Script(n_marked=0))
    assert walked.outcome == Outcome.COMPLETED
    codes = {code for annotation in Annotation.objects.all() for code in annotation.codes}
    assert codes == ({IMPLIED} if tree.depth > 1 else {CHOSEN})


def test_groups_at_every_depth_are_reached_where_they_are_marked():
    study = StudyFactory(posts_per_rater=1)
    script = Script(n_marked=9)
    walk(study, script)
    # Of the question that takes one answer the first was taken; what stands below it was all read.
    assert script.seen >= {"statement", "personal_focus", "openness", "hedonism", "security"}
    assert "power" not in script.seen


def test_no_completion_code_is_in_any_answer_before_the_end(study):
    _, visitor = walk(study, Script())
    *before, (_, _, last) = visitor.served
    assert len(before) > 12
    for url, _, body in before:
        assert not find_codes(url + body, CODES.values())
    assert find_codes(last, CODES.values()) == {"DONE1111"}


def test_no_consent_has_its_own_page_and_code_and_leaves_no_answers():
    walked, visitor = walk(StudyFactory(), Script(consent="no"))
    assert (walked.outcome, walked.completion_code) == (Outcome.NO_CONSENT, "NOPE2222")
    assert not Assignment.objects.exists()
    for url, _, body in visitor.served[:-1]:
        assert not find_codes(url + body, CODES.values())
    assert find_codes(visitor.served[-1][2], CODES.values()) == {"NOPE2222"}


def test_a_full_study_has_its_own_page_and_code():
    study = StudyFactory(posts=1, redundancy_cap=1)
    assert walk(study, Script(), "rater-one")[0].outcome == Outcome.COMPLETED
    walked, visitor = walk(study, Script(), "rater-two")
    assert (walked.outcome, walked.completion_code) == (Outcome.STUDY_FULL, "FULL3333")
    assert find_codes("".join(body for _, _, body in visitor.served), CODES.values()) == {"FULL3333"}


def test_walking_again_shows_the_last_page_and_stores_nothing_new():
    study = StudyFactory()
    walk(study, Script())
    n_rows = Annotation.objects.count()
    walked, _ = walk(study, Script())
    assert (walked.outcome, walked.n_pages) == (Outcome.COMPLETED, 2)
    assert (Enrollment.objects.count(), Rater.objects.count(), Annotation.objects.count()) == (1, 1, n_rows)


class LeavesError(Exception):
    """The person closes the page."""


class Impatient(Script):
    """Leaves when asked to rate for the `patience`-th time in one sitting."""

    def __init__(self, patience):
        super().__init__()
        self.patience = patience

    def rate(self, *args):
        self.patience -= 1
        if self.patience < 0:
            raise LeavesError
        return super().rate(*args)


def test_a_person_who_leaves_in_the_middle_goes_on_at_the_same_post_in_another_browser():
    study = StudyFactory(posts_per_rater=3)
    for n_done in range(3):
        # One post of this script asks for 8 ratings: the second sitting gets one post further than the first.
        with pytest.raises(LeavesError):
            walk(study, Impatient(patience=9 if n_done else 1))
        waiting = Assignment.objects.get(status=Assignment.Status.OPEN)
        assert (Annotation.objects.count(), waiting.position) == (n_done, n_done + 1)
        with pytest.raises(LeavesError):
            walk(study, Impatient(patience=0))
        assert Assignment.objects.get(status=Assignment.Status.OPEN) == waiting
    assert walk(study, Script())[0].outcome == Outcome.COMPLETED
    assert (Enrollment.objects.count(), Annotation.objects.count()) == (1, 3)


def test_several_people_share_the_posts_evenly_and_their_rows_stay_apart():
    study = StudyFactory(posts=4, posts_per_rater=2)
    for number in range(4):
        walk(study, Script(n_marked=number % 3), f"rater-{number}")
    posts = study.posts.filter(purpose=Post.Purpose.LABELING)
    assert [post.annotations.count() for post in posts] == [2, 2, 2, 2]
    assert [enrollment.annotations.count() for enrollment in study.enrollments.all()] == [2, 2, 2, 2]
