"""What the walks assert is explained as in a test."""

import pytest

pytest.register_assert_rewrite("tests.journeys.book", "tests.journeys.visits", "tests.journeys.walker")
