"""Which posts a run reads: those of the study, its corpus, chosen ones, or the feed posts a curation still holds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from annotation.models import Post, Study
from modeling.models import AnnotatorRun, FeedPost, ModelReading
from modeling.prompts.rendering import PostText

ALL, CHOSEN, STILL_IN, CORPUS = "study", "chosen", "feed", "corpus"
AT_ONCE = 500  # posts read from the database together
_COLUMNS = ("pk", "text", "context_kind", "context_text")


def study_posts(study: Study) -> dict[str, Any]:
    """Select every post of the study that people label, as of the moment the run comes to it."""
    return {"posts": ALL, "study": study.pk}


def corpus_posts(study: Study) -> dict[str, Any]:
    """Select every post of the study that models alone read, as of the moment the run comes to it."""
    return {"posts": CORPUS, "study": study.pk}


def first_posts(study: Study, number: int) -> dict[str, Any]:
    """Select the `number` oldest posts that people label."""
    rows = study.posts.filter(purpose=Post.Purpose.LABELING).exclude(text="").order_by("pk")
    return chosen_posts(rows.values_list("pk", flat=True)[:number])


def chosen_posts(ids: Iterable[int]) -> dict[str, Any]:
    """Select posts by their ids: of the run's study, or of its curation's feed."""
    return {"posts": CHOSEN, "ids": sorted(set(ids))}


def feed_posts() -> dict[str, Any]:
    """Select the feed posts of the run's curation that no stage has dropped yet."""
    return {"posts": STILL_IN}


def find_posts(run: AnnotatorRun) -> QuerySet[Post] | QuerySet[FeedPost]:
    """Return the posts that a run reads, in order of their ids. Posts without text are none.

    Raises ValueError for a selection that this module did not write.
    """
    kind = run.selection.get("posts")
    if run.curation_id:
        rows: QuerySet[Any] = FeedPost.objects.filter(curation=run.curation_id)
    else:
        rows = Post.objects.filter(study=run.annotator.study_id)
    if kind == CHOSEN:
        rows = rows.filter(pk__in=run.selection["ids"])
    elif kind == STILL_IN and run.curation_id:
        rows = rows.filter(dropped_at="")
    elif kind == ALL and not run.curation_id:
        rows = rows.filter(purpose=Post.Purpose.LABELING)
    elif kind == CORPUS and not run.curation_id:
        rows = rows.filter(purpose=Post.Purpose.CORPUS)
    else:
        raise ValueError(
            f"Run {run.pk} has no selection of posts that can be read: {run.selection!r:.100}. Make it with "
            "study_posts, corpus_posts, chosen_posts or, for a curation, feed_posts."
        )
    return rows.exclude(text="").order_by("pk")


def get_post_field(run: AnnotatorRun) -> str:
    """Return which column of a reading holds the post."""
    return "feed_post_id" if run.curation_id else "post_id"


def find_unread(run: AnnotatorRun) -> QuerySet[Post] | QuerySet[FeedPost]:
    """Return the posts of a run that lack a reading, or one of several."""
    column = get_post_field(run)
    read = ModelReading.objects.filter(run=run, **{column: OuterRef("pk")}).order_by().values(column)
    n_read = read.annotate(n=Count("pk")).values("n")
    return (
        find_posts(run)
        .annotate(n_read=Coalesce(Subquery(n_read), 0))
        .filter(n_read__lt=run.annotator.samples)
    )


def count_posts(run: AnnotatorRun) -> int:
    """Return how many posts a run reads."""
    return find_posts(run).count()


def iterate_posts(run: AnnotatorRun) -> Iterator[tuple[int, PostText]]:
    """Yield id and text of each post of a run, in order of ids."""
    yield from _iterate(find_posts(run))


def iterate_unread(
    run: AnnotatorRun, first: int = 0, last: int | None = None
) -> Iterator[tuple[int, PostText]]:
    """Yield id and text of each post that lacks a reading, from id `first` to id `last`."""
    rows = find_unread(run).filter(pk__gte=first)
    yield from _iterate(rows if last is None else rows.filter(pk__lte=last))


def find_samples_read(run: AnnotatorRun, post_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return which (post, sample) of these posts have a reading."""
    column = get_post_field(run)
    rows = ModelReading.objects.filter(run=run, **{f"{column}__in": list(post_ids)})
    return set(rows.values_list(column, "sample"))


def _iterate(rows: QuerySet[Any]) -> Iterator[tuple[int, PostText]]:
    """Read pages by id, so that no cursor stays open while others write."""
    after = None
    while True:
        page = rows if after is None else rows.filter(pk__gt=after)
        found = list(page.values_list(*_COLUMNS)[:AT_ONCE])
        for post_id, text, context_kind, context_text in found:
            # A reply whose parent was not in the feed has a kind without a text.
            kind = context_kind if context_text else ""
            yield post_id, PostText(text, kind, context_text)
        if len(found) < AT_ONCE:
            return
        after = found[-1][0]
