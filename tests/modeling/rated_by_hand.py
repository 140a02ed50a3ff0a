"""Small studies whose every rating is written out, and the report of such a study."""

from annotation.models import Annotation, Post
from annotation.tree.walk import CHOSEN
from modeling.inclusion import DEFAULT
from modeling.models import Report, ReportFigure
from modeling.reporting.requests import DEFAULT_KEY
from tests.factories import StudyFactory, ValueSystemFactory
from tests.modeling.rated import build_flat_tree
from tests.modeling.watching.people import complete

THREE = ("order", "play", "care")


def make_study(*, posts=3, **fields):
    """A study of three values on a scale from 0 to 6, with posts p1, p2, ..."""
    system = ValueSystemFactory(tree=build_flat_tree(3))
    return StudyFactory(value_system=system, posts=posts, questions=0, steps=("labeling",), **fields)


def rate(study, *rated, person=None, **fields):
    """Someone who completed the study and rated its first posts so; None leaves a post out."""
    person = person or complete(study, **fields)
    posts = Post.objects.filter(study=study, purpose=Post.Purpose.LABELING).order_by("pk")
    for post, ratings in zip(posts, rated, strict=False):
        if ratings is not None:
            codes = tuple(CHOSEN if rating is not None else 0 for rating in ratings)
            Annotation.objects.create(enrollment=person, post=post, ratings=ratings, codes=codes)
    return person


def make_report(study, *, disputed=(), planning=None, **measures):
    """A stored agreement report with what the pages of posts, raters and plans read of it."""
    measures = {
        "schema": 1,
        "n_simulated": 0,
        "n_raters": 4,
        "n_posts": 3,
        "scale": [0, 6],
        "values": [{"key": key, "name": key.title(), "label": key.title(), "group": ""} for key in THREE],
        "by_value": [{"value": key, "mean": 1.25} for key in THREE],
        "disputed": list(disputed),
        "planning": planning or make_plan(),
    } | measures
    return Report.objects.create(
        study=study,
        kind=Report.Kind.AGREEMENT,
        rule=DEFAULT.as_dict(),
        rule_key=DEFAULT_KEY,
        measures=measures,
        data_hash="0" * 64,
        code_version="1",
    )


def dispute(post, *, difference=1.0, rho=0.5, ratings=(0, 0, 6)):
    """An entry of a report's disputed posts."""
    return {
        "post": post.pk,
        "key": post.key,
        "n_raters": len(ratings),
        "rho": rho,
        "difference": difference,
        "by_value": [{"value": "care", "mean": 2.0, "sd": 3.46, "ratings": list(ratings)}],
    }


def make_plan(**fields):
    """A report's plan: rho .1 times the raters per post, half widths .3 and .5 over their number, 100 posts."""
    rows = [
        {
            "raters_per_post": k,
            "posts": posts,
            "raters": 1,
            "cost": None,
            "rho": k / 25,
            "half_width_median": 0.3 / k * (100 / posts) ** 0.5,
            "half_width_worst": 0.5 / k * (100 / posts) ** 0.5,
            "worst_value": "play",
        }
        for k in range(2, 21)
        for posts in (50, 100, 200)
    ]
    return {
        "reason": "",
        "posts_per_rater": 20,
        "reward": 900,
        "currency": "GBP",
        "fee": 1 / 3,
        "n_posts": 100,
        "raters_now": 4,
        "curve": [{"size": g, "rho": 0.1, "low": 0.0, "high": 0.2, "observed": g <= 3} for g in range(1, 20)],
        "rows": rows,
    } | fields


def draw(report, *keys):
    """Figures of a report, stored without a picture."""
    for position, key in enumerate(keys):
        table = {"columns": [{"key": "a", "label": "Column", "kind": "count"}], "rows": [[1]]}
        ReportFigure.objects.create(
            report=report,
            key=key,
            position=position,
            title=f"Figure {key}",
            caption="What it shows.",
            spec={},
            table=table,
            svg="<svg/>",
            pdf=b"",
            png=b"",
        )
