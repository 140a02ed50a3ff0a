"""What is known of the raters besides their ratings: their own scores on the values, and who they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Study
from calibration.instrument.items import DECLINED, Instrument, Item
from calibration.instrument.scoring import CENTRED, ScoringKey
from calibration.models import Questionnaire, QuestionnaireResponse
from calibration.selectors import score_answers

from .models import ImportRecord

Floats = NDArray[np.float64]

LABEL_LENGTH = 60
MOST_GROUPS = 12
LEAST_NUMBERS = 3  # two numbers in all, such as 0 and 1, are names of groups
REASONS = {
    "multiple": "several answers may be marked",
    "grid": "a grid of questions",
    "text": "free text",
}
NOBODY_ANSWERED = "nobody answered it"
OF_A_SCALE = "part of a scale"
ANSWER_TYPES = {"number": int, "single": str, "text": str}
OF_ANOTHER_KIND = "it was another kind of question when some answered it"


@dataclass(frozen=True)
class RaterFacts:
    """What the raters said of themselves; a row or an entry for each of `enrollment_ids`.

    A question goes by its key, or by `questionnaire.key` where two questionnaires of the study share the key.

    Attributes
    ----------
    enrollment_ids : of the raters
    value_keys : of the columns of `own_scores`
    own_scores : ndarray of shape (n_raters, n_values)
        The rater's own score for each value, from the one questionnaire whose scales cover the most values;
        NaN where it gives none.
    own_scores_source : which questionnaire that is and whether its scores are centred; "" when there is none
    groups : question to each rater's answer as a label, None where it is open or declined
    numbers : question to ndarray of shape (n_raters,), NaN where it is open or declined
    labels : question to its text, short enough for a figure; for those in `left_out` too
    n_declined : question to how many preferred not to say
    left_out : question to the reason why it is in neither `groups` nor `numbers`
    """

    enrollment_ids: tuple[int, ...]
    value_keys: tuple[str, ...]
    own_scores: Floats
    own_scores_source: str = ""
    groups: dict[str, list[str | None]] = field(default_factory=dict)
    numbers: dict[str, Floats] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    n_declined: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Answered:
    """A questionnaire with the answers of each rater, {} of who gave none."""

    key: str
    instrument: Instrument
    answers: list[Mapping[str, Any]]
    is_imported: bool


def load_rater_facts(study: Study, enrollment_ids: Sequence[int], value_keys: Sequence[str]) -> RaterFacts:
    """Read what these raters answered to the study's questionnaires, in three queries.

    The columns of an imported file of raters came without a kind: those of numbers become numbers, those whose
    answers repeat (at most 12 different ones, each given twice on average) become groups.

    Raises ValueError when an enrollment is named twice.
    """
    if len(set(enrollment_ids)) < len(enrollment_ids):
        raise ValueError("an enrollment is named twice; name every rater once")
    answered = _read_answers(study, enrollment_ids)
    own_scores, source = _choose_own_scores(answered, tuple(value_keys), len(enrollment_ids))
    facts = RaterFacts(
        enrollment_ids=tuple(enrollment_ids),
        value_keys=tuple(value_keys),
        own_scores=own_scores,
        own_scores_source=source,
    )
    keys = [item.key for questionnaire in answered for item in questionnaire.instrument.items]
    for questionnaire in answered:
        for item in questionnaire.instrument.items:
            name = item.key if keys.count(item.key) == 1 else f"{questionnaire.key}.{item.key}"
            _add_question(facts, name, item, questionnaire)
    return facts


def _read_answers(study: Study, enrollment_ids: Sequence[int]) -> list[_Answered]:
    is_imported = ImportRecord.objects.filter(study=study).exists()
    questionnaires = list(Questionnaire.objects.filter(study=study).order_by("pk"))
    row_of = {pk: row for row, pk in enumerate(enrollment_ids)}
    answers: dict[int, list[Mapping[str, Any]]] = {
        questionnaire.pk: [{} for _ in enrollment_ids] for questionnaire in questionnaires
    }
    responses = QuestionnaireResponse.objects.filter(questionnaire__study=study)
    for enrollment_id, questionnaire_id, given in responses.values_list(
        "enrollment_id", "questionnaire_id", "answers"
    ):
        if enrollment_id in row_of:
            answers[questionnaire_id][row_of[enrollment_id]] = given
    return [
        _Answered(questionnaire.key, questionnaire.instrument, answers[questionnaire.pk], is_imported)
        for questionnaire in questionnaires
    ]


# --- own scores --------------------------------------------------------------------------------


def _choose_own_scores(
    answered: Sequence[_Answered], value_keys: tuple[str, ...], n_raters: int
) -> tuple[Floats, str]:
    """Score every questionnaire with scales for the values; the one with the most values, then raters, counts."""
    best: tuple[tuple[int, int, int], Floats, str] | None = None
    for questionnaire in answered:
        scoring = questionnaire.instrument.scoring
        if scoring is None:
            continue
        scores = _score(scoring, questionnaire.answers, value_keys)
        n_values, n_scored = (int((~np.isnan(scores)).any(axis=axis).sum()) for axis in (0, 1))
        rank = (n_values, n_scored, len(scoring.items))
        if n_values and (best is None or rank > best[0]):
            centred = ", centred on each rater's mean answer" if scoring.ipsatise else ""
            source = (
                f"{scoring.instrument} (questionnaire '{questionnaire.key}'){centred}: {n_values} of "
                f"{len(value_keys)} values, {n_scored} of {n_raters} raters"
            )
            best = rank, scores, source
    return best[1:] if best else (np.full((n_raters, len(value_keys)), np.nan), "")


def _score(scoring: ScoringKey, answers: Sequence[Mapping[str, Any]], value_keys: tuple[str, ...]) -> Floats:
    ending = CENTRED if scoring.ipsatise else ""
    scales = {scale.key for scale in scoring.scales}
    columns = [(place, key + ending) for place, key in enumerate(value_keys) if key in scales]
    scores = np.full((len(answers), len(value_keys)), np.nan)
    if not columns:
        return scores
    for row, given in enumerate(answers):
        if given:
            scored = score_answers(scoring, dict(given))
            for place, name in columns:
                scores[row, place] = scored[name].value
    return scores


# --- questions about the person ----------------------------------------------------------------


def _add_question(facts: RaterFacts, name: str, item: Item, questionnaire: _Answered) -> None:
    """Put a question among the groups or the numbers, or say why it is in neither."""
    facts.labels[name] = shorten(item.label, LABEL_LENGTH, placeholder="…")
    scoring = questionnaire.instrument.scoring
    if scoring and set(scoring.items) & set(item.answer_keys):
        facts.left_out[name] = OF_A_SCALE
        return
    if item.kind in REASONS and not (item.kind == "text" and questionnaire.is_imported):
        facts.left_out[name] = REASONS[item.kind]
        return
    labels = dict(item.options)
    given = [answers.get(item.key) for answers in questionnaire.answers]
    if DECLINED not in labels:
        if n_declined := given.count(DECLINED):
            facts.n_declined[name] = n_declined
        given = [None if answer == DECLINED else answer for answer in given]
    if all(answer is None for answer in given):
        facts.left_out[name] = NOBODY_ANSWERED
    elif not all(answer is None or isinstance(answer, ANSWER_TYPES[item.kind]) for answer in given):
        facts.left_out[name] = OF_ANOTHER_KIND
    elif item.kind == "number":
        facts.numbers[name] = np.array([math.nan if answer is None else float(answer) for answer in given])
    elif item.kind == "single":  # an option that was taken away since is shown as it was stored
        facts.groups[name] = [None if answer is None else labels.get(answer, answer) for answer in given]
    else:
        _add_column(facts, name, [(answer or "").strip() or None for answer in given])


def _add_column(facts: RaterFacts, name: str, given: list[str | None]) -> None:
    """Put a column of an imported file where its content belongs."""
    answers = [answer for answer in given if answer is not None]
    n_different = len(set(answers))
    numbers = np.array([math.nan if answer is None else _read_number(answer) for answer in given])
    n_numbers = int((~np.isnan(numbers)).sum())
    if answers and n_numbers == len(answers) and len(np.unique(numbers[~np.isnan(numbers)])) >= LEAST_NUMBERS:
        facts.numbers[name] = numbers
    elif answers and n_different <= min(MOST_GROUPS, max(len(answers) / 2, 1)):
        facts.groups[name] = given
    elif answers:
        facts.left_out[name] = f"{n_different} different texts among {len(answers)} answers"
    else:
        facts.left_out[name] = NOBODY_ANSWERED


def _read_number(text: str) -> float:
    """The finite number that a text is, else NaN."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
