"""How many reached each step, finished it, or left there."""

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Count

from annotation import steps
from annotation.models import Outcome, Step, StepCompletion, Study

from .groups import Group, get_crowd, in_thousand
from .presence import Presence, find_open_step
from .times import Quartiles


@dataclass(frozen=True)
class StepLine:
    """One step of the funnel."""

    position: int
    label: str
    reached: int
    finished: int
    active: int
    quiet: int
    left: list[tuple[str, int]]
    minutes: Quartiles | None
    came: int

    @property
    def n_left(self) -> int:
        return sum(n for _, n in self.left)

    @property
    def reached_share(self) -> int:
        return in_thousand(self.reached, self.came)

    @property
    def finished_share(self) -> int:
        return in_thousand(self.finished, self.came)


def count_finished(study: Study, group: Group) -> dict[int, int]:
    done = StepCompletion.objects.filter(group.match("enrollment__"), enrollment__study=study)
    return dict(done.order_by().values_list("step").annotate(n=Count("pk")))


def count_left(study: Study, group: Group) -> dict[int | None, dict[str, int]]:
    """Return, by the step they left at, how many ended how; what withdrew left no trace of where."""
    gone = get_crowd(study, group).exclude(outcome__in=("", Outcome.COMPLETED, Outcome.WITHDREW))
    left: dict[int | None, dict[str, int]] = defaultdict(dict)
    rows = gone.annotate(open_step=find_open_step()).order_by().values_list("open_step", "outcome")
    for step, outcome, n in rows.annotate(n=Count("pk")):
        left[step][outcome] = n
    return dict(left)


def draw_funnel(
    path: list[Step],
    came: int,
    finished: dict[int, int],
    left: dict[int | None, dict[str, int]],
    presence: Presence,
    lengths: dict[int, Quartiles],
) -> list[StepLine]:
    lines = []
    for step in path:
        gone = left.get(step.pk, {})
        active, quiet = presence.active[step.pk], presence.quiet[step.pk]
        n_finished = finished.get(step.pk, 0)
        lines.append(
            StepLine(
                position=step.position,
                label=name_kind(step.kind),
                reached=n_finished + sum(gone.values()) + active + quiet,
                finished=n_finished,
                active=active,
                quiet=quiet,
                left=[(str(outcome.label), gone[outcome]) for outcome in Outcome if outcome in gone],
                minutes=lengths.get(step.pk),
                came=came,
            )
        )
    return lines


def name_kind(kind: str) -> str:
    """Return what researchers call a kind of step."""
    return steps.KINDS[kind].label if kind in steps.KINDS else kind
