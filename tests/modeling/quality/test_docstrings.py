import doctest

from modeling import traces
from modeling.quality import indices


def test_examples_in_docstrings_give_what_they_show():
    for module in (indices, traces):
        outcome = doctest.testmod(module)
        assert outcome.attempted > 0
        assert outcome.failed == 0
