"""Measures of verification rules, from arrays alone."""

import math

import numpy as np
import pytest

from modeling.reports.figures.verification import draw_verification_figures
from modeling.reports.verification import RuleFacts, VerificationData, describe_verification, wilson
from modeling.reports.verification_tables import tabulate_verification

NAN = float("nan")


def make_data(**fields):
    """Six flagged posts of two values and two rules; the first four are decided, two of them corrected."""
    concerned = np.zeros((2, 6, 2), dtype=bool)
    concerned[0, :, 0] = True
    concerned[1, 4:, 1] = True
    model = np.tile([4.0, 0.0], (6, 1))
    verified = np.full((6, 2), NAN)
    verified[:4] = [[0, 0], [0, 0], [4, 0], [4, 4]]
    given = {
        "values": (("power", "Power"), ("care", "Caring")),
        "rules": (
            RuleFacts("a", "First", "w", 6, 0),
            RuleFacts("b", "Second", "w", 2, 1, (("when", "words", 1),)),
        ),
        "n_posts": 100,
        "n_unread": 0,
        "n_test": 0,
        "threshold": 2,
        "flagged_ids": np.arange(1, 7),
        "concerned": concerned,
        "model": model,
        "verified": verified,
        "n_experts": np.array([1, 2, 1, 1, 0, 0]),
        "n_unsure": np.array([0, 0, 0, 0, 1, 0]),
        "n_disputed": np.zeros(6, dtype=int),
        "reference_ids": np.empty(0, dtype=int),
        "truth": np.empty((0, 2)),
        "said": np.empty((0, 2)),
        "has_reference": False,
    }
    return VerificationData(**given | fields)


def describe(**fields):
    return describe_verification(make_data(**fields), seed=1, n_resamples=200)


def test_precision_is_over_decided_posts_and_the_values_that_the_rule_flags():
    first, second = describe()["rules"]
    assert (first["n_decided"], first["n_corrected"], first["n_elsewhere"]) == (4, 2, 1)
    assert (first["precision"], first["n_unsure"], first["load"], first["n_only"]) == (0.5, 1, 60, 4)
    assert (second["n_decided"], second["precision"]) == (0, None)


def test_all_is_ready_for_json_and_no_number_is_not_a_number():
    def walk(each):
        if isinstance(each, dict):
            return all(walk(value) for value in each.values())
        if isinstance(each, list):
            return all(walk(value) for value in each)
        return not (isinstance(each, float) and math.isnan(each)) and type(each) in (
            str,
            int,
            float,
            bool,
            type(None),
        )

    assert walk(describe())
    assert walk(describe(n_posts=0))


def test_the_order_of_posts_does_not_matter():
    data = make_data()
    turned = np.array([3, 5, 0, 1, 4, 2])
    names = ("flagged_ids", "model", "verified", "n_experts", "n_unsure", "n_disputed")
    other = describe(
        **{name: getattr(data, name)[turned] for name in names}, concerned=data.concerned[:, turned]
    )
    assert other == describe()


def test_decisions_that_mend_raise_f1_by_the_right_amount():
    ids = np.arange(1, 21)
    truth = np.zeros((20, 2))
    truth[10:, 0], truth[::2, 1] = 4, 4
    said = truth.copy()
    said[:6, 0] = 4  # of six posts the model says power where experts do not
    verified = np.full((6, 2), NAN)
    verified[:3] = truth[:3]
    found = describe(
        has_reference=True,
        reference_ids=ids,
        truth=truth,
        said=said,
        model=said[:6],
        verified=verified,
        n_experts=np.array([1, 1, 1, 0, 0, 0]),
    )["effect"]
    assert found["before"] == pytest.approx((2 * 10 / 26 + 1) / 2)
    assert found["after"] == pytest.approx((2 * 10 / 23 + 1) / 2)
    assert found["difference"] == pytest.approx(found["after"] - found["before"])
    assert (found["n_changed"], found["n_better"]) == (3, 3)


@pytest.mark.parametrize(
    ("n_yes", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)]
)
def test_wilsons_interval_has_its_known_ends(n_yes, n, low, high):
    # 81 of 263: Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
    assert wilson(n_yes, n) == pytest.approx((low, high), abs=5e-5)


def test_below_five_posts_a_share_has_no_interval():
    assert all(math.isnan(end) for end in wilson(2, 4))
    with pytest.raises(ValueError, match="no share"):
        wilson(5, 4)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="verified has shape"):
        describe(verified=np.zeros((5, 2)))


def add_names(measures):
    return measures | {
        "rule_set": "checks, version 1",
        "run": 3,
        "annotator": "reader",
        "is_standin": True,
        "n_standin": 1,
        "models": ["reader"],
    }


def test_tables_and_figures_say_what_they_rest_on():
    measures = add_names(describe())
    tables = tabulate_verification(measures)
    assert list(tables) == ["verification_rules", "verification_unknown", "verification_values"]
    for table in tables.values():
        assert "checks, version 1, held against 100 posts" in table.caption
        assert "expressed from 2 on" in table.caption
        assert "Stand-in" in table.caption
    (figure,) = draw_verification_figures(measures)
    assert figure.key == "verification_rules"
    assert "Stand-in: not from a real model" in figure.spec["title"]["subtitle"]
