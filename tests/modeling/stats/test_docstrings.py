import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "agreement",
        "categorical",
        "categories",
        "circumplex",
        "classification",
        "congruence",
        "consensus",
        "crowd_error",
        "internal_consistency",
        "intraclass",
        "krippendorff",
        "misattribution",
        "multilabel",
        "multilabel_comparison",
        "over_posts",
        "over_raters",
        "overconfidence",
        "perception",
        "planning",
        "presences",
        "ratings",
        "regression",
        "resampling",
        "spearman",
        "stability",
        "uncertainty",
    ],
)
def test_examples_in_docstrings_give_what_they_show(module):
    outcome = doctest.testmod(import_module(f"modeling.stats.{module}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0
