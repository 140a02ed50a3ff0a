"""Checking transfer in parts: sources told apart once, one encoder taught each source, all judged on the same posts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Post
from modeling.encoders.base import OnProgress
from modeling.encoders.files import fit_encoder
from modeling.encoders.settings import TRANSFORMER
from modeling.errors import NotEnoughData
from modeling.models import TransferCheck
from modeling.reports.transfer import SourcePosts, TransferData, describe_transfer

from .lessons import (
    AT_ONCE,
    Labeled,
    draw_kinds,
    list_kept_out,
    load_labeled,
    load_scratch,
    mark_kept_out,
    pack_texts,
    read_truth,
    save_scratch,
    unpack_texts,
)
from .services import NEEDS_TORCH, has_torch
from .settings import LANGUAGE, MOST_GROUPS, CheckSettings
from .training import MOST_JUDGED, check_scale, list_values

MOST_NAMED = 50  # sources with too few posts that a report names
UNTOLD = ""  # the source of a post that does not say


@dataclass(frozen=True)
class Finished:
    """A check that is done."""

    measures: dict[str, Any]
    data_hash: str
    scratch: list[str]


def begin(check: TransferCheck, report: OnProgress | None = None) -> dict[str, Any]:
    """Tell the sources apart, hold posts of each out, and store all that the parts need; no row is touched.

    Every source is taught by the same number of posts, so that no difference is one of numbers. A post whose text is
    among those held out of any source is taught to none. Raises NotEnoughData.
    """
    settings = CheckSettings.from_dict(check.settings)
    if settings.encoder.kind == TRANSFORMER and not has_torch():
        raise NotEnoughData(NEEDS_TORCH)
    labeled = load_labeled(check.soft_labels)
    check_scale(check, labeled)
    is_out = mark_kept_out(labeled, list_kept_out(check.study, None))
    sources, how = tell_sources(labeled, settings.by, report)
    sources[is_out] = UNTOLD
    names, left_out, more = _choose_sources(sources, settings, int(is_out.sum()))
    rng = np.random.default_rng(settings.encoder.seed)
    is_judged = np.zeros(len(sources), dtype=np.bool_)
    for name in names:
        own = np.flatnonzero(sources == name)
        share = min(settings.test_share, MOST_JUDGED / len(own))
        is_judged[own[draw_kinds(labeled.kinds[own], share, rng)]] = True
    is_free = ~is_judged & ~np.isin(labeled.kinds, labeled.kinds[is_judged])
    free = {name: np.flatnonzero(is_free & (sources == name)) for name in names}
    n_taught = min(len(places) for places in free.values())
    if n_taught < 2:
        raise NotEnoughData(
            "After posts are held out, a source has fewer than two posts to teach by whose texts are no other "
            "source's; choose sources with more posts."
        )
    taught = np.concatenate([np.sort(rng.permutation(free[name])[:n_taught]) for name in names])
    judged = np.concatenate([np.flatnonzero(is_judged & (sources == name)) for name in names])
    order = {name: number for number, name in enumerate(names)}
    notes = [
        *labeled.notes,
        f"Sources are told apart {how}.",
        f"Each source is taught by {n_taught:,} posts, the number that the smallest has, drawn at random; it is judged "
        "on posts held out, by the means of their own soft labels.",
        *more,
    ]
    if is_out.any():
        notes.append(
            f"{int(is_out.sum()):,} posts are test posts of experts, or have their text, and are left out."
        )
    place = save_scratch(
        check.study,
        "sources",
        **pack_texts([labeled.texts[row] for row in taught]),
        **pack_texts([labeled.texts[row] for row in judged], "judged"),
        targets=labeled.targets[taught],
        source=np.array([order[sources[row]] for row in taught], dtype=np.int64),
        judged_targets=labeled.targets[judged],
        judged_source=np.array([order[sources[row]] for row in judged], dtype=np.int64),
        points=labeled.points,
        data_hash=np.array(labeled.data_hash),
    )
    return place | {
        "names": names,
        "counts": [int((sources == name).sum()) for name in names],
        "left_out": left_out[:MOST_NAMED],
        "notes": notes,
    }


def tell_sources(
    labeled: Labeled, by: str, report: OnProgress | None = None
) -> tuple[NDArray[np.object_], str]:
    """Return the source of each post, '' where it does not say, and how sources were told apart, in words."""
    found: dict[int, Any] = {}
    ids = labeled.post_ids.tolist()
    for start in range(0, len(ids), AT_ONCE):
        rows = Post.objects.filter(pk__in=ids[start : start + AT_ONCE]).values_list("pk", "metadata")
        for pk, metadata in rows:
            value = (metadata or {}).get(by)
            if isinstance(value, str | int | bool) and str(value).strip():
                found[pk] = str(value).strip()[:100]
    if found or by != LANGUAGE:
        sources = [found.get(pk, UNTOLD) for pk in ids]
        return np.array(sources, dtype=object), f"by the posts’ own “{by}”"
    import py3langid  # loads its model when it is first used

    for place, text in enumerate(labeled.texts):
        if report and place % 200 == 0:
            report(place, len(ids), "languages detected")
        found[ids[place]] = py3langid.classify(text)[0]
    return np.array([found[pk] for pk in ids], dtype=object), "by language, as detected from the text"


def _choose_sources(
    sources: NDArray[np.object_], settings: CheckSettings, n_out: int
) -> tuple[list[str], list[tuple[str, int]], list[str]]:
    """Return the sources compared, those with too few posts and their numbers, and what is to be said of it.

    `n_out` posts have no source because they are kept out.
    """
    counts = Counter(sources.tolist())
    n_untold = counts.pop(UNTOLD, 0) - n_out
    wanted = [settings.train_on, settings.test_on] if settings.train_on else list(counts)
    if unknown := [name for name in wanted if name not in counts]:
        known = ", ".join(name for name, _ in counts.most_common(10)) or "none"
        raise NotEnoughData(
            f"No post with soft labels has “{unknown[0]}” as its {settings.by}; there are: {known}."
        )
    enough = sorted(
        (name for name in wanted if counts[name] >= settings.fewest_posts),
        key=lambda name: (-counts[name], name),
    )
    few = sorted(
        ((name, counts[name]) for name in wanted if name not in enough), key=lambda row: (-row[1], row[0])
    )
    if len(enough) < 2:
        told = ", ".join(f"{name} {number:,}" for name, number in counts.most_common(10)) or "none"
        raise NotEnoughData(
            f"Two sources with at least {settings.fewest_posts:,} posts are needed, told apart by {settings.by}. "
            f"Posts with text and soft labels, by source: {told}."
        )
    notes = []
    if n_untold:
        notes.append(f"{n_untold:,} posts do not say which source they are of, and are left out.")
    if few:
        notes.append(
            f"Fewer than {settings.fewest_posts:,} posts, and left out: "
            + ", ".join(f"{name} ({number:,})" for name, number in few[:20])
            + (f" and {len(few) - 20:,} more." if len(few) > 20 else ".")
        )
    if len(enough) > MOST_GROUPS:
        notes.append(f"Of {len(enough):,} sources with enough posts, the {MOST_GROUPS} largest are compared.")
    chosen = enough[:MOST_GROUPS]
    if settings.train_on:
        chosen = [settings.train_on, settings.test_on]
    return chosen, few, notes


def do(
    check: TransferCheck, place: Mapping[str, Any], name: str, report: OnProgress | None = None
) -> dict[str, Any]:
    """Teach one source and read every post that is judged; returns where that lies. Raises ValueError."""
    settings = CheckSettings.from_dict(check.settings).encoder
    begun = load_scratch(place)
    own = np.flatnonzero(begun["source"] == place["names"].index(name))
    texts = unpack_texts(begun)
    encoder = fit_encoder(
        [texts[row] for row in own], begun["targets"][own], begun["points"], settings, report=report
    )
    left = {"said": encoder.predict(unpack_texts(begun, "judged"))}
    return {"part": name} | save_scratch(check.study, "taught", **left)


def finish(
    check: TransferCheck,
    place: Mapping[str, Any],
    done: Sequence[Mapping[str, Any]],
    report: OnProgress | None = None,
) -> Finished:
    """Measure every pair of sources; no row is touched."""
    settings = CheckSettings.from_dict(check.settings)
    begun = load_scratch(place)
    names: list[str] = place["names"]
    said = {each["part"]: load_scratch(each)["said"] for each in done}
    points = begun["points"].astype(np.float64)
    rows = {name: begun["judged_source"] == number for number, name in enumerate(names)}
    pairs = [(a, b) for b in names for a in names if a != b]
    if settings.train_on:
        pairs = [(settings.train_on, settings.test_on)]
    data = TransferData(
        values=list_values(check),
        points=points,
        threshold=settings.threshold,
        sources=[
            SourcePosts(name, n_posts, int((begun["source"] == number).sum()), int(rows[name].sum()))
            for number, (name, n_posts) in enumerate(zip(names, place["counts"], strict=True))
        ],
        truth={name: read_truth(begun["judged_targets"][rows[name]], points) for name in names},
        said={(a, b): said[a][rows[b]] for a in names for b in names},
        pairs=pairs,
        left_out=[(name, number) for name, number in place["left_out"]],
        notes=place["notes"],
        is_standin=check.is_standin,
        about={"by": settings.by},
    )
    measures = describe_transfer(data, seed=settings.encoder.seed, report=report)
    scratch = [place["name"], *(each["name"] for each in done)]
    return Finished(measures, str(begun["data_hash"]), scratch)
