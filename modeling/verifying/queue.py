"""The review queue, read for one expert: what is next, and what models say. A web process may import it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from annotation.models import Study
from annotation.selectors import get_tree
from modeling.models import (
    AnnotatorRun,
    ExpertItem,
    ExpertLabel,
    ModelReading,
    Verification,
    VerificationDecision,
    VerificationItem,
)
from modeling.rules.language import say_condition

from .services import Verdict, get_rules, round_ratings


@dataclass(frozen=True)
class ValueLine:
    """One value of a flagged post: what each model says, and what stands in the expert's field."""

    key: str
    label: str
    definition: str
    model: float | None
    rounded: int | None
    others: tuple[float | None, ...]
    is_concerned: bool
    is_expressed: bool
    own: str
    error: str = ""


@dataclass(frozen=True)
class Why:
    """A rule that flagged a post, in words, with the values that it concerns and what was found."""

    title: str
    why: str
    found: str
    values: tuple[str, ...]


def list_open(verification: Verification, name: str) -> QuerySet[VerificationItem]:
    """Return what an expert may look at: all but posts that an open expert set still wants labeled blindly."""
    return verification.items.filter(~Exists(_find_blind(verification.study_id, name)))


def count_blind(verification: Verification, name: str) -> int:
    """Return how many flagged posts are kept from an expert who has not labeled them yet."""
    return verification.items.filter(Exists(_find_blind(verification.study_id, name))).count()


def _find_blind(study_id: int, name: str) -> QuerySet[ExpertItem]:
    labeled = ExpertLabel.objects.filter(item=OuterRef("pk"), expert=name, is_current=True)
    return ExpertItem.objects.filter(
        ~Exists(labeled),
        post=OuterRef("post"),
        expert_set__study=study_id,
        expert_set__closed_at=None,
    )


def list_undecided(verification: Verification, name: str) -> QuerySet[VerificationItem]:
    """Return what an expert has not decided yet, in the queue's order."""
    own = VerificationDecision.objects.filter(item=OuterRef("pk"), name=name, is_current=True)
    return list_open(verification, name).filter(~Exists(own))


def find_next(verification: Verification, name: str, after: int = 0) -> VerificationItem | None:
    """Return the next post that an expert has not decided: after this position, else from the first."""
    undecided = list_undecided(verification, name)
    return undecided.filter(position__gt=after).first() or undecided.first()


def find_neighbours(
    item: VerificationItem, name: str
) -> tuple[VerificationItem | None, VerificationItem | None]:
    """Return the posts before and after one in an expert's queue, decided or not."""
    queue = list_open(item.verification, name)
    before = queue.filter(position__lt=item.position).order_by("-position").first()
    return before, queue.filter(position__gt=item.position).first()


def count_progress(verification: Verification, name: str) -> tuple[int, int, int]:
    """Return how many posts an expert has decided, how many there are for them, and how many are kept from them."""
    n_blind = count_blind(verification, name)
    n_all = verification.items.count() - n_blind
    own = VerificationDecision.objects.filter(item__verification=verification, name=name, is_current=True)
    return own.count(), n_all, n_blind


def list_experts(verification: Verification) -> list[dict[str, Any]]:
    """Return everybody who has decided, with how often what, without of which posts."""
    current = VerificationDecision.objects.filter(item__verification=verification, is_current=True)
    counts = {f"n_{verdict}": Count("pk", filter=Q(verdict=verdict)) for verdict in Verdict.values}
    return list(current.order_by("name").values("name").annotate(n=Count("pk"), **counts))


def get_current(item: VerificationItem, name: str) -> VerificationDecision | None:
    """Return what an expert says of a post now."""
    return item.decisions.filter(name=name, is_current=True).first()


def tell_reasons(item: VerificationItem) -> list[Why]:
    """Return why rules flagged a post."""
    names = name_values(item.verification.study)
    rules = {rule["key"]: rule for rule in item.verification.rule_set.rules}
    return [
        Why(
            rules[reason["rule"]]["title"],
            rules[reason["rule"]]["why"],
            reason["found"],
            tuple(names.get(key, key) for key in reason["values"]),
        )
        for reason in item.reasons
    ]


def name_values(study: Study) -> dict[str, str]:
    """Return what each value is called, by its key, in the study's order."""
    return {leaf.key: leaf.label for leaf in get_tree(study.value_system).leaves}


def list_values(
    item: VerificationItem, own: Iterable[str] | None = None, errors: dict[str, str] | None = None
) -> list[ValueLine]:
    """Return every value of a post, those first that a rule flagged it for.

    `own` are the texts of the expert's fields, in the study's order; without them the model's ratings stand there.
    """
    verification, leaves = item.verification, get_tree(item.verification.study.value_system).leaves
    concerned = {key for reason in item.reasons for key in reason["values"]}
    rounded = round_ratings(item.ratings)
    texts = ["" if each is None else str(each) for each in rounded] if own is None else list(own)
    others = [_read_means(run, item.post_id, len(leaves)) for run in list_other_runs(verification)]
    lines = [
        ValueLine(
            key=leaf.key,
            label=leaf.label,
            definition=leaf.definition,
            model=_present(item.ratings[place]),
            rounded=rounded[place],
            others=tuple(other[place] for other in others),
            is_concerned=leaf.key in concerned,
            is_expressed=item.ratings[place] >= verification.threshold,
            own=texts[place],
            error=(errors or {}).get(leaf.key, ""),
        )
        for place, leaf in enumerate(leaves)
    ]
    return sorted(lines, key=lambda line: not line.is_concerned)


def list_other_runs(verification: Verification) -> list[AnnotatorRun]:
    """Return the runs that a verification's readings are held against, as far as they are still there."""
    found = AnnotatorRun.objects.select_related("annotator").in_bulk(verification.other_run_ids)
    return [found[pk] for pk in verification.other_run_ids if pk in found]


def get_reason(item: VerificationItem) -> str:
    """Return what the model gave as its reason for its first reading of a post; "" for nothing."""
    readings = ModelReading.objects.filter(run=item.verification.run_id, post=item.post_id).order_by("sample")
    return next(
        (str(detail["why"]) for detail in readings.values_list("detail", flat=True) if detail.get("why")), ""
    )


def describe_rules(verification: Verification) -> list[dict[str, Any]]:
    """Return the rules with what was counted of each, for the page of a verification.

    Raises RulesRefused when the study's values have changed so that the rules do not fit any more.
    """
    names, counted = name_values(verification.study), verification.counts.get("rules", {})
    return [
        {
            "rule": rule,
            "words": say_condition(rule.when, names),
            "n_flagged": counted.get(rule.key, {}).get("n_flagged"),
            "n_undecided": counted.get(rule.key, {}).get("n_undecided"),
        }
        for rule in get_rules(verification.rule_set)
    ]


def _read_means(run: AnnotatorRun, post_id: int, n_values: int) -> tuple[float | None, ...]:
    """Return the mean over samples of what a run says of a post."""
    readings = ModelReading.objects.filter(run=run, post=post_id).exclude(ratings=None)
    said = [ratings for ratings in readings.values_list("ratings", flat=True) if len(ratings) == n_values]
    if not said:
        return (None,) * n_values
    return tuple(_present(sum(column) / len(column)) for column in zip(*said, strict=True))


def _present(rating: float) -> float | None:
    return None if math.isnan(rating) else rating
