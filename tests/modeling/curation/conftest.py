"""What the tests of curations share."""

import pytest

from tests.modeling.annotators.ground import KEY_VARIABLE, ask_standin


@pytest.fixture(autouse=True)
def quick(monkeypatch, settings):
    """Pauses of milliseconds."""
    settings.ANNOTATOR_BACKOFF_SECONDS = 0.005
    monkeypatch.setenv(KEY_VARIABLE, "key-of-the-stand-in")


@pytest.fixture
def standin():
    with ask_standin() as server:
        yield server
