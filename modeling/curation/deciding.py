"""What each stage decides, computed from the rows first and written at once: posts dropped, ratings, draws."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db.models import Max

from modeling.models import AnnotatorRun, Curation, CurationDraw, FeedAppearance, FeedPost, ModelReading

from .sampling import Appearance, Sample, draw_sample
from .services import get_settings
from .stages import (
    NOT_DRAWN,
    NOT_READ,
    PLAIN,
    PUBLIC,
    Account,
    Fate,
    FeedFacts,
    PlainSieve,
    Stage,
    average,
    judge,
)

BATCH = 2_000
REPORT_EVERY = 1_000
DETAIL_LENGTH = 300

Progress = Callable[[int, int, str], None]


@dataclass
class Decided:
    """What a stage, or the plain ones together, made of the posts that were still in.

    Attributes
    ----------
    account : how many came, were dropped and stay
    fates : which posts were dropped, by where and why
    ratings : which posts got which ratings
    contexts : posts whose context was found elsewhere in the feeds, with its text
    is_standin : whether a reading came from no real model
    """

    account: Account
    fates: dict[Fate, list[int]] = field(default_factory=lambda: defaultdict(list))
    ratings: dict[tuple[float, ...], list[int]] = field(default_factory=lambda: defaultdict(list))
    contexts: list[tuple[int, str]] = field(default_factory=list)
    is_standin: bool = False

    def add(self, pk: int, fate: Fate | None) -> None:
        self.account.add(fate)
        if fate is not None:
            self.fates[fate].append(pk)


# --- the stages that need no model ----------------------------------------------------------------


def decide_plain(curation: Curation, report: Progress) -> Decided:
    """Send every post through the stages that need no model, in the order in which they came. Writes no row."""
    posts = FeedPost.objects.filter(curation=curation)
    total = posts.count()
    sieve = PlainSieve(get_settings(curation), _find_parents(curation))
    decided = Decided(Account(total, PLAIN))
    rows = posts.order_by("pk").values_list(
        "pk", "key", "text", "context_kind", "context_text", "language", "metadata"
    )
    for done, (pk, key, text, kind, context, language, metadata) in enumerate(_page(rows), start=1):
        facts = FeedFacts(
            key=key,
            text=text,
            context_kind=kind,
            context_text=context,
            language=language,
            visibility=metadata.get("visibility", PUBLIC),
            in_reply_to=str(metadata.get("in_reply_to", "")),
        )
        fate = sieve.sift(facts)
        decided.add(pk, fate)
        if not context and (found := sieve.find_context(facts)):
            decided.contexts.append((pk, found))
        if not done % REPORT_EVERY:
            report(done, total, "posts sorted")
    return decided


def _find_parents(curation: Curation) -> dict[str, str]:
    """Texts of public posts of the feeds to which others reply without their parent's text."""
    replies = FeedPost.objects.filter(curation=curation, context_kind="reply", context_text="")
    wanted = {str(key) for key in replies.values_list("metadata__in_reply_to", flat=True) if key}
    keys: list[str] = sorted(wanted)
    parents: dict[str, str] = {}
    for begin in range(0, len(keys), BATCH):
        found = FeedPost.objects.filter(curation=curation, key__in=keys[begin : begin + BATCH])
        rows = found.exclude(text="").values_list("key", "text", "metadata__visibility")
        parents |= {key: text for key, text, visibility in rows if visibility in (None, PUBLIC)}
    return parents


def store_plain(curation: Curation, decided: Decided) -> None:
    """Begin anew: forget what was decided before, and write what the plain stages decided."""
    posts = FeedPost.objects.filter(curation=curation)
    posts.exclude(dropped_at="").update(dropped_at="", reason="", detail="")
    rated = posts.exclude(comprehensibility=None, nsfw=None, screening=None)
    rated.update(comprehensibility=None, nsfw=None, screening=None)
    curation.draws.all().delete()
    for begin in range(0, len(decided.contexts), BATCH):
        found = [FeedPost(pk=pk, context_text=text) for pk, text in decided.contexts[begin : begin + BATCH]]
        FeedPost.objects.bulk_update(found, ["context_text"], batch_size=500)
    _drop(decided.fates)
    curation.funnel, curation.is_standin = decided.account.to_lines(), False
    curation.save(update_fields=["funnel", "is_standin"])


# --- the stages that a model decides ----------------------------------------------------------------


def decide_by_model(curation: Curation, stage: Stage, run: AnnotatorRun | None, report: Progress) -> Decided:
    """Judge each post that is still in by what a run read. A post without a usable reading is dropped as not read."""
    settings = get_settings(curation)
    pks = list(
        FeedPost.objects.filter(curation=curation, dropped_at="").order_by("pk").values_list("pk", flat=True)
    )
    decided = Decided(Account(len(pks), [stage]), is_standin=bool(run and run.is_standin))
    for begin in range(0, len(pks), BATCH):
        batch = pks[begin : begin + BATCH]
        readings = _load_readings(run, batch)
        for pk in batch:
            found = readings.get(pk, [])
            ratings = average(reading for reading, _ in found if reading is not None)
            if ratings:
                decided.ratings[ratings].append(pk)
                decided.add(pk, judge(stage, ratings, settings))
            else:
                fault = found[0][1] if found else "not asked"
                decided.add(pk, Fate(stage, NOT_READ, fault[:DETAIL_LENGTH]))
        report(begin + len(batch), len(pks), "posts judged")
    return decided


def _load_readings(
    run: AnnotatorRun | None, pks: list[int]
) -> dict[int, list[tuple[tuple[float, ...] | None, str]]]:
    """Of each of these posts, which follow one another, the ratings and faults of its readings."""
    found: dict[int, list[tuple[tuple[float, ...] | None, str]]] = defaultdict(list)
    if run is None:
        return found
    rows = ModelReading.objects.filter(run=run, feed_post__gte=pks[0], feed_post__lte=pks[-1])
    for pk, ratings, fault, reason in rows.order_by("feed_post_id", "sample").values_list(
        "feed_post_id", "ratings", "fault", "reason"
    ):
        found[pk].append((ratings, f"{fault}: {reason}"))
    return found


def store_by_model(curation: Curation, stage: Stage, run: AnnotatorRun | None, decided: Decided) -> None:
    """Write what a model's stage decided, with the ratings."""
    for ratings, pks in decided.ratings.items():
        value = ratings if stage == Stage.SCREENING else ratings[0]
        _update(pks, {stage.value: value})
    _drop(decided.fates)
    _add_lines(curation, decided.account.to_lines(), run=run.pk if run else None)
    if decided.is_standin:
        curation.is_standin = True
        curation.save(update_fields=["is_standin"])


# --- the sample -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A sample with the rows it speaks of."""

    sample: Sample
    pks: Mapping[str, int]  # of the posts that could be drawn, by key
    n_owners: int


def decide_sample(curation: Curation) -> Drawn:
    """Draw the sample from the posts that are still in. The curation's seed decides; writes no row."""
    settings = get_settings(curation)
    value_keys = tuple(curation.study.value_keys)
    expressed: dict[str, tuple[str, ...]] = {}
    pks: dict[str, int] = {}
    posts = FeedPost.objects.filter(curation=curation, dropped_at="").order_by("pk")
    for pk, key, ratings in posts.values_list("pk", "key", "screening").iterator(chunk_size=BATCH):
        pks[key] = pk
        expressed[key] = tuple(
            value
            for value, rating in zip(value_keys, ratings, strict=True)
            if rating >= settings.least_screening
        )
    owners = curation.appearances.order_by().values_list("owner").annotate(group=Max("group"))
    groups = dict(owners)
    sample = draw_sample(
        expressed,
        _iterate_appearances(curation),
        value_keys=value_keys,
        groups=groups,
        quotas=settings.quotas,
        rng=np.random.default_rng(curation.seed),
    )
    return Drawn(sample, pks, len(groups))


def _iterate_appearances(curation: Curation) -> Iterator[Appearance]:
    """Where the posts that are still in stood; a repeated text's places count for its first post."""
    rows = FeedAppearance.objects.filter(
        curation=curation, feed_post__dropped_at__in=("", Stage.REPEATED)
    ).order_by()
    columns = ("owner", "source", "feed_post__key", "feed_post__dropped_at", "feed_post__detail")
    for owner, source, key, dropped_at, first in rows.values_list(*columns).iterator(chunk_size=BATCH):
        yield Appearance(owner, source, first if dropped_at else key)


def store_sample(curation: Curation, drawn: Drawn) -> dict[str, Any]:
    """Write the draws, and mark the posts that nobody drew."""
    sample = drawn.sample
    CurationDraw.objects.bulk_create(
        (
            CurationDraw(
                curation=curation,
                number=number,
                owner=draw.owner,
                value_key=draw.value,
                source=draw.source,
                is_extra=draw.is_extra,
                feed_post_id=drawn.pks[draw.post],
            )
            for number, draw in enumerate(sample.draws, start=1)
        ),
        batch_size=BATCH,
    )
    chosen = {draw.post for draw in sample.draws}
    account = Account(len(drawn.pks), [Stage.SAMPLE])
    fate = Fate(Stage.SAMPLE, NOT_DRAWN)
    left = [pk for key, pk in drawn.pks.items() if key not in chosen]
    for _ in left:
        account.add(fate)
    _drop({fate: left})
    facts = {
        "draws": len(sample.draws),
        "extra": sum(draw.is_extra for draw in sample.draws),
        "owners": drawn.n_owners,
        "again": len(sample.again),
        "short": dict(sample.short),
        "empty": dict(sample.empty),
    }
    _add_lines(curation, account.to_lines(), **facts)
    return {"posts": len(chosen), "draws": len(sample.draws)}


# --- writing ----------------------------------------------------------------------------------------


def _drop(fates: Mapping[Fate, list[int]]) -> None:
    for fate, pks in fates.items():
        _update(pks, {"dropped_at": fate.stage.value, "reason": fate.reason, "detail": fate.detail})


def _update(pks: list[int], values: dict[str, Any]) -> None:
    for begin in range(0, len(pks), BATCH):
        FeedPost.objects.filter(pk__in=pks[begin : begin + BATCH]).update(**values)


def _add_lines(curation: Curation, lines: list[dict[str, Any]], **facts: Any) -> None:
    """Put a stage's lines behind those of the stages before it."""
    stages = [stage.value for stage in Stage]
    first = stages.index(lines[0]["stage"])
    before = [line for line in curation.funnel if stages.index(line["stage"]) < first]
    curation.funnel = [*before, *(line | facts for line in lines)]
    curation.save(update_fields=["funnel"])


def _page(rows: Any) -> Iterable[tuple[Any, ...]]:
    """Read pages by id: no cursor stays open while progress is written."""
    after = 0
    while found := list(rows.filter(pk__gt=after)[:BATCH]):
        yield from found
        after = found[-1][0]
