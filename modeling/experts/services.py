"""Every write to an expert set: made, labeled, resolved, closed, its test posts opened. A web process may import it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import BY_COMMAND, log_event
from annotation.tree.nodes import UNSTORABLE
from annotation.tree.walk import Reading, WalkError, complete
from annotation.uploads.filters import digest_text
from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    ExpertItem,
    ExpertLabel,
    ExpertResolution,
    ExpertSet,
    ModelReading,
    SplitOpening,
)
from modeling.tuning.usable_runs import list_runs

from .dealing import deal
from .reference import are_same, find_disputed
from .standing import list_usable_posts

MOST_POSTS = 20_000
MOST_EXPERTS = 50
LONGEST_NAME = 100
LONGEST_NOTE = 5_000
LONGEST_REASON = 300
LARGEST_SEED = 2**31 - 1
Split = ExpertItem.Split


@transaction.atomic
def create_set(
    study: Study,
    *,
    name: str,
    form: str = ExpertSet.Form.FLAT,
    threshold: int,
    n_experts: int = 2,
    test_share: float = 0.5,
    seed: int = 1,
    posts: Sequence[str] | int | None = None,
    with_corpus: bool = False,
    guidance: str = "",
    user: Any = None,
) -> ExpertSet:
    """Make a set of posts for experts and deal them, once and for all, into development and test.

    Parameters
    ----------
    posts : None for every post that people label, a number to draw so many at random, or the keys of posts
    with_corpus : whether posts that models alone read are drawn too; chosen by key they always can be

    Raises Refused with everything that stands in the way.
    """
    tree = get_tree(study.value_system)
    name = " ".join(name.split())
    faults = _find_faults_of_set(name, form, n_experts, test_share, seed, guidance)
    if threshold not in tree.scale.levels[1:]:
        faults.append(
            f"The threshold must lie between {tree.scale.min + 1} and {tree.scale.max}: from it on a value counts as "
            f"expressed; not {threshold}."
        )
    if not faults and study.expert_sets.filter(name=name).exists():
        faults.append(f"The study has a set '{name}' already; choose another name.")
    if isinstance(posts, int) and posts < 1:
        faults.append(f"Draw at least 1 post, not {posts}.")
    if faults:
        raise Refused(" ".join(faults))
    ids = _choose_posts(study, posts, with_corpus)
    number = posts if isinstance(posts, int) else None
    dealt = deal(ids, seed=seed, test_share=test_share, number=number, kinds=_find_kinds(study, ids))
    if len(dealt.keys) > MOST_POSTS:
        raise Refused(
            f"A set takes at most {MOST_POSTS:,} posts, these are {len(dealt.keys):,}; draw a number of them."
        )
    expert_set = ExpertSet.objects.create(
        study=study,
        name=name,
        form=form,
        guidance=guidance.strip(),
        threshold=threshold,
        n_experts=n_experts,
        test_share=test_share,
        seed=seed,
        created_by=user,
    )
    ExpertItem.objects.bulk_create(
        ExpertItem(
            expert_set=expert_set,
            post_id=ids[key],
            position=position,
            split=Split.TEST if key in dealt.test else Split.DEVELOPMENT,
        )
        for position, key in enumerate(dealt.keys, start=1)
    )
    n_posts, n_test = len(dealt.keys), len(dealt.test)
    _log(
        expert_set,
        user,
        f"Expert set '{name}' made of {n_posts:,} posts, {n_test:,} of them for the test.",
        threshold=threshold,
        n_experts=n_experts,
        seed=seed,
    )
    return expert_set


@transaction.atomic
def store_label(
    item: ExpertItem,
    *,
    expert_user: Any,
    ratings: Sequence[float] | None = None,
    walk: Reading | None = None,
    rest: Sequence[str] = (),
    note: str = "",
) -> ExpertLabel:
    """Store what an expert says of a post; what they said of it before is kept, with its number.

    Parameters
    ----------
    ratings : one for each value of the study, in its order; NaN where none is given
    walk : instead of ratings, a finished way through the tree
    rest : keys of values that got the lowest rating all at once rather than one by one; kept with the label

    The same ratings and note again store nothing. Raises Refused for a closed set and for answers that cannot be taken.
    """
    held = hold(item.expert_set)
    if held.closed_at:
        raise Refused(f"'{held}' is closed; its labels stay as they are.")
    if ExpertResolution.objects.filter(item__expert_set=held, resolved_by=expert_user).exists():
        raise Refused(
            "You have resolved disagreements of this set, and so have seen what others said of its posts."
        )
    answers: dict[str, Any] = {"rest": sorted(rest)} if rest else {}
    if walk is not None:
        ratings, answers = _complete(held, walk)
    stored = _check_ratings(held, ratings or ())
    return add_label(
        item,
        expert=expert_user.get_username(),
        labeler=expert_user,
        ratings=stored,
        walk=answers,
        note=_check_note(note),
        source=ExpertLabel.Source.PAGE,
    )


def add_label(item: ExpertItem, *, expert: str, ratings: Sequence[float], **fields: Any) -> ExpertLabel:
    """Put a checked label in the place of the expert's current one, inside the caller's transaction and set lock."""
    own = ExpertLabel.objects.filter(item=item, expert=expert)
    last = own.order_by("-number").first()
    if last and are_same(last.ratings, ratings) and last.note == fields.get("note", ""):
        return last
    own.filter(is_current=True).update(is_current=False)
    return ExpertLabel.objects.create(
        item=item, expert=expert, ratings=tuple(ratings), number=last.number + 1 if last else 1, **fields
    )


@transaction.atomic
def resolve(item: ExpertItem, ratings: Sequence[float], note: str, user: Any) -> ExpertResolution:
    """Settle values on which experts differ; their labels stay, and so does an earlier resolution.

    Parameters
    ----------
    ratings : one for each value of the study, in its order; NaN where nothing is settled
    user : who settles; None for a command

    Raises Refused while the post lacks labels, for values on which the experts do not differ, and for a test post
    after the test posts were opened.
    """
    held = hold(item.expert_set)
    if item.split == Split.TEST and (first := held.openings.order_by("opened_at").first()):
        raise Refused(
            f"The test posts of '{held}' were opened on {first.opened_at:%Y-%m-%d} by {first.opener}; their reference "
            "stays as it was then."
        )
    labels = [label.ratings for label in item.labels.filter(is_current=True)]
    if len(labels) < held.n_experts:
        raise Refused(
            f"Post {item.position} has labels of {len(labels)} of {held.n_experts} experts; it is resolved when all "
            "have labeled it."
        )
    stored = _check_ratings(held, ratings)
    settled = {value for value, rating in enumerate(stored) if not math.isnan(rating)}
    if strangers := settled - set(find_disputed(labels, held.threshold)):
        keys = ", ".join(held.study.value_keys[value] for value in sorted(strangers))
        raise Refused(f"The experts do not differ in whether these are expressed: {keys}. Leave them out.")
    note = _check_note(note)
    earlier = item.resolutions.order_by("-number").first()
    if earlier and are_same(earlier.ratings, stored) and earlier.note == note:
        return earlier
    item.resolutions.filter(is_current=True).update(is_current=False)
    return ExpertResolution.objects.create(
        item=item,
        number=earlier.number + 1 if earlier else 1,
        ratings=stored,
        note=note,
        resolved_by=user,
        resolver=user.get_username() if user else BY_COMMAND,
    )


@transaction.atomic
def close_set(expert_set: ExpertSet, user: Any = None) -> ExpertSet:
    """End the labeling: from now on no label is taken. Closing again changes nothing."""
    held = hold(expert_set)
    if held.closed_at is None:
        held.closed_at = timezone.now()
        held.save(update_fields=["closed_at"])
        _log(held, user, f"Expert set '{held}' closed.")
    expert_set.closed_at = held.closed_at
    return held


@transaction.atomic
def reopen_set(expert_set: ExpertSet, user: Any = None) -> ExpertSet:
    """Take labels again. Raises Refused once the test posts were opened: what was scored on them would change."""
    held = hold(expert_set)
    if first := held.openings.order_by("opened_at").first():
        raise Refused(
            f"The test posts of '{held}' were opened on {first.opened_at:%Y-%m-%d} by {first.opener}; it stays closed."
        )
    if held.closed_at is not None:
        held.closed_at = None
        held.save(update_fields=["closed_at"])
        _log(held, user, f"Expert set '{held}' opened for labels again.")
    expert_set.closed_at = None
    return held


def get_family(annotator: AnnotatorModel) -> str:
    """Return which family an annotator model belongs to: that of its prompt, or its own name for an encoder's."""
    if annotator.prompt is None:
        return f"encoder: {annotator.name}"[:110]
    return f"prompt: {annotator.prompt.family}"


def list_openable_runs(expert_set: ExpertSet) -> list[AnnotatorRun]:
    """Return the finished runs that read test posts and whose family they were not opened for, newest first."""
    opened = set(expert_set.openings.values_list("family", flat=True))
    test = expert_set.items.filter(split=Split.TEST).values("post")
    reading = ModelReading.objects.filter(run=OuterRef("pk"), post__in=test).exclude(ratings=None)
    runs = list_runs(expert_set.study).filter(Exists(reading)).select_related("annotator__prompt")
    return [run for run in runs if get_family(run.annotator) not in opened]


def find_opening(expert_set: ExpertSet, family: str) -> SplitOpening | None:
    """Return when the test posts were opened for a family; None while they were not."""
    return expert_set.openings.filter(family=family).first()


@transaction.atomic
def open_test(
    expert_set: ExpertSet, family: str, runs: Sequence[AnnotatorRun], *, reason: str, user: Any = None
) -> SplitOpening:
    """Open the test posts for a family, once and for these runs; `load_reference` takes what this returns.

    Parameters
    ----------
    family : as `get_family` says it
    runs : the runs of this family that are to be scored
    user : who opens; None for a command

    Raises Refused while the set is open, when it was opened for the family before, with who did so, when, why and for
    which runs, and for runs that cannot be scored on its test posts.
    """
    held = hold(expert_set)
    if before := find_opening(held, family):
        raise Refused(say_opening(before))
    reason = " ".join(reason.split())
    faults = []
    if held.closed_at is None:
        faults.append(f"'{held}' still takes labels: close it first, so that the reference stays as it is.")
    if not reason:
        faults.append("Say why: the reason is kept with the opening.")
    if len(reason) > LONGEST_REASON or UNSTORABLE.search(reason):
        faults.append(f"The reason must be text of at most {LONGEST_REASON} characters.")
    if not runs:
        faults.append("Name the runs that are to be scored.")
    if not held.items.filter(split=Split.TEST).exists():
        faults.append(f"'{held}' has no test posts.")
    faults += [fault for run in runs if (fault := _find_fault_of_run(held, family, run))]
    if faults:
        raise Refused(" ".join(faults))
    opening = SplitOpening.objects.create(
        expert_set=held,
        family=family,
        run_ids=sorted({run.pk for run in runs}),
        reason=reason,
        opened_by=user,
        opener=user.get_username() if user else BY_COMMAND,
    )
    log_event(
        held.study,
        StudyEvent.Action.CHANGED,
        f"Test posts of expert set '{held}' opened for {family}.",
        actor=user,
        reason=reason,
        detail={"expert_set": held.pk, "family": family, "runs": opening.run_ids},
    )
    return opening


def say_opening(opening: SplitOpening) -> str:
    """Return who opened the test posts for a family, when, why and for which runs, as a sentence."""
    runs = ("runs " if len(opening.run_ids) > 1 else "run ") + ", ".join(map(str, opening.run_ids))
    return (
        f"The test posts of '{opening.expert_set}' were opened for {opening.family} on "
        f"{opening.opened_at:%Y-%m-%d %H:%M} UTC by {opening.opener}, for {runs}: “{opening.reason}”. They are opened "
        "once for a family."
    )


def _find_faults_of_set(
    name: str, form: str, n_experts: int, test_share: float, seed: int, guidance: str
) -> list[str]:
    faults = []
    if not name or len(name) > LONGEST_NAME or UNSTORABLE.search(name):
        faults.append(f"The name must be text of 1 to {LONGEST_NAME} characters.")
    if form not in ExpertSet.Form.values:
        faults.append(f"The form is {' or '.join(ExpertSet.Form.values)}, not '{form}'.")
    if not 1 <= n_experts <= MOST_EXPERTS:
        faults.append(f"From 1 to {MOST_EXPERTS} experts label each post, not {n_experts}.")
    if not 0 <= test_share <= 1:
        faults.append(f"The share of test posts lies between 0 and 1, not at {test_share}.")
    if not 0 <= seed <= LARGEST_SEED:
        faults.append(f"The seed is a whole number from 0 to {LARGEST_SEED:,}, not {seed}.")
    if len(guidance) > LONGEST_NOTE or UNSTORABLE.search(guidance):
        faults.append(f"The guidance must be text of at most {LONGEST_NOTE:,} characters.")
    return faults


def _choose_posts(study: Study, posts: Sequence[str] | int | None, with_corpus: bool) -> dict[str, int]:
    """The ids of the posts to deal, by their keys."""
    if posts is None or isinstance(posts, int):
        rows = list_usable_posts(study.posts.all(), with_corpus=with_corpus)
        found = dict(rows.values_list("key", "pk"))
        if not found:
            raise Refused("The study has no post with text that experts could label.")
        if posts is not None and posts > len(found):
            raise Refused(f"{posts:,} posts were asked for and the study has {len(found):,}; ask for fewer.")
        return found
    keys = list(dict.fromkeys(posts))
    usable = list_usable_posts(study.posts.filter(key__in=keys), with_corpus=True)
    found = dict(usable.values_list("key", "pk"))
    if strangers := [key for key in keys if key not in found]:
        raise Refused(
            f"{len(strangers):,} of the keys are of no post that experts can label: {', '.join(strangers[:10])}"
            f"{' and others' if len(strangers) > 10 else ''}. Posts need a text, and are for people or for models to "
            "read; calibration posts and paraphrases are not."
        )
    if not keys:
        raise Refused("Name at least one post by its key.")
    return found


def _find_kinds(study: Study, ids: Mapping[str, int]) -> dict[str, bytes]:
    """The same for posts with the same text: a copy of a test post among the development posts would give it away."""
    rows = study.posts.values_list("key", "text", "context_text").iterator(chunk_size=2000)
    return {key: digest_text(text, context) for key, text, context in rows if key in ids}


def _complete(expert_set: ExpertSet, walk: Reading) -> tuple[Sequence[float], dict[str, Any]]:
    tree = get_tree(expert_set.study.value_system)
    if list(tree.value_keys) != expert_set.study.value_keys:
        raise Refused("The value system no longer has the order this study was frozen with.")
    try:
        done = complete(tree, walk)
    except WalkError as error:
        raise Refused(" ".join(error.problems)) from error
    marks = {key: sorted(marked) for key, marked in walk.marks.items()}
    return done.ratings, {"marks": marks, "ratings": dict(walk.ratings)}


def _check_ratings(expert_set: ExpertSet, ratings: Sequence[float]) -> tuple[float, ...]:
    study = expert_set.study
    levels = get_tree(study.value_system).scale.levels
    if len(ratings) != len(study.value_keys):
        raise Refused(f"{len(ratings)} ratings were given; the study has {len(study.value_keys)} values.")
    given = [float(rating) for rating in ratings]
    if wrong := [rating for rating in given if not math.isnan(rating) and rating not in levels]:
        raise Refused(f"{wrong[0]:g} is not a rating of the scale from {levels[0]} to {levels[-1]}.")
    if all(math.isnan(rating) for rating in given):
        raise Refused("No value was rated.")
    return tuple(given)


def _check_note(note: str) -> str:
    note = note.replace("\r\n", "\n").strip()
    if len(note) > LONGEST_NOTE or UNSTORABLE.search(note):
        raise Refused(f"The note must be text of at most {LONGEST_NOTE:,} characters.")
    return note


def _find_fault_of_run(expert_set: ExpertSet, family: str, run: AnnotatorRun) -> str:
    annotator = run.annotator
    if annotator.study_id != expert_set.study_id:
        return f"Run {run.pk} is of another study."
    if get_family(annotator) != family:
        return f"Run {run.pk} is of {get_family(annotator)}, not of {family}."
    if run.state != AnnotatorRun.State.DONE or run.is_preview or run.curation_id:
        return f"Run {run.pk} is no finished run over posts of the study."
    test = expert_set.items.filter(split=Split.TEST).values("post")
    if not ModelReading.objects.filter(run=run, post__in=test).exclude(ratings=None).exists():
        return f"Run {run.pk} has read none of the test posts; have it read them first, then open them."
    return ""


def hold(expert_set: ExpertSet) -> ExpertSet:
    """Return the set, locked until the caller's transaction ends: writes to one set stand in a queue."""
    held = ExpertSet.objects.select_for_update(of=("self",)).select_related("study__value_system")
    return held.get(pk=expert_set.pk)


def _log(expert_set: ExpertSet, user: Any, summary: str, **detail: Any) -> None:
    log_event(
        expert_set.study,
        StudyEvent.Action.CHANGED,
        summary,
        actor=user,
        detail={"expert_set": expert_set.pk} | detail,
    )
