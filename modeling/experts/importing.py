"""Labels and resolutions from files: all of a file, or nothing of it. A web process may import it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.db import transaction

from annotation.errors import Refused
from annotation.models import StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from modeling.errors import ImportRefused
from modeling.models import ExpertItem, ExpertLabel, ExpertSet

from . import rows
from .reference import are_same
from .services import hold, resolve

BATCH = 1_000


@dataclass(frozen=True)
class ImportCounts:
    """What became of a file of labels.

    Attributes
    ----------
    n_new, n_revised, n_unchanged : labels of a post by an expert
    n_repeated : lines that said the same again
    n_passed_over : lines of an export that are no label of now
    experts : those the file names
    absent : keys of the values that no line rates
    """

    n_new: int = 0
    n_revised: int = 0
    n_unchanged: int = 0
    n_repeated: int = 0
    n_passed_over: int = 0
    experts: tuple[str, ...] = ()
    absent: tuple[str, ...] = field(default=())

    def list_sentences(self) -> list[str]:
        """Return what was done, in words, for a page or a terminal."""
        said = [f"{self.n_new:,} labels added, of {len(self.experts):,} experts: {', '.join(self.experts)}."]
        more = (
            (self.n_revised, f"{self.n_revised:,} took the place of an earlier one, which is kept."),
            (self.n_unchanged, f"{self.n_unchanged:,} were there already, just so."),
            (self.n_repeated, f"{self.n_repeated:,} lines said the same again."),
            (self.n_passed_over, f"{self.n_passed_over:,} lines were no label of now and were passed over."),
            (
                len(self.absent),
                f"The file rates no post on {', '.join(self.absent)}: of this nothing is known from it.",
            ),
        )
        return said + [sentence for number, sentence in more if number]


@transaction.atomic
def import_labels(
    expert_set: ExpertSet, file: BinaryIO, *, revise: bool = False, user: Any = None
) -> ImportCounts:
    """Store the labels of a file; see `rows.read_labels` for what it looks like.

    Parameters
    ----------
    revise : whether a label of the file takes the place of another one that the expert gave the post before

    Raises
    ------
    ImportRefused
        With every fault and its line; nothing is stored then. An expert's label of a post that is there already and
        says otherwise is one, unless `revise` is given.
    Refused
        For a closed set.
    """
    held = hold(expert_set)
    if held.closed_at:
        raise Refused(f"'{held}' is closed; its labels stay as they are.")
    tree = get_tree(held.study.value_system)
    said = rows.read_labels(file, tree)
    items = _find_items(held, said)
    own = ExpertLabel.objects.filter(item__expert_set=held)
    stored = {(each.item_id, each.expert): each for each in own.filter(is_current=True)}
    new: list[ExpertLabel] = []
    revised: list[int] = []
    faults: list[tuple[int, str]] = []
    n_unchanged = 0
    for (key, expert), label in said.labels.items():
        ratings = label.as_vector(len(tree.leaves))
        before = stored.get((items[key].pk, expert))
        if before and are_same(before.ratings, ratings) and before.note == label.note:
            n_unchanged += 1
            continue
        if before and not revise:
            faults.append(
                (
                    label.line,
                    f"expert '{expert:.60}' has labeled post '{key:.60}' otherwise before; remove the line, "
                    "or say that the file revises what is there",
                )
            )
            continue
        if before:
            revised.append(before.pk)
        new.append(
            ExpertLabel(
                item=items[key],
                expert=expert,
                number=before.number + 1 if before else 1,
                ratings=ratings,
                note=label.note,
                source=ExpertLabel.Source.FILE,
                labeler=user,
            )
        )
    _refuse(faults)
    for first in range(0, len(revised), BATCH):
        ExpertLabel.objects.filter(pk__in=revised[first : first + BATCH]).update(is_current=False)
    ExpertLabel.objects.bulk_create(new, batch_size=BATCH)
    counts = ImportCounts(
        n_new=len(new) - len(revised),
        n_revised=len(revised),
        n_unchanged=n_unchanged,
        n_repeated=said.n_repeated,
        n_passed_over=said.n_passed_over,
        experts=tuple(sorted({expert for _, expert in said.labels})),
        absent=tuple(tree.value_keys[place] for place in said.absent),
    )
    log_event(
        held.study,
        StudyEvent.Action.CHANGED,
        f"Labels of {len(counts.experts):,} experts loaded into expert set '{held}' from a file: {counts.n_new:,} new, "
        f"{counts.n_revised:,} revised.",
        actor=user,
        detail={"expert_set": held.pk},
    )
    return counts


@transaction.atomic
def import_resolutions(expert_set: ExpertSet, file: BinaryIO, *, user: Any = None) -> int:
    """Store the resolutions of a file, as of labels but without experts; return of how many posts.

    Raises ImportRefused with every fault and its line, also where experts do not differ or have not all labeled.
    """
    held = hold(expert_set)
    tree = get_tree(held.study.value_system)
    said = rows.read_labels(file, tree, has_experts=False)
    items = _find_items(held, said)
    faults = []
    for (key, _), label in said.labels.items():
        try:
            resolve(items[key], label.as_vector(len(tree.leaves)), label.note, user)
        except Refused as refusal:
            faults.append((label.line, f"post '{key:.60}': {str(refusal).rstrip('.')}"))
    _refuse(faults)
    return len(said.labels)


def _find_items(expert_set: ExpertSet, said: rows.FileLabels) -> dict[str, ExpertItem]:
    """The set's items by the keys of their posts. Raises ImportRefused for a file with faults or unknown posts."""
    items = {item.post.key: item for item in expert_set.items.select_related("post", "expert_set")}
    unknown = {key: line for key, line in said.posts.items() if key not in items}
    there = set(expert_set.study.posts.filter(key__in=list(unknown)[:500]).values_list("key", flat=True))
    strangers = [
        (line, f"post '{key:.60}' is {'not in this set' if key in there else 'no post of this study'}")
        for key, line in unknown.items()
    ]
    _refuse(said.faults + strangers)
    return items


def _refuse(faults: Iterable[tuple[int, str]]) -> None:
    if found := sorted(faults):
        raise ImportRefused(
            [
                f"Line {line:,}: {problem}." if line else f"{problem[:1].upper()}{problem[1:]}."
                for line, problem in found
            ]
        )
