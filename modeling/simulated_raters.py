"""Simulated raters that take part in a study: over its pages, as a browser does, or through its services.

A simulated rater is marked as one for ever. Rater number i of a study is the same person, with the same
mind, however often the simulation is started, so a run that was cut off goes on where it stopped.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
from django.db import OperationalError, transaction
from django.http import QueryDict
from django.utils import translation

from annotation import services as annotation_services
from annotation.attention.grid import GridCheck
from annotation.attention.number_image import NumberRiddle
from annotation.models import Enrollment, Outcome, Post, Rater, Step, Study
from annotation.recruitment import Entry, build_entry_path
from annotation.selectors import get_current_step, get_open_assignment, get_tree
from annotation.tree import nodes
from annotation.tree.known import GatePost, read_gating_config, read_training_config
from annotation.tree.walk import Reading, open_branches
from annotation.views.number_words import say_riddle
from annotation.views.reading import as_answers
from calibration import services as calibration_services
from calibration.forms import QuestionnaireForm, list_choices
from calibration.instrument.items import DECLINED, Item
from calibration.models import Questionnaire
from calibration.selectors import get_next_question
from modeling.rehearsals import REHEARSAL_NAME
from modeling.simulation import population
from modeling.simulation.browser import Browser, Walk, walk_study
from modeling.simulation.mind import NONE_OF_THESE, Lessons, SimulatedMind
from modeling.simulation.page import Control
from modeling.simulation.parameters import load_parameters
from modeling.simulation.population import Branch, Population, draw_profiles, profiles_from_levels

logger = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

MAX_ROUNDS = 5_000

# SQLite's waiting writers look for the lock now and then; without a pause they would never find it free.
PAUSE_SECONDS = 0.02


class Cast:
    """The simulated raters of one study, by number; those of a rehearsal are others than those of its data."""

    def __init__(self, study: Study, *, rehearses: bool = False) -> None:
        self.study = study
        self.rehearses = rehearses
        self.tree = get_tree(study.value_system)
        self.parameters = load_parameters()
        self.branch = _as_branch(self.tree.root)
        self.profiles = self._draw_profiles()
        self.lessons = learn(study, self.tree)

    def _draw_profiles(self) -> dict[str, np.ndarray]:
        """What each post carries: as its author meant it where that is noted, else drawn."""
        rng = np.random.default_rng([self.study.seed, 0])
        for_raters = (Post.Purpose.LABELING, Post.Purpose.CALIBRATION)
        posts = list(
            self.study.posts.filter(purpose__in=for_raters).order_by("pk").values_list("text", "metadata")
        )
        keys = self.tree.value_keys
        if not posts:  # nothing is labeled in this study
            return {}
        if all(isinstance(metadata.get("expresses"), dict) for _, metadata in posts):
            levels = [[metadata["expresses"].get(key, 0) for key in keys] for _, metadata in posts]
            profiles = profiles_from_levels(levels, self.parameters, rng)
        else:
            profiles = draw_profiles(len(posts), keys, self.parameters, rng)
        return {text: profile for (text, _), profile in zip(posts, profiles, strict=True)}

    def name(self, number: int) -> str:
        beginning = REHEARSAL_NAME if self.rehearses else "simulated"
        ending = f"-{number:05d}"
        return (
            f"{beginning}-{self.study.slug}"[: 64 - len(ending)] + ending
        )  # a link takes ids of 64 characters

    def build_entry(self, number: int) -> Entry:
        name = self.name(number)
        rehearses = self.study.slug if self.rehearses else ""
        return Entry(name, "direct", name, Rater.Origin.SIMULATED, rehearses)

    def build_mind(self, number: int) -> SimulatedMind:
        rng = np.random.default_rng([self.study.seed, 1, number])
        population = Population.draw(1, self.tree.value_keys, self.parameters, rng)
        scale = (self.tree.scale.min, self.tree.scale.max)
        return SimulatedMind(
            population, 0, self.profiles, self.branch, self.parameters, scale, rng, self.lessons
        )

    def list_unfinished(self, n_raters: int) -> list[int]:
        """Return the numbers up to `n_raters` that have not finished yet."""
        finished = set(
            Enrollment.objects.filter(study=self.study, rater__origin=Rater.Origin.SIMULATED)
            .exclude(outcome="")
            .values_list("rater__external_id", flat=True)
        )
        return [number for number in range(1, n_raters + 1) if self.name(number) not in finished]


def learn(study: Study, tree: nodes.ValueTree) -> Lessons:
    """Return what the study's practice, gates and attention checks want to hear."""
    readings: dict[str, population.Reading] = {}
    told: dict[str, str] = {}
    for step in study.steps.all():
        if step.kind == "training":
            for post in read_training_config(tree, step.config).posts:
                readings[post.text] = _as_known(tree, post.reading)
        elif step.kind == "gating":
            for gate_post in read_gating_config(tree, step.config).posts:
                readings[gate_post.text] = _as_known(tree, pass_reading(tree, gate_post))
        elif step.kind == "attention_check" and step.config["kind"] == "grid":
            row = GridCheck.from_dict(step.config).instructed_row
            told[f"row-{row.key}"] = row.instructed
    with translation.override(study.language):
        numbers = {
            say_riddle(NumberRiddle(start, change)): start + change
            for start in range(5, 100)
            for change in (-5, -4, -3, -2, 2, 3, 4, 5)
        }
    return Lessons(readings, told, numbers)


def pass_reading(tree: nodes.ValueTree, post: GatePost) -> Reading:
    """Return a reading that passes the gate: only the value in question, where the post expresses it."""
    marks: dict[str, frozenset[str]] = {}
    branch = tree.parent(post.value) if post.expresses else tree.root
    while branch.key != tree.root.key:
        parent = tree.parent(branch.key)
        marks[parent.key] = frozenset({branch.key})
        branch = parent
    for opened in open_branches(tree, marks):
        if opened.child_branches:
            marks.setdefault(opened.key, frozenset())
    ratings = {
        leaf.key: tree.scale.max if post.expresses and leaf.key == post.value else tree.scale.min
        for opened in open_branches(tree, marks)
        for leaf in opened.child_leaves
    }
    return Reading(marks, ratings)


def _as_known(tree: nodes.ValueTree, reading: Reading) -> population.Reading:
    opened = frozenset(branch.key for branch in open_branches(tree, reading.marks))
    return population.Reading(opened=opened - {tree.root.key}, ratings=dict(reading.ratings))


def _as_branch(branch: nodes.Branch) -> Branch:
    children = tuple(
        _as_branch(child) if isinstance(child, nodes.Branch) else child.key for child in branch.children
    )
    return Branch(branch.key, children, branch.several)


def walk_over_http(
    cast: Cast, numbers: list[int], base_url: str, *, at_once: int, on_progress: Progress
) -> list[Walk]:
    """Send raters through the served pages, several at once; returns their walks.

    Raises modeling.simulation.page.PageError, with the page's words, when one of them cannot go on.
    """

    def walk(number: int) -> Walk:
        entry = build_entry_path(cast.study, cast.name(number), simulated=True)
        with Browser(base_url) as browser:
            return walk_study(browser, entry, cast.build_mind(number))

    walks = []
    with ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(walk, number) for number in numbers]
        try:
            for future in as_completed(futures):
                walks.append(future.result())
                on_progress(len(walks), len(numbers))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return walks


def walk_directly(cast: Cast, numbers: list[int], *, on_progress: Progress) -> None:
    """Take raters through the study by its services, without pages; one transaction a rater."""
    for done, number in enumerate(numbers, start=1):
        with transaction.atomic():
            _walk(cast, number)
        on_progress(done, len(numbers))
        time.sleep(PAUSE_SECONDS)


def rehearse(cast: Cast, numbers: list[int], *, on_progress: Progress) -> list[dict[str, str]]:
    """Take raters through the study step by step; returns what kept some of them from the end.

    Whoever cannot go on stays where they are: the others go all the same. Each mishap has `rater`, `step` and
    `what`. A database that cannot be reached is no mishap and is raised.
    """
    mishaps = []
    for done, number in enumerate(numbers, start=1):
        try:
            _walk(cast, number)
        except OperationalError:
            raise
        except Exception as error:
            logger.warning("A rehearsal of %s met %r.", cast.study.slug, error)
            mishaps.append(_describe_mishap(cast, number, error))
        on_progress(done, len(numbers))
        time.sleep(PAUSE_SECONDS)
    return mishaps


def _describe_mishap(cast: Cast, number: int, error: Exception) -> dict[str, str]:
    name = cast.name(number)
    enrollment = Enrollment.objects.filter(study=cast.study, rater__external_id=name).first()
    step = get_current_step(enrollment) if enrollment else None
    return {"rater": name, "step": str(step or ""), "what": f"{type(error).__name__}: {error}"[:500]}


def _walk(cast: Cast, number: int) -> None:
    mind = cast.build_mind(number)
    entry = cast.build_entry(number)
    enrollment = annotation_services.enroll(cast.study, entry)
    for _ in range(MAX_ROUNDS):
        step = get_current_step(enrollment)
        if step is None:
            break
        WALKERS[step.kind](cast, mind, enrollment, step)
        enrollment.refresh_from_db(fields=["outcome"])
    else:
        raise RuntimeError(f"{entry.rater_id} did not come to an end within {MAX_ROUNDS} rounds")
    if enrollment.outcome not in (Outcome.COMPLETED, Outcome.STUDY_FULL):
        raise RuntimeError(
            f"{entry.rater_id} ended as '{enrollment.outcome}', which no simulated rater should"
        )


def _consent(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    annotation_services.record_consent(enrollment, step, given=True)


def _read_on(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    annotation_services.complete_step(enrollment, step)


def _attend(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    annotation_services.record_attention_answer(enrollment, step, answers={}, is_right=True)


def _practise(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    posts = read_training_config(cast.tree, step.config).posts
    for post in posts:
        annotation_services.record_training_attempt(
            enrollment, step, post.key, answers=as_answers(post.reading), is_right=True, n_items=len(posts)
        )


def _pass_gate(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    plan = read_gating_config(cast.tree, step.config)
    for post in plan.posts:
        annotation_services.record_gate_answer(
            enrollment,
            step,
            post.key,
            answers=as_answers(pass_reading(cast.tree, post)),
            is_right=True,
            n_items=len(plan.posts),
            threshold=plan.threshold,
        )


def _label(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    assignment = get_open_assignment(enrollment)
    text = assignment.post.text
    marks: dict[str, frozenset[str]] = {}
    for branch in _open_one_by_one(cast.tree, marks):
        options = [child.key for child in branch.child_branches]
        marks[branch.key] = frozenset(mind.choose_branches(text, branch.key, options)) - {NONE_OF_THESE}
    levels = list(cast.tree.scale.levels)
    ratings = {
        leaf.key: mind.rate(text, leaf.key, levels)
        for branch in open_branches(cast.tree, marks)
        for leaf in branch.child_leaves
    }
    annotation_services.submit_annotation(assignment, step, Reading(marks, ratings))


def _open_one_by_one(tree: nodes.ValueTree, marks: dict[str, frozenset[str]]) -> Iterator[nodes.Branch]:
    """Yield each open branch that asks for marks, while the caller fills them in."""
    while True:
        waiting = [
            branch
            for branch in open_branches(tree, marks)
            if branch.child_branches and branch.key not in marks
        ]
        if not waiting:
            return
        yield waiting[0]


def _answer_vcq(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    question = get_next_question(enrollment)
    rating = mind.question(question.post.text, question.value_key, list(cast.tree.scale.levels))
    calibration_services.answer_question(enrollment, step, question, rating=rating)


def _answer_questionnaire(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    questionnaire = Questionnaire.objects.get(study=cast.study, key=step.config["questionnaire"])
    instrument = questionnaire.instrument
    sent = QueryDict(mutable=True)
    for control in (control for item in instrument.items for control in _as_controls(item)):
        answer = mind.field(control.name, control)
        sent.setlist(control.name, [answer] if isinstance(answer, str) else list(answer))
    form = QuestionnaireForm(instrument, sent)
    if not form.is_valid():
        raise RuntimeError(
            f"a simulated rater's answers to {questionnaire} do not fit: {form.errors.as_text()}"
        )
    calibration_services.answer_questionnaire(enrollment, step, questionnaire, answers=form.answers)


def _as_controls(item: Item) -> list[Control]:
    """Return the item as a form would offer it; "prefer not to say" beside a field stays unmarked."""
    kinds = {
        "single": "radio",
        "grid": "radio",
        "multiple": "checkbox",
        "number": "number",
        "text": "textarea",
    }
    options = [value for value, _ in list_choices(item)]
    bounds = {"min": item.minimum, "max": item.maximum, "data-min": item.minimum, "data-max": item.maximum}
    return [
        Control(
            key,
            kinds[item.kind],
            options=list(options),
            attributes={name: str(bound) for name, bound in bounds.items() if bound is not None},
            exclusive=[option for option in options if option in {*item.exclusive, DECLINED}],
        )
        for key in item.answer_keys
    ]


WALKERS = {
    "consent": _consent,
    "instructions": _read_on,
    "debrief": _read_on,
    "attention_check": _attend,
    "training": _practise,
    "gating": _pass_gate,
    "labeling": _label,
    "vcq": _answer_vcq,
    "questionnaire": _answer_questionnaire,
}
