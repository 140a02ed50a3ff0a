"""What was sent, as a fit wants it: posts become consensus vectors, persons become what the fit knows of them.

It loads NumPy: only `scoring` imports it, when somebody asks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.models import Enrollment, Outcome, Post, Study
from calibration.models import CalibrationAnswer
from modeling.models import PostScore

from .problems import Fault, point, refuse
from .schemas import PostIn, RaterIn, RerankIn

QUESTION_PREFIX = "calibration: "  # by which a fit tells its answers from its other features


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody to predict for: how the fit knows them, and what is told of that."""

    vectors: Any
    told: dict[str, Any]


def name_questions(serving: Any) -> list[str]:
    """Return the names by which answers are given, in order."""
    return [name.removeprefix(QUESTION_PREFIX) for name in serving.question_names]


# --- posts -------------------------------------------------------------------------------------


def read_posts(serving: Any, study: Study, posts: Sequence[PostIn]) -> Any:
    """Return the consensus of each post, shape (n_posts, n_values). Raises Problem naming all that have none."""
    consensus = np.full((len(posts), len(serving.value_keys)), np.nan)
    texts = {
        place: _join(post.context or "", post.text)
        for place, post in enumerate(posts)
        if post.text is not None
    }
    faults = _take_consensus(serving, posts, consensus)
    faults += _take_stored(serving, study, posts, consensus, texts)
    if not serving.reads_text:
        faults += [
            Fault(
                f"/posts/{place}/text",
                _tell_blindness(serving),
                "give a consensus vector or the key of a post that the fit saw",
            )
            for place in texts
            if posts[place].text is not None
        ]
    refuse(faults)
    if texts:
        consensus[list(texts)] = serving.read_texts(list(texts.values()))
    return consensus


def _join(context: str, text: str) -> str:
    """As fits read a post."""
    return f"{context}\n{text}" if context else text


def _take_consensus(serving: Any, posts: Sequence[PostIn], consensus: Any) -> list[Fault]:
    faults = []
    for place, post in enumerate(posts):
        if post.consensus is None:
            continue
        where = f"/posts/{place}/consensus"
        numbers, found = _read_vector(post.consensus, serving.value_keys, serving.scale, where, "value")
        if len(numbers) < len(serving.value_keys) and not found:
            missing = [key for key in serving.value_keys if key not in numbers]
            found = [
                Fault(
                    where,
                    f"it lacks {_quote(missing)}",
                    f"give a number for each of the {len(serving.value_keys)} values",
                )
            ]
        faults += found
        if not found:
            consensus[place] = [numbers[key] for key in serving.value_keys]
    return faults


def _take_stored(
    serving: Any, study: Study, posts: Sequence[PostIn], consensus: Any, texts: dict[int, str]
) -> list[Fault]:
    """Fill in what the fit stored of posts of the study; a post it has nothing of is read, if it can be."""
    keys = {post.key for post in posts if post.key is not None}
    if not keys:
        return []
    stored = {post.key: post for post in Post.objects.filter(study=study, key__in=keys)}
    strange = [Fault(f"/posts/{place}/key", "the study has no post with this key", "check the key")
               for place, post in enumerate(posts) if post.key is not None and post.key not in stored]  # fmt: skip
    refuse(strange, "not-found")
    scores = dict(
        PostScore.objects.filter(fit_run=serving.fit_run, post__in=stored.values()).values_list(
            "post__key", "scores"
        )
    )
    faults = []
    for place, post in enumerate(posts):
        if post.key is None:
            continue
        if post.key in scores:
            consensus[place] = scores[post.key]
        elif serving.reads_text and stored[post.key].text:
            texts[place] = _join(stored[post.key].context_text, stored[post.key].text)
        else:
            faults.append(
                Fault(
                    f"/posts/{place}/key",
                    "the fit that serves has no consensus of this post",
                    _mend_lack(serving),
                )
            )
    return faults


def _tell_blindness(serving: Any) -> str:
    if serving.fit_run.annotator_run_id:
        return f"the consensus of the fit that serves is '{serving.fit_run.consensus_name}', which is not asked here"
    return "the fit that serves reads no text"


def _mend_lack(serving: Any) -> str:
    """What helps where a fit has no consensus of a post of the study."""
    if serving.fit_run.annotator_run_id:
        return (
            f"give a consensus vector, or have the study fitted again with a run of '{serving.fit_run.consensus_name}' "
            "that reads this post"
        )
    return "give a consensus vector, or have the study fitted again with ratings of this post"


# --- persons -----------------------------------------------------------------------------------


def find_persons(serving: Any, study: Study, raters: Sequence[RaterIn], where: str) -> list[Person]:
    """Return each person as the fit knows them. Raises Problem naming all that cannot be told."""
    places = [where if where == "/rater" else f"{where}/{place}" for place in range(len(raters))]
    enrollments = _find_enrollments(study, raters, places)
    known = {pk: serving.known_rater(pk) for pk in enrollments.values()}
    stored = _load_answers(study, [pk for pk, vectors in known.items() if vectors is None])
    faults: list[Fault] = []
    persons = []
    for rater, place in zip(raters, places, strict=True):
        pk = None if rater.pseudonym is None else enrollments[rater.pseudonym]
        if pk is not None and known[pk] is not None:
            persons.append(Person(known[pk], _tell_known(serving, rater)))
            continue
        names = name_questions(serving)
        if pk is None:
            given, found = _read_vector(rater.answers, names, serving.scale, f"{place}/answers", "question")
            faults += found
        else:
            answers = stored.get(pk, {})
            given = {name: answers[name] for name in names if name in answers}
        vector = np.array([given.get(name, np.nan) for name in names], dtype=np.float64)
        if not faults:
            persons.append(Person(serving.new_rater(vector), _tell_new(rater, len(names), len(given))))
    refuse(faults)
    return persons


def _find_enrollments(study: Study, raters: Sequence[RaterIn], places: Sequence[str]) -> dict[Any, int]:
    """Whoever only rehearsed or withdrew is not there."""
    wanted = {rater.pseudonym for rater in raters if rater.pseudonym is not None}
    if not wanted:
        return {}
    found = dict(
        Enrollment.objects.filter(study=study, rater__pseudonym__in=wanted, withdrawal=None)
        .exclude(phase=Enrollment.Phase.REHEARSAL)
        .exclude(outcome=Outcome.WITHDREW)
        .values_list("rater__pseudonym", "pk")
    )
    strange = [
        Fault(
            f"{place}/pseudonym",
            "nobody in the study has this pseudonym",
            "take it from the study's page People, or send answers instead",
        )
        for rater, place in zip(raters, places, strict=True)
        if rater.pseudonym is not None and rater.pseudonym not in found
    ]
    refuse(strange, "not-found")
    return found


def _load_answers(study: Study, enrollment_ids: Sequence[int]) -> dict[int, dict[str, float]]:
    """Calibration answers by enrollment and by the question's name."""
    answers: dict[int, dict[str, float]] = {}
    if not enrollment_ids:
        return answers
    rows = CalibrationAnswer.objects.filter(enrollment__in=enrollment_ids, question__study=study)
    for pk, post, value, rating in rows.values_list(
        "enrollment_id", "question__post__key", "question__value_key", "rating"
    ):
        answers.setdefault(pk, {})[f"{post} / {value}"] = rating
    return answers


def _tell_known(serving: Any, rater: RaterIn) -> dict[str, Any]:
    return {
        "pseudonym": str(rater.pseudonym),
        "view": "known",
        "n_questions": len(serving.question_names),
        "n_answered": None,
        "n_missing": None,
        "fallback": None,
        "notes": [],
    }


def _tell_new(rater: RaterIn, n_questions: int, n_answered: int) -> dict[str, Any]:
    notes = []
    if rater.pseudonym is not None:
        notes.append("The fit saw no ratings of this person; only stored calibration answers could be used.")
    if not n_answered:
        notes.append(
            "Nothing is known of this person. Predictions are made of the consensus alone; nothing in them is personal."
        )
    elif n_answered < n_questions:
        notes.append(
            f"{n_questions - n_answered} of {n_questions} answers are missing. They were left open, as the fit's "
            "methods do for raters who skipped a question; the fewer answers, the less personal the predictions."
        )
    return {
        "pseudonym": None if rater.pseudonym is None else str(rater.pseudonym),
        "view": "new" if n_answered else "nothing",
        "n_questions": n_questions,
        "n_answered": n_answered,
        "n_missing": n_questions - n_answered,
        "fallback": None if n_answered else "consensus",
        "notes": notes,
    }


# --- numbers -----------------------------------------------------------------------------------


def _read_vector(
    sent: Sequence[float | None] | Mapping[str, float | None],
    names: Sequence[str],
    scale: tuple[int, int],
    where: str,
    what: str,
) -> tuple[dict[str, float], list[Fault]]:
    """Numbers by name, without those that are null, and what is wrong with them."""
    if isinstance(sent, Mapping):
        strange = [name for name in sent if name not in set(names)]
        if strange:
            mend = f"GET values names every {what}"
            return {}, [Fault(where + point(name), f"the fit knows no such {what}", mend) for name in strange]
        places = {name: where + point(name) for name in sent}
        numbers = dict(sent)
    elif len(sent) != len(names):
        wanted = f"give {len(names)} numbers, one for each {what} in the order of GET values"
        return {}, [Fault(where, f"it holds {len(sent)} numbers", wanted)]
    else:
        places = {name: f"{where}/{place}" for place, name in enumerate(names)}
        numbers = dict(zip(names, sent, strict=True))
    lowest, highest = scale
    faults = [
        Fault(places[name], "it lies outside the study's scale", f"give a number from {lowest} to {highest}")
        for name, number in numbers.items()
        if number is not None and not lowest <= number <= highest
    ]
    return {name: number for name, number in numbers.items() if number is not None}, faults


def read_weights(serving: Any, sent: RerankIn) -> Any:
    """Return how much each value counts, shape (n_values,). Raises Problem for values the study does not have."""
    weights = {sent.value: 1.0} if sent.value is not None else dict(sent.weights or {})
    strange = [key for key in weights if key not in serving.value_keys]
    where = {key: "/value" if sent.value is not None else point("weights", key) for key in strange}
    mend = f"use one of {', '.join(serving.value_keys)}"
    refuse([Fault(where[key], "the study has no such value", mend) for key in strange])
    found = np.array([weights.get(key, 0.0) for key in serving.value_keys])
    largest = np.abs(found).max()
    if not largest:
        refuse([Fault("/weights", "every weight is 0", "let at least one be another number")])
    return found / largest  # only their proportions count


def _quote(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:5]) + (" and others" if len(names) > 5 else "")
