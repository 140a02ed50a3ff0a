"""The posts that people read most differently, and one post with everyone's ratings of it."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.models import Post, Study
from annotation.permissions import Deed, get_study, may
from annotation.selectors import get_tree
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import IMPLIED
from modeling.inclusion import describe
from modeling.readings import (
    Reading,
    Spread,
    find_model_scores,
    list_onlookers,
    measure_spread,
    read_post,
)
from modeling.reporting.requests import DEFAULT_KEY, get_agreement
from modeling.strips import Strip, draw_strip

from .results.frame import get_rule, make_query, open_results, pick_figures, read_measures

ON_A_PAGE = 20
RATERS_ON_A_PAGE = 50
FIGURE = "disputed_posts"
BY_DIFFERENCE, BY_RHO = "difference", "rho"
ORDERS = {
    BY_DIFFERENCE: "the largest difference first",
    BY_RHO: "the lowest correlation first",
}
SHADES = 5


@require_GET
@never_cache
@staff_member_required
def show_disputed(request: HttpRequest, slug: str) -> HttpResponse:
    """List the most disputed posts of the stored report."""
    context = open_results(request, slug, "disputed")
    study, measures = context["study"], context["people"]
    order = _read_order(request)
    listed = _sort(measures["disputed"], order) if measures else []
    page = Paginator(listed, ON_A_PAGE).get_page(request.GET.get("page", "1"))
    context |= {
        "order": order,
        "may_read": may(request.user, study, Deed.EXPORT),
        "orders": [(key, words, _make_address(request, key)) for key, words in ORDERS.items()],
        "n_listed": len(listed),
        "page_of_posts": page,
        "posts": _describe_disputed(study, page, measures),
        "post_query": _come_from(context["who"], order),
        "list_query": _come_from(context["who"], order, is_list=True),
        "figure": pick_figures([context["agreement"]], [FIGURE]).get(FIGURE),
    }
    return render(request, "modeling/disputed.html", context)


@require_GET
@never_cache
@staff_member_required
def show_post(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show one post, who rated it and how."""
    study = get_study(request.user, slug, Deed.EXPORT)
    post = get_object_or_404(Post, study=study, pk=pk)
    who = request.GET.get("who", DEFAULT_KEY)
    rule = get_rule(study, who)
    readings = read_post(study, post, rule)
    counted = [reading for reading in readings if not reading.why_not]
    says = find_model_scores(study, post, rule)
    tree = get_tree(study.value_system)
    values = _describe_values(study, tree, readings, counted, says.scores if says else None)
    page = Paginator(readings, RATERS_ON_A_PAGE).get_page(request.GET.get("page", "1"))
    scale = tree.scale
    context = {
        "study": study,
        "post": post,
        "who": who,
        "who_query": make_query(who),
        "phrase": describe(rule),
        "scale": scale,
        "shown_scale": (scale.shown(scale.min), scale.shown(scale.max)),
        "n_counted": len(counted),
        "n_others": len(readings) - len(counted),
        "n_rationales": sum(bool(reading.rationale) for reading in readings),
        "values": values,
        "page_of_raters": page,
        "groups": _group(page.object_list, values, tree),
        "onlookers": list_onlookers(study, post),
        "says": says,
        "query": _drop_page(request),
        **_find_neighbours(request, study, post, who),
    }
    return render(request, "modeling/post.html", context)


@dataclass(frozen=True)
class DisputedValue:
    """One of the values of a post that raters differ most about."""

    label: str
    mean: float | None
    sd: float | None
    strip: Strip


def _read_order(request: HttpRequest) -> str:
    order = request.GET.get("sort", "")
    return order if order in ORDERS else BY_DIFFERENCE


def _sort(disputed: list[dict[str, Any]], order: str) -> list[dict[str, Any]]:
    """Posts whose number does not exist come last."""
    if order == BY_RHO:
        return sorted(disputed, key=lambda row: (row["rho"] is None, row["rho"] or 0.0))
    return sorted(disputed, key=lambda row: (row["difference"] is None, -(row["difference"] or 0.0)))


def _describe_disputed(study: Study, page: Page, measures: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Add each post's text and its drawings. A post that was deleted since keeps its key alone."""
    if not measures:
        return []
    labels = {value["key"]: value["name"] for value in measures["values"]}
    ids = [row["post"] for row in page.object_list]
    posts = {post.pk: post for post in Post.objects.filter(study=study, pk__in=ids).defer("metadata")}
    low, high = measures["scale"]
    return [
        row
        | {
            "place": place,
            "stored": posts.get(row["post"]),
            "values": [
                DisputedValue(
                    labels.get(value["value"], value["value"]),
                    value["mean"],
                    value["sd"],
                    draw_strip(value["ratings"], (low, high)),
                )
                for value in row["by_value"]
            ],
        }
        for place, row in enumerate(page.object_list, start=page.start_index())
    ]


@dataclass(frozen=True)
class PostValue:
    """One value of a post: its place in a vector of ratings, and what was said of it."""

    place: int
    label: str
    is_rated: bool  # by anybody above the scale's lowest
    spread: Spread
    strip: Strip
    score: float | None


def _describe_values(
    study: Study,
    tree: ValueTree,
    readings: list[Reading],
    counted: list[Reading],
    scores: tuple[float, ...] | None,
) -> list[PostValue]:
    """Return the values that anybody rated above the lowest, the highest mean first; then the others."""
    lowest = tree.scale.min
    labels = {leaf.key: leaf.name for leaf in tree.leaves}
    values = []
    for place, key in enumerate(study.value_keys):
        spread = measure_spread(counted, place)
        values.append(
            PostValue(
                place=place,
                label=labels.get(key, key),
                is_rated=any((reading.ratings[place] or lowest) > lowest for reading in readings),
                spread=spread,
                strip=draw_strip(
                    (reading.ratings[place] for reading in counted),
                    (lowest, tree.scale.max),
                    spread.n_implied,
                ),
                score=scores[place] if scores and scores[place] == scores[place] else None,
            )
        )
    return sorted(
        values, key=lambda value: (not value.is_rated, -(value.spread.mean or 0.0) * value.is_rated)
    )


@dataclass(frozen=True)
class Cell:
    """One rating in the table of a post; `kind` is 'chosen', 'implied' or 'missing'."""

    rating: int | None
    kind: str
    shade: int


def _group(
    readings: list[Reading], values: list[PostValue], tree: ValueTree
) -> list[tuple[bool, list[tuple[Reading, list[Cell]]]]]:
    """Return the rows of the page's raters, those who count apart from the others."""
    rows = [(reading, [_make_cell(reading, value.place, tree) for value in values]) for reading in readings]
    groups = [(counts, [row for row in rows if (not row[0].why_not) == counts]) for counts in (True, False)]
    return [group for group in groups if group[1]]


def _make_cell(reading: Reading, place: int, tree: ValueTree) -> Cell:
    rating = reading.ratings[place]
    if rating is None:
        return Cell(None, "missing", 0)
    scale = tree.scale
    shade = round(SHADES * (rating - scale.min) / (scale.max - scale.min))
    return Cell(rating, "implied" if reading.codes[place] == IMPLIED else "chosen", shade)


def _find_neighbours(request: HttpRequest, study: Study, post: Post, who: str) -> dict[str, Any]:
    """Return what the report says of a post among the disputed, and its neighbours for who comes from there."""
    report = get_agreement(study, who)
    measures = read_measures(report)
    order = _read_order(request)
    listed = _sort(measures["disputed"], order) if measures else []
    ids = [row["post"] for row in listed]
    if post.pk not in ids:
        return {"report": report, "disputed": None}
    place = ids.index(post.pk)
    found: dict[str, Any] = {
        "report": report,
        "disputed": listed[place],
        "disputed_place": place + 1,
        "n_disputed": len(ids),
        "order": ORDERS[order],
    }
    if request.GET.get("from") == "disputed":
        query = _come_from(who, order)
        page = place // ON_A_PAGE + 1
        back = _come_from(who, order, is_list=True)
        if page > 1:
            back += ("&" if back else "?") + urlencode({"page": page})
        found |= {
            "back": reverse("modeling:disputed", args=[study.slug]) + back,
            "previous": _link(study, ids[place - 1], query) if place else "",
            "next": _link(study, ids[place + 1], query) if place + 1 < len(ids) else "",
        }
    return found


def _link(study: Study, pk: int, query: str) -> str:
    return reverse("modeling:post", args=[study.slug, pk]) + query


def _come_from(who: str, order: str, *, is_list: bool = False) -> str:
    """Return the query of an address that keeps the rule and the order; '' where both are the usual ones."""
    query = {} if who == DEFAULT_KEY else {"who": who}
    if order != BY_DIFFERENCE:
        query["sort"] = order
    if not is_list:
        query["from"] = "disputed"
    return "?" + urlencode(query) if query else ""


def _make_address(request: HttpRequest, order: str) -> str:
    query = request.GET.copy()
    query.pop("page", None)
    query["sort"] = order
    return "?" + query.urlencode()


def _drop_page(request: HttpRequest) -> str:
    query = request.GET.copy()
    query.pop("page", None)
    return query.urlencode()
