"""Simulated raters that take part in a study: over its pages, as a browser does, or through its services.

A simulated rater is marked as one for ever. Rater number i of a study is the same person, with the same
mind, however often the simulation is started, so a run that was cut off goes on where it stopped.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
from django.db import transaction

from annotation import services as annotation_services
from annotation.models import Enrollment, Outcome, Rater, Step, Study
from annotation.recruitment import Entry, build_entry_path
from annotation.selectors import get_current_step, get_open_assignment, get_tree
from annotation.tree import nodes
from annotation.tree.walk import Reading, open_branches
from calibration import services as calibration_services
from calibration.instrument.items import Item
from calibration.models import Questionnaire
from calibration.selectors import get_next_question
from modeling.simulation.browser import Browser, Walk, walk_study
from modeling.simulation.mind import NONE_OF_THESE, SimulatedMind
from modeling.simulation.page import Control
from modeling.simulation.parameters import load_parameters
from modeling.simulation.population import Branch, Population, draw_profiles, profiles_from_levels

Progress = Callable[[int, int], None]

# SQLite's waiting writers look for the lock now and then; without a pause they would never find it free.
PAUSE_SECONDS = 0.02


class Cast:
    """The simulated raters of one study, by number."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.tree = get_tree(study.value_system)
        self.parameters = load_parameters()
        self.branch = _as_branch(self.tree.root)
        self.profiles = self._draw_profiles()

    def _draw_profiles(self) -> dict[str, np.ndarray]:
        """What each post carries: as its author meant it where that is noted, else drawn."""
        rng = np.random.default_rng([self.study.seed, 0])
        posts = list(self.study.posts.order_by("pk").values_list("text", "metadata"))
        keys = self.tree.value_keys
        if all("expresses" in metadata for _, metadata in posts):
            levels = [[metadata["expresses"].get(key, 0) for key in keys] for _, metadata in posts]
            profiles = profiles_from_levels(levels, self.parameters, rng)
        else:
            profiles = draw_profiles(len(posts), keys, self.parameters, rng)
        return {text: profile for (text, _), profile in zip(posts, profiles, strict=True)}

    def name(self, number: int) -> str:
        ending = f"-{number:05d}"
        return (
            f"simulated-{self.study.slug}"[: 64 - len(ending)] + ending
        )  # a link takes ids of 64 characters

    def build_mind(self, number: int) -> SimulatedMind:
        rng = np.random.default_rng([self.study.seed, 1, number])
        population = Population.draw(1, self.tree.value_keys, self.parameters, rng)
        scale = (self.tree.scale.min, self.tree.scale.max)
        return SimulatedMind(population, 0, self.profiles, self.branch, self.parameters, scale, rng)

    def list_unfinished(self, n_raters: int) -> list[int]:
        """Return the numbers up to `n_raters` that have not finished yet."""
        finished = set(
            Enrollment.objects.filter(study=self.study, rater__origin=Rater.Origin.SIMULATED)
            .exclude(outcome="")
            .values_list("rater__external_id", flat=True)
        )
        return [number for number in range(1, n_raters + 1) if self.name(number) not in finished]


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


def _walk(cast: Cast, number: int) -> None:
    name = cast.name(number)
    mind = cast.build_mind(number)
    entry = Entry(name, "direct", name, Rater.Origin.SIMULATED)
    enrollment = annotation_services.enroll(cast.study, entry)
    while step := get_current_step(enrollment):
        WALKERS[step.kind](cast, mind, enrollment, step)
        enrollment.refresh_from_db(fields=["outcome"])
    if enrollment.outcome not in (Outcome.COMPLETED, Outcome.STUDY_FULL):
        raise RuntimeError(f"{name} ended as '{enrollment.outcome}', which no simulated rater should")


def _consent(cast: Cast, mind: SimulatedMind, enrollment: Enrollment, step: Step) -> None:
    annotation_services.record_consent(enrollment, step, given=True)


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
    answers = {item.key: mind.field(item.key, _as_control(item)) for item in questionnaire.instrument.items}
    calibration_services.answer_questionnaire(enrollment, step, questionnaire, answers=answers)


def _as_control(item: Item) -> Control:
    """Return the item as a form would offer it."""
    if item.kind == "single":
        return Control(item.key, "radio", options=[value for value, _ in item.options])
    bounds = {"min": item.minimum, "max": item.maximum}
    return Control(
        item.key,
        "number" if item.kind == "number" else "textarea",
        attributes={name: str(bound) for name, bound in bounds.items() if bound is not None},
    )


WALKERS = {
    "consent": _consent,
    "labeling": _label,
    "vcq": _answer_vcq,
    "questionnaire": _answer_questionnaire,
}
