"""One rater's ratings beside those of the others."""

import math
from typing import Any
from uuid import UUID

from django.contrib.admin.views.decorators import staff_member_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.models import Enrollment, Outcome, Study
from annotation.permissions import Deed, get_study
from annotation.selectors import get_tree
from calibration.instrument.scoring import CENTRED, ScaleScore
from calibration.models import CalibrationAnswer
from calibration.selectors import get_scale_scores
from modeling.inclusion import describe, select
from modeling.models import Prediction
from modeling.readings import (
    MOST_OTHERS,
    ComparedPost,
    compare_values,
    explain_absence,
    measure_habit,
    read_rater,
)
from modeling.reporting.requests import DEFAULT_KEY, get_agreement
from modeling.templatetags.figures import MISSING
from modeling.watching.journeys import find_person
from modeling.watching.people import name_kind_of_person

from .results.frame import get_rule, make_query, read_measures

ON_A_PAGE = 50
N_GAPS = 3


@require_GET
@never_cache
@staff_member_required
def show_ratings(request: HttpRequest, slug: str, pseudonym: UUID) -> HttpResponse:
    """Show one rater's ratings, and how far they are from those of the others of the same posts."""
    study = get_study(request.user, slug, Deed.EXPORT)
    person = find_person(study, pseudonym)
    if person is None or person.outcome == Outcome.WITHDREW:
        raise Http404(
            "Nobody in this study has this pseudonym, or they withdrew and their ratings are erased."
        )
    who = request.GET.get("who", DEFAULT_KEY)
    rule = get_rule(study, who)
    tree = get_tree(study.value_system)
    labels = {leaf.key: leaf.name for leaf in tree.leaves}
    names = [labels.get(key, key) for key in study.value_keys]
    found = read_rater(person, rule)
    page = Paginator(found.posts, ON_A_PAGE).get_page(request.GET.get("page", "1"))
    counts = select(study, rule).filter(pk=person.pk).exists()
    foretold = dict(Prediction.objects.filter(enrollment=person).values_list("post_id", "ratings"))
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "study": study,
        "pseudonym": pseudonym,
        "name": str(pseudonym)[:8],
        "kind": name_kind_of_person(person),
        "why_not": "" if counts else explain_absence(person, rule),
        "phrase": describe(rule),
        "who_query": make_query(who),
        "scale": tree.scale,
        "found": found,
        "most_others": MOST_OTHERS,
        "habit": measure_habit(found.posts, tree.scale.min),
        "values": _describe_values(study, who, found.posts, names),
        "page_of_posts": page,
        "posts": [
            (post, _describe_gaps(post, names), _measure_distance(post, foretold.get(post.post_id)))
            for post in page.object_list
        ],
        "is_foretold": bool(foretold),
        "scores": _list_scores(person),
        "answers": _list_answers(person, labels),
        "query": query.urlencode(),
    }
    return render(request, "modeling/person_ratings.html", context)


def _describe_values(study: Study, who: str, posts: list[ComparedPost], names: list[str]) -> list[tuple]:
    """Return each value's name, the rater's and the others' means, their difference, and the whole study's mean."""
    measures = read_measures(get_agreement(study, who))
    everyone = {row["value"]: row["mean"] for row in measures["by_value"]} if measures else {}
    means = compare_values(posts, len(names))
    return [
        (name, mean, _sign(mean.difference), everyone.get(key))
        for key, name, mean in zip(study.value_keys, names, means, strict=True)
    ]


def _sign(difference: float | None) -> str:
    return MISSING if difference is None else f"{difference:+.2f}".replace("-", "\u2212")


def _describe_gaps(post: ComparedPost, names: list[str]) -> list[dict[str, Any]]:
    """Return the values on which a rater is farthest from the others of a post."""
    return [
        {"label": names[place], "own": post.ratings[place], "others": post.others[place]}
        for gap, place in post.gaps[:N_GAPS]
        if gap > 0
    ]


def _measure_distance(post: ComparedPost, foretold: tuple[float, ...] | None) -> float | None:
    """Mean distance of ratings from what the newest fit foretold of them; None where it foretold nothing."""
    pairs = zip(post.ratings, foretold or (), strict=False)
    distances = [abs(own - said) for own, said in pairs if own is not None and not math.isnan(said)]
    return sum(distances) / len(distances) if distances else None


def _list_scores(person: Enrollment) -> list[dict[str, Any]]:
    """Return a row for each scale, its score beside the one from which the person's mean was taken."""
    scores = get_scale_scores(person)
    return [
        {
            "questionnaire": questionnaire,
            "name": name.replace("_", " ").capitalize(),
            "value": _read_score(score),
            "centred": _read_score(scores.get((questionnaire, name + CENTRED))),
            "n_answered": score.n_answered,
            "reason": score.reason,
        }
        for (questionnaire, name), score in scores.items()
        if not name.endswith(CENTRED)
    ]


def _read_score(score: ScaleScore | None) -> float | None:
    return None if score is None or math.isnan(score.value) else score.value


def _list_answers(person: Enrollment, labels: dict[str, str]) -> list[dict[str, Any]]:
    answers = CalibrationAnswer.objects.filter(enrollment=person).order_by("question__position")
    rows = answers.values_list(
        "question__position", "question__value_key", "question__post_id", "question__post__text", "rating"
    )
    return [
        {"position": position, "label": labels.get(key, key), "post": post, "text": text, "rating": rating}
        for position, key, post, text, rating in rows
    ]
