"""Every write of the calibration steps, named by its verb."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.db import transaction

from annotation.errors import Refused
from annotation.models import Enrollment, Post, Step, Study, StudyEvent
from annotation.services import complete_step, lock
from annotation.services.audit import log_event
from annotation.versions import note_change

from .models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from .selectors import get_next_question


def begin_vcq(enrollment: Enrollment, step: Step) -> None:
    """Pass over the VCQ when no question of it is open, inside the caller's transaction."""
    if get_next_question(enrollment) is None:
        complete_step(enrollment, step)


@transaction.atomic
def answer_question(
    enrollment: Enrollment, step: Step, question: CalibrationQuestion, *, rating: int
) -> bool:
    """Store an answer to the VCQ; after the last one the step is done.

    Returns whether this rating is the one that is stored: a first answer stands.
    """
    enrollment = lock(enrollment)
    answer, _ = CalibrationAnswer.objects.get_or_create(
        enrollment=enrollment,
        question=question,
        defaults={"rating": rating, "study_version_id": enrollment.study.current_version_id},
    )
    if get_next_question(enrollment) is None:
        complete_step(enrollment, step)
    return answer.rating == rating


@transaction.atomic
def answer_questionnaire(
    enrollment: Enrollment, step: Step, questionnaire: Questionnaire, *, answers: dict
) -> None:
    """Store the answers to a questionnaire and finish its step; a first response stands."""
    enrollment = lock(enrollment)
    QuestionnaireResponse.objects.get_or_create(
        enrollment=enrollment,
        questionnaire=questionnaire,
        defaults={
            "version": questionnaire.instrument.version,
            "answers": answers,
            "study_version_id": enrollment.study.current_version_id,
        },
    )
    complete_step(enrollment, step)


@transaction.atomic
def replace_vcq(
    study: Study, source: Study, questions: Sequence[tuple[str, str]], *, origin: str, actor: Any = None
) -> int:
    """Make a study ask these questions instead of those it asks now, in its new version.

    The posts are copied from the pre-study, as posts for calibration; those that the study has already, word for
    word, are used. Posts that are no longer asked about stay in the study.

    Parameters
    ----------
    study : which is to ask them; nobody may have answered a calibration question of it, nor may it take people
    source : the pre-study that the posts come from
    questions : (key of the post in the pre-study, key of the value), in the order in which they are asked
    origin : where they come from, for the study's log
    actor : the account that does it; None for a command

    Returns
    -------
    int
        How many posts were copied.

    Raises
    ------
    Refused
        If the study must not change or cannot ask these questions, with the reason; nothing is stored then.
    """
    study = Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    _check_may_ask(study, source, questions)
    posts, n_copied = _provide_posts(study, source, [key for key, _ in questions])
    n_before, _ = study.calibration_questions.all().delete()
    CalibrationQuestion.objects.bulk_create(
        CalibrationQuestion(study=study, position=position, post=posts[key], value_key=value)
        for position, (key, value) in enumerate(questions, start=1)
    )
    log_event(
        study,
        StudyEvent.Action.CHANGED,
        f"The calibration questionnaire was replaced: {origin}",
        actor=actor,
        detail={
            "source": source.slug,
            "questions": len(questions),
            "before": n_before,
            "posts_copied": n_copied,
        },
    )
    note_change(study, actor=actor, reason=origin)
    return n_copied


def _check_may_ask(study: Study, source: Study, questions: Sequence[tuple[str, str]]) -> None:
    if study.pk == source.pk:
        raise Refused(
            "The people of a pre-study have rated its posts already. Choose the study that is to come after it."
        )
    if study.takes_people:
        raise Refused(f"'{study.name}' takes people: pause it, so that no two of them meet other questions.")
    if CalibrationAnswer.objects.filter(question__study=study).exists():
        raise Refused(
            f"Somebody has answered calibration questions of '{study.name}', and answers to other questions cannot be "
            "compared with theirs. Erase a rehearsal's answers, or duplicate the study and let the copy ask these."
        )
    lacking = sorted({value for _, value in questions} - set(study.value_keys))
    if lacking:
        raise Refused(f"The value system of '{study.name}' lacks {', '.join(lacking)}.")
    if not questions or len(set(questions)) < len(questions):
        raise Refused("A questionnaire asks at least one question, and each of them once.")


def _provide_posts(study: Study, source: Study, keys: Sequence[str]) -> tuple[dict[str, Post], int]:
    """The study's own posts for calibration, by their keys in the pre-study, and how many had to be copied."""
    originals = {post.key: post for post in source.posts.filter(key__in=keys)}
    gone = sorted(set(keys) - set(originals))
    if gone:
        raise Refused(f"Posts are no longer in the pre-study: {', '.join(gone)}. Derive the questions again.")
    if empty := sorted(key for key, post in originals.items() if not post.text.strip()):
        raise Refused(f"Posts without a text cannot be asked about: {', '.join(empty)}.")
    texts = [post.text for post in originals.values()]
    for_raters = (Post.Purpose.CALIBRATION, Post.Purpose.LABELING)
    candidates = study.posts.filter(text__in=texts, purpose__in=for_raters)
    candidates = candidates.order_by("purpose")  # of twins, the one to label counts
    there = {_get_content(post): post for post in candidates}
    labeled = [key for key, post in originals.items() if _is_labeled(there.get(_get_content(post)))]
    if labeled:
        raise Refused(
            f"'{study.name}' gives these posts to label too, and whoever answers a question about a post has read it: "
            f"{', '.join(sorted(labeled))}. Remove them there, or put the questions into another study."
        )
    posts, n_copied = {}, 0
    for key, original in originals.items():
        post = there.get(_get_content(original))
        if post is None:
            post = _copy_post(original, study)
            n_copied += 1
        posts[key] = post
    return posts, n_copied


def _get_content(post: Post) -> tuple[str, str, str]:
    return post.text, post.context_kind, post.context_text


def _is_labeled(post: Post | None) -> bool:
    return post is not None and post.purpose == Post.Purpose.LABELING


def _copy_post(original: Post, study: Study) -> Post:
    key = next(key for key in _list_keys(original) if not study.posts.filter(key=key).exists())
    return Post.objects.create(
        study=study,
        key=key,
        purpose=Post.Purpose.CALIBRATION,
        text=original.text,
        context_kind=original.context_kind,
        context_text=original.context_text,
        metadata=original.metadata,
    )


def _list_keys(original: Post) -> Iterator[str]:
    """The key that a copy would have, then others, for where it is another post's."""
    longest = Post._meta.get_field("key").max_length
    yield original.key
    number = 1
    while True:
        ending = f"-vcq{number}"
        yield original.key[: longest - len(ending)] + ending
        number += 1
