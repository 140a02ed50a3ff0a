"""Where rows become what the quality rules see of each person who finished."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

from annotation.models import Annotation, Attempt, GateDecision, Rater, Study
from annotation.selectors import get_tree
from calibration.instrument.items import DECLINED, Item
from calibration.instrument.scoring import ScoringKey
from calibration.models import QuestionnaireResponse
from modeling.quality.measuring import Frame, Grid, Person, PostReading, Scored

from .inclusion import select_finished

Kind = tuple[str, bool]


def read_frame(study: Study) -> Frame:
    """Return what the rules must know of the study."""
    tree = get_tree(study.value_system)
    place = {key: index for index, key in enumerate(study.value_keys)}
    return Frame(
        groups=tuple(tuple(place[leaf.key] for leaf in branch.child_leaves) for branch in tree.branches),
        scale_width=tree.scale.max - tree.scale.min,
        can_be_closed=bool(tree.root.child_branches),
        estimated_minutes=study.estimated_minutes,
    )


def read_people(
    study: Study, report: Callable[[int], None] = lambda n: None
) -> Iterator[tuple[int, Kind, Person]]:
    """Read everyone who finished, one after the other.

    Gives the enrollment's id, what kind of rater it is (phase, whether simulated: only the same kind is
    compared), and the person. Nobody knows how long imported people took, and a simulated rater's times are those
    of the machine: neither has any. `report` hears how many were read.
    """
    finished = select_finished(study)
    attempts = _read_attempts(study)
    checks = _read_checks(study)
    questionnaires = _read_questionnaires(study)
    readings = _read_readings(study)
    enrollments = finished.order_by("pk").values_list(
        "pk", "phase", "rater__origin", "started_at", "finished_at"
    )
    own: list[tuple[int | None, PostReading]]
    waiting = next(readings, None)
    for n_read, (pk, phase, origin, began, ended) in enumerate(enrollments, start=1):
        own = []
        if waiting and waiting[0] == pk:
            own, waiting = waiting[1], next(readings, None)
        tries = attempts["training"].get(pk, {})
        grids, scored = questionnaires.get(pk, ((), ()))
        has_times = origin not in (Rater.Origin.IMPORTED, Rater.Origin.SIMULATED)
        yield (
            pk,
            (phase, origin == Rater.Origin.SIMULATED),
            Person(
                readings=tuple(
                    reading if has_times else replace(reading, seconds=None) for _, reading in own
                ),
                is_ordered=all(position is not None for position, _ in own),
                grids=grids,
                scored=scored,
                checks_passed=checks.get(pk, ()),
                gates_right=tuple(
                    is_right for answers in attempts["gating"].get(pk, {}).values() for is_right in answers
                ),
                training_tries=tuple(len(answers) for answers in tries.values()),
                minutes=(ended - began).total_seconds() / 60 if has_times else None,
            ),
        )
        report(n_read)


def _read_readings(study: Study) -> Iterator[tuple[int, list[tuple[int | None, PostReading]]]]:
    rows = (
        Annotation.objects.filter(enrollment__in=select_finished(study))
        .order_by("enrollment_id", "assignment__position", "pk")
        .values_list(
            "enrollment_id",
            "ratings",
            "codes",
            "assignment__position",
            "assignment__assigned_at",
            "assignment__submitted_at",
        )
        .iterator(chunk_size=2000)
    )
    for enrollment_id, group in groupby(rows, key=itemgetter(0)):
        yield (
            enrollment_id,
            [
                (
                    position,
                    PostReading(
                        ratings=tuple(ratings),
                        codes=tuple(codes),
                        seconds=(ended - began).total_seconds() if began and ended else None,
                    ),
                )
                for _, ratings, codes, position, began, ended in group
            ],
        )


def _read_attempts(study: Study) -> dict[str, dict[int, dict[str, list[bool]]]]:
    """Whether each answer was right, by kind of step, person, and post of the step."""
    found: dict[str, dict] = {kind: defaultdict(lambda: defaultdict(list)) for kind in ("training", "gating")}
    rows = Attempt.objects.filter(enrollment__in=select_finished(study), step__kind__in=list(found)).order_by(
        "pk"
    )
    for kind, pk, step, item, is_right in rows.values_list(
        "step__kind", "enrollment_id", "step_id", "item", "is_right"
    ):
        found[kind][pk][f"{step}:{item}"].append(is_right)
    return found


def _read_checks(study: Study) -> dict[int, tuple[bool, ...]]:
    passed: dict[int, list[bool]] = defaultdict(list)
    rows = GateDecision.objects.filter(
        enrollment__in=select_finished(study), step__kind="attention_check"
    ).order_by("pk")
    for pk, has_passed in rows.values_list("enrollment_id", "passed"):
        passed[pk].append(has_passed)
    return {pk: tuple(each) for pk, each in passed.items()}


def _read_questionnaires(study: Study) -> dict[int, tuple[tuple[Grid, ...], tuple[Scored, ...]]]:
    instruments = {each.pk: (each.key, each.instrument) for each in study.questionnaires.all()}
    grids: dict[int, list[Grid]] = defaultdict(list)
    scored: dict[int, list[Scored]] = defaultdict(list)
    rows = QuestionnaireResponse.objects.filter(enrollment__in=select_finished(study)).order_by("pk")
    for pk, questionnaire, answers in rows.values_list("enrollment_id", "questionnaire_id", "answers"):
        key, instrument = instruments[questionnaire]
        grids[pk].extend(_read_grid(item, answers) for item in instrument.items if item.kind == "grid")
        if instrument.scoring:
            scored[pk].append(_turn(key, instrument.scoring, answers))
    return {pk: (tuple(grids[pk]), tuple(scored[pk])) for pk in grids}


def _read_grid(item: Item, answers: dict) -> Grid:
    """A grid's answers in its order; what was left open or declined is no answer."""
    levels = [value for value, _ in item.options if isinstance(value, int)]
    given = [answers.get(key) for key in item.answer_keys]
    return Grid(
        answers=tuple(answer for answer in given if answer not in (None, "", DECLINED)),
        width=max(levels) - min(levels) if levels else 0,
    )


def _turn(name: str, key: ScoringKey, answers: dict) -> Scored:
    """A scored questionnaire's answers, with those of reversed items turned round."""
    backwards = frozenset().union(*(scale.reversed for scale in key.scales))

    def turn(item: str) -> float:
        return float(key.minimum + key.maximum - answers[item] if item in backwards else answers[item])

    items = {item: turn(item) for item in key.items if type(answers.get(item)) is int}
    return Scored(
        items={f"{name}.{item}": answer for item, answer in items.items()},
        scales=tuple(
            tuple(items[item] for item in scale.items if item in items) for scale in key.scales if scale.items
        ),
    )
