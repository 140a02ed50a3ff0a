"""The sample becomes posts of the study, by the rules that hold for every post that comes into a study."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Post, Study, StudyEvent
from annotation.services.audit import log_event
from annotation.services.uploads import NEEDS_REASON, check_study
from annotation.uploads.filters import digest_text
from annotation.versions import note_change
from modeling.models import Curation, FeedPost

BATCH = 500
FOR_RATERS = (
    Post.Purpose.LABELING,
    Post.Purpose.CALIBRATION,
)  # a post for models only is none that people have
FEED, SCREENING, STANDIN = "feed", "screening", "screening_is_standin"


@dataclass(frozen=True)
class LoadedSample:
    """How many posts of a sample were added, and how many the study had already."""

    n_added: int
    n_known: int


def load_sample(curation: Curation, *, user: Any = None, reason: str = "") -> LoadedSample:
    """Put the drawn posts into the study, all of them or none.

    A post of which the study has the text already stays as it is there. What a post was screened by, and out of which
    feed it was drawn, is kept with it; whose feed that was, is not.

    Raises
    ------
    Refused
        When no sample is drawn or it is in the study already, when the study is closed, when a reason is missing, or
        when the study has another post under one of the keys. Nothing is added then.
    """
    try:
        with transaction.atomic():
            return _load(curation, user, reason.strip())
    except IntegrityError as error:
        raise Refused("The study's posts changed at this moment; try again.") from error


def _load(curation: Curation, user: Any, reason: str) -> LoadedSample:
    held = Curation.objects.select_for_update().get(pk=curation.pk)
    study = Study.objects.get(pk=held.study_id)
    if held.state == Curation.State.LOADED:
        raise Refused("The sample is in the study already.")
    if held.state != Curation.State.SAMPLED:
        raise Refused("There is no sample yet: let the curation come to its end first.")
    check_study(study)
    if study.state in NEEDS_REASON and not reason:
        raise Refused(
            f"The study is {study.get_state_display().lower()}: say why posts are added; it is kept in its log."
        )
    drawn = list(held.feed_posts.filter(dropped_at="").order_by("pk"))
    if not drawn:
        raise Refused("The sample is empty: no post that stayed in expresses a value strongly enough.")
    sources = _find_sources(held)
    known = {
        digest_text(text, context): pk
        for pk, text, context in study.posts.filter(purpose__in=FOR_RATERS)
        .order_by()
        .values_list("pk", "text", "context_text")
        if text
    }
    fresh: list[FeedPost] = []
    for feed_post in drawn:
        feed_post.post_id = known.get(digest_text(feed_post.text, feed_post.context_text))
        if feed_post.post_id is None:
            fresh.append(feed_post)
    _refuse_known_keys(study, fresh)
    for begin in range(0, len(fresh), BATCH):
        batch = fresh[begin : begin + BATCH]
        posts = Post.objects.bulk_create(_make_post(held, study, post, sources[post.pk]) for post in batch)
        for feed_post, post in zip(batch, posts, strict=True):
            feed_post.post_id = post.pk
    FeedPost.objects.bulk_update(drawn, ["post"], batch_size=BATCH)
    held.state, held.finished_at = Curation.State.LOADED, timezone.now()
    held.save(update_fields=["state", "finished_at"])
    _log(held, study, len(fresh), len(drawn) - len(fresh), user, reason)
    curation.refresh_from_db()
    return LoadedSample(len(fresh), len(drawn) - len(fresh))


def _find_sources(curation: Curation) -> dict[int, str]:
    """Out of which feed each post was drawn; both, joined, where it was drawn out of either."""
    found: dict[int, set[str]] = defaultdict(set)
    for pk, source in curation.draws.order_by().values_list("feed_post_id", "source").distinct():
        found[pk].add(source)
    return {pk: " and ".join(sorted(sources)) for pk, sources in found.items()}


def _refuse_known_keys(study: Study, fresh: list[FeedPost]) -> None:
    keys = {post.key for post in fresh}
    taken = sorted(key for key in study.posts.order_by().values_list("key", flat=True) if key in keys)
    if taken:
        named = ", ".join(f"'{key[:60]}'" for key in taken[:5])
        raise Refused(
            f"The study has other posts under the keys of {len(taken):,} posts of the sample ({named}). Rename or "
            "remove these posts of the study first."
        )


def _make_post(curation: Curation, study: Study, feed_post: FeedPost, source: str) -> Post:
    screening = zip(study.value_keys, feed_post.screening or (), strict=True)
    metadata: dict[str, Any] = {
        SCREENING: {key: round(rating, 4) for key, rating in screening},
        "source": source,
        FEED: curation.name,
    }
    if feed_post.language:
        metadata["language"] = feed_post.language
    if curation.is_standin:
        metadata[STANDIN] = True
    return Post(
        study=study,
        key=feed_post.key,
        text=feed_post.text,
        context_kind=feed_post.context_kind,
        context_text=feed_post.context_text,
        metadata=metadata,
    )


def _log(curation: Curation, study: Study, n_added: int, n_known: int, user: Any, reason: str) -> None:
    summary = f"{n_added:,} posts added from the curation '{curation.name}', {n_known:,} were there already."
    log_event(
        study,
        StudyEvent.Action.POSTS,
        summary,
        actor=user,
        reason=reason,
        detail={
            "curation": curation.pk,
            "added": n_added,
            "known": n_known,
            "is_standin": curation.is_standin,
        },
    )
    if study.state != Study.State.DRAFT or study.current_version_id:  # a draft needs no note
        note_change(study, user, reason or summary)
