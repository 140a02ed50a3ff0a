"""Invented feeds: seeded, diverse, and with all that a curation has to deal with."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from modeling.simulation.feeds import SOURCES, FeedWriter, load_phrases


@pytest.fixture(scope="module")
def rows():
    return list(FeedWriter(30, np.random.default_rng(3)).write(3_000))


def test_the_same_seed_writes_the_same_feeds(rows):
    again = list(FeedWriter(30, np.random.default_rng(3)).write(3_000))
    other = list(FeedWriter(30, np.random.default_rng(4)).write(3_000))
    assert again == rows
    assert other != rows


def test_two_posts_have_the_same_text_only_where_that_was_meant(rows):
    of_text = defaultdict(set)
    for row in rows:
        if row.cells["text"]:
            of_text[row.cells["text"].casefold()].add(row.truth.get("same_text_as", row.cells["key"]))
    assert all(len(keys) == 1 for keys in of_text.values())
    assert any("same_text_as" in row.truth for row in rows)


def test_a_post_that_stands_in_several_feeds_is_the_same_everywhere(rows):
    seen = {}
    for row in rows:
        post = {name: row.cells[name] for name in row.cells if name not in ("owner", "group", "source")}
        assert seen.setdefault(row.cells["key"], post) == post
    assert len(seen) < len(rows)


def test_everything_that_a_curation_drops_is_there(rows):
    kinds = Counter(row.truth["kind"] for row in rows)
    assert set(kinds) == {"value", "neutral", "foreign", "empty", "spam", "fragment", "unsafe"}
    assert {row.cells["visibility"] for row in rows} == {"public", "private", "deleted"}
    parentless = [row for row in rows if row.cells["context_kind"] and not row.cells["context_text"]]
    assert 0.01 < len(parentless) / len(rows) < 0.1


def test_values_are_expressed_at_different_rates_and_mixed_otherwise_in_the_two_sources(rows):
    found = {source: Counter() for source in SOURCES}
    for row in rows:
        found[row.cells["source"]].update(row.truth["expresses"])
    both = found["following"] + found["for_you"]
    assert both["hedonism"] > 3 * both["humility"] > 0
    louder = load_phrases()["more_for_you"]
    share = {
        source: sum(counts[value] for value in louder) / counts.total() for source, counts in found.items()
    }
    assert share["for_you"] > share["following"] + 0.1
    assert {strength for row in rows for strength in row.truth["expresses"].values()} <= {3, 4, 5, 6}


def test_an_owner_has_one_group(rows):
    groups = defaultdict(set)
    for row in rows:
        groups[row.cells["owner"]].add(row.cells["group"])
    assert len(groups) == 30
    assert all(len(found) == 1 for found in groups.values())


@pytest.mark.parametrize(
    ("n_owners", "groups", "word"), [(0, None, "owner"), (3, {"a": 0.5}, "add up")], ids=["owners", "groups"]
)
def test_feeds_of_nobody_or_of_half_the_groups_are_refused(n_owners, groups, word):
    with pytest.raises(ValueError, match=word):
        FeedWriter(n_owners, np.random.default_rng(1), groups)
