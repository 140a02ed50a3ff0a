"""What became of the feeds, for pages and files: the funnel, examples of each reason, the sample, the costs to come.

A web process may import it.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max

from annotation.selectors import get_tree
from modeling.annotators.estimates import estimate_run
from modeling.annotators.selecting import chosen_posts
from modeling.export.cells import clean, guard
from modeling.models import AnnotatorModel, AnnotatorRun, CheckItem, Curation, FeedAppearance, FeedPost
from modeling.reports.names import SAYS_STANDIN

from .services import find_run, get_annotator, get_settings
from .stages import BY_MODEL, NOT_READ, REASON_LABELS, STAGE_LABELS, Stage

N_EXAMPLES = 3
N_LOOKED_AT = 200  # posts by which a stage's costs are estimated
# Of posts that come to a stage in the published study, how many stay; used until the curation has its own numbers.
USUAL_SHARE = {Stage.COMPREHENSIBILITY: 0.626, Stage.NSFW: 0.978, Stage.SCREENING: 1.0}
BATCH = 2_000


@dataclass(frozen=True)
class Dropped:
    """Why posts were dropped at a stage, how many, and some of them."""

    reason: str
    label: str
    number: int
    examples: list[FeedPost]


@dataclass(frozen=True)
class StageLine:
    """One stage of the funnel; shares are in thousandths of all posts."""

    stage: Stage
    label: str
    came: int
    kept: int
    dropped: list[Dropped]
    came_share: int
    kept_share: int
    run: int | None

    @property
    def n_dropped(self) -> int:
        return self.came - self.kept

    @property
    def n_not_read(self) -> int:
        return sum(each.number for each in self.dropped if each.reason == NOT_READ)


def list_funnel(curation: Curation, n_examples: int = N_EXAMPLES) -> list[StageLine]:
    """Return the stages that are decided, each with how many came and stayed, and why the others did not."""
    whole = curation.funnel[0]["came"] if curation.funnel else 0
    lines = []
    for line in curation.funnel:
        stage = Stage(line["stage"])
        dropped = [
            Dropped(
                reason, REASON_LABELS[reason], number, _find_examples(curation, stage, reason, n_examples)
            )
            for reason, number in sorted(line["dropped"].items(), key=lambda item: (-item[1], item[0]))
        ]
        came_share, kept_share = (1000 * line[key] // whole if whole else 0 for key in ("came", "kept"))
        lines.append(
            StageLine(
                stage,
                STAGE_LABELS[stage],
                line["came"],
                line["kept"],
                dropped,
                came_share,
                kept_share,
                line.get("run"),
            )
        )
    return lines


def _find_examples(curation: Curation, stage: Stage, reason: str, number: int) -> list[FeedPost]:
    posts = curation.feed_posts.filter(dropped_at=stage, reason=reason).order_by("pk")
    # Whoever labels a post for a check must not read here what the model made of it.
    posts = posts.exclude(
        pk__in=CheckItem.objects.filter(classifier_check__closed_at=None).values("feed_post")
    )
    return list(posts.only("key", "text", "detail", "language", "context_text")[:number]) if number else []


# --- the sample -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SampleSummary:
    """A sample in numbers.

    Attributes
    ----------
    values : of each value, its label, the draws, those of a second drawing, and the owners without a post for it
    sources, groups : draws by source, and by the owners' quota group
    short : quota groups that had fewer owners than were to be drawn again, with how many were missing
    """

    n_posts: int
    n_draws: int
    n_extra: int
    n_owners: int
    n_empty: int
    values: list[tuple[str, int, int, int]]
    sources: list[tuple[str, int, float]]
    groups: list[tuple[str, int, int]]
    short: list[tuple[str, int]]


def summarize_sample(curation: Curation) -> SampleSummary | None:
    """Return the sample in numbers; None before it is drawn."""
    line = next((line for line in curation.funnel if line["stage"] == Stage.SAMPLE), None)
    if line is None:
        return None
    draws = curation.draws.order_by()
    by_value: Counter[tuple[str, bool]] = Counter()
    for value, is_extra, number in draws.values_list("value_key", "is_extra").annotate(n=Count("pk")):
        by_value[value, is_extra] = number
    by_source = dict(draws.values_list("source").annotate(n=Count("pk")))
    owners = dict(curation.appearances.order_by().values_list("owner").annotate(group=Max("group")))
    by_group: Counter[str] = Counter()
    for owner, number in draws.values_list("owner").annotate(n=Count("pk")):
        by_group[owners[owner]] += number
    members = Counter(owners.values())
    tree = get_tree(curation.study.value_system)
    return SampleSummary(
        n_posts=line["kept"],
        n_draws=line["draws"],
        n_extra=line["extra"],
        n_owners=line["owners"],
        n_empty=sum(line["empty"].values()),
        values=[
            (tree.leaf(key).label, by_value[key, False], by_value[key, True], line["empty"].get(key, 0))
            for key in curation.study.value_keys
        ],
        sources=[
            (
                str(source.label),
                by_source.get(source.value, 0),
                by_source.get(source.value, 0) / line["draws"],
            )
            for source in FeedAppearance.Source
            if line["draws"]
        ],
        groups=[(group or "No group", members[group], by_group[group]) for group in sorted(members)],
        short=sorted(line["short"].items()),
    )


# --- what it will cost --------------------------------------------------------------------------------


@dataclass(frozen=True)
class StageEstimate:
    """About what a stage will ask and cost; `n_read` posts are read already, and cost nothing more."""

    stage: Stage
    label: str
    annotator: AnnotatorModel | None
    n_posts: int
    n_read: int
    cost: Decimal
    cost_at_most: Decimal
    budget: Decimal | None
    basis: str


def estimate_stages(curation: Curation) -> list[StageEstimate]:
    """Return an estimate for each stage that asks a model.

    How many posts come to a stage is known from the last start; before the first it follows from the languages and
    from the shares of the published study.
    """
    settings = get_settings(curation)
    lines = {line["stage"]: line for line in curation.funnel}
    expected = _expect_readable(curation)
    sample = list(curation.feed_posts.exclude(text="").order_by("pk").values_list("pk", flat=True))
    looked_at = sample[:: max(1, -(-len(sample) // N_LOOKED_AT))]
    estimates = []
    for stage in BY_MODEL:
        line = lines.get(stage)
        n_posts = line["came"] if line else round(expected)
        share = line["kept"] / line["came"] if line and line["came"] else USUAL_SHARE[stage]
        estimates.append(_estimate(curation, stage, n_posts, looked_at, settings.budgets.get(stage.value)))
        expected = n_posts * share
    return estimates


def _expect_readable(curation: Curation) -> int:
    """How many posts need a model: of the last start, or all with a text in one of the languages."""
    line = next((line for line in curation.funnel if line["stage"] == Stage.REPEATED), None)
    if line:
        return int(line["kept"])
    settings = get_settings(curation)
    posts = curation.feed_posts.exclude(text="")
    return posts.filter(language__in=settings.languages).count() if settings.languages else posts.count()


def _estimate(
    curation: Curation, stage: Stage, n_posts: int, looked_at: list[int], budget: Decimal | None
) -> StageEstimate:
    annotator = get_annotator(curation, stage)
    run = find_run(curation, stage) if annotator else None
    n_read = run.readings.values("feed_post_id").distinct().count() if run else 0
    label = STAGE_LABELS[stage]
    if annotator is None or not looked_at:
        return StageEstimate(stage, label, annotator, n_posts, n_read, Decimal(0), Decimal(0), budget, "")
    found = estimate_run(
        AnnotatorRun(
            annotator=annotator,
            curation=curation,
            selection=chosen_posts(looked_at),
            mode=get_settings(curation).mode,
        )
    )
    n_asked = found["n_calls"] - found["n_known"]
    factor = Decimal(max(0, n_posts - n_read) * annotator.samples) / n_asked if n_asked else Decimal(0)
    return StageEstimate(
        stage,
        label,
        annotator,
        n_posts,
        n_read,
        Decimal(found["cost"]) * factor,
        Decimal(found["cost_at_most"]) * factor,
        budget,
        found["basis"],
    )


# --- a file of it all ---------------------------------------------------------------------------------


def write_account(curation: Curation) -> Iterator[str]:
    """Yield a CSV file, line by line: of each post where it was dropped and why, and what the models said of it.

    Neither texts nor owners are in it.
    """
    value_keys = list(curation.study.value_keys)
    head = ["key", "language", "dropped_at", "reason", "detail", "comprehensibility", "nsfw"]
    yield _write_line(
        [*head, *(f"screening_{key}" for key in value_keys), "n_draws", "post_in_study", "ratings_from"]
    )
    source = SAYS_STANDIN if curation.is_standin else ""
    posts = curation.feed_posts.order_by("pk").annotate(n_draws=Count("draws")).select_related("post")
    after = 0
    while found := list(posts.filter(pk__gt=after)[:BATCH]):
        for post in found:
            screening = post.screening or [""] * len(value_keys)
            yield _write_line(
                [
                    post.key,
                    post.language,
                    post.dropped_at,
                    post.reason,
                    post.detail,
                    _write_number(post.comprehensibility),
                    _write_number(post.nsfw),
                    *map(_write_number, screening),
                    post.n_draws,
                    post.post.key if post.post else "",
                    source,
                ]
            )
        after = found[-1].pk


def write_draws(curation: Curation) -> Iterator[str]:
    """Yield a CSV file, line by line: each draw with the owner's pseudonym, value, source and post."""
    yield _write_line(["number", "owner", "value", "source", "is_extra", "key", "ratings_from"])
    source = SAYS_STANDIN if curation.is_standin else ""
    for draw in curation.draws.select_related("feed_post").order_by("number"):
        yield _write_line(
            [
                draw.number,
                draw.owner,
                draw.value_key,
                draw.source,
                draw.is_extra,
                draw.feed_post.key,
                source,
            ]
        )


def _write_number(number: Any) -> str:
    return "" if number is None or number == "" else f"{number:g}"


def _write_line(cells: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(
        guard(clean(cell)) if isinstance(cell, str) else cell for cell in cells
    )
    return line.getvalue()
