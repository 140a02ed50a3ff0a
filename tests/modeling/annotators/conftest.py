"""What the tests of annotator models share."""

import pytest

from tests.modeling.annotators.ground import KEY_VARIABLE, ask_standin


@pytest.fixture(autouse=True)
def quick(monkeypatch, settings):
    """Pauses of milliseconds, and a key for the stand-in."""
    settings.ANNOTATOR_BACKOFF_SECONDS = 0.01
    settings.ANNOTATOR_BATCH_POLL_SECONDS = 0.02
    monkeypatch.setenv(KEY_VARIABLE, "key-of-the-stand-in")


@pytest.fixture
def standin():
    with ask_standin() as server:
        yield server
