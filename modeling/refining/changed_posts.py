"""The posts that two runs read differently, beside what experts say. A web process may import it: no NumPy."""

from dataclasses import dataclass
from typing import Any

from annotation.models import Post
from modeling.models import ModelReading
from modeling.reports.calibration_tables import find_run
from modeling.reports.tables import Measures, name_values

MOST_SHOWN = 10  # of each kind: the page is for reading


@dataclass(frozen=True)
class ChangedPost:
    """One post: `rows` hold a value's name and whether experts, the first run and the second find it (None: open)."""

    post: Post | None
    key: str
    gain: int
    rows: tuple[tuple[str, bool | None, bool, bool], ...]
    first_why: str = ""
    second_why: str = ""


@dataclass(frozen=True)
class ChangedPosts:
    """The posts that the second run reads better, worse and otherwise; the numbers count those not shown, too."""

    better: tuple[ChangedPost, ...]
    worse: tuple[ChangedPost, ...]
    other: tuple[ChangedPost, ...]
    n_better: int
    n_worse: int
    n_other: int


def list_changed_posts(measures: Measures, first: int, second: int) -> ChangedPosts | None:
    """Return the development posts on which two runs of a calibration report differ, those with most at stake first.

    Better and worse are more and fewer values right, where experts have settled them. None where the report does not
    hold both runs.
    """
    runs = [find_run(measures, number) for number in (first, second)]
    if None in runs or "posts" not in measures:
        return None
    names = list(name_values(measures).values())
    lists: dict[str, list[tuple[int, int, dict[str, Any]]]] = {"better": [], "worse": [], "other": []}
    one, two = (run["presences"] for run in runs if run)
    for place, post in enumerate(measures["posts"]):
        if post["truth"] is None or one[place] is None or two[place] is None:
            continue
        before, after, truth = set(one[place]), set(two[place]), set(post["truth"])
        changed = before ^ after
        if not changed:
            continue
        gain = sum(
            (1 if (value in after) == (value in truth) else -1) for value in changed - set(post["open"])
        )
        kind = "better" if gain > 0 else "worse" if gain < 0 else "other"
        lists[kind].append((gain, place, post))
    shown = {
        kind: sorted(found, key=lambda each: -abs(each[0]))[:MOST_SHOWN] for kind, found in lists.items()
    }
    ids = [post["id"] for found in shown.values() for _, _, post in found]
    texts = {post.pk: post for post in Post.objects.filter(pk__in=ids).defer("metadata")}
    whys = {number: _read_whys(number, ids) for number in (first, second)}

    def build(gain: int, place: int, post: dict[str, Any]) -> ChangedPost:
        before, after, truth = set(one[place]), set(two[place]), set(post["truth"])
        rows = tuple(
            (names[value], None if value in post["open"] else value in truth, value in before, value in after)
            for value in sorted(before | after | truth)
        )
        pk = post["id"]
        return ChangedPost(
            texts.get(pk), post["key"], gain, rows, whys[first].get(pk, ""), whys[second].get(pk, "")
        )

    return ChangedPosts(
        **{kind: tuple(build(*each) for each in found) for kind, found in shown.items()},
        **{f"n_{kind}": len(found) for kind, found in lists.items()},
    )


def _read_whys(run: int, post_ids: list[int]) -> dict[int, str]:
    """Return the reason that a run gave for each post, of its first sample that has one."""
    rows = ModelReading.objects.filter(run=run, post__in=post_ids, fault="").order_by("-sample")
    return {pk: str(why) for pk, why in rows.values_list("post_id", "detail__why") if why}
