"""What the tests of modeling share."""

import pytest

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4"/></svg>'


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Reports are computed and described in full, but drawn only where a test asks for `drawn`: it takes seconds."""
    if "drawn" in request.fixturenames or "db" not in request.fixturenames:
        return
    from modeling import handlers
    from modeling.reports.figures.render import Drawn

    monkeypatch.setattr(handlers, "render", lambda spec: Drawn(SVG, b"%PDF-", b"\x89PNG"))


@pytest.fixture
def drawn():
    """Draw the figures of reports, as a worker does."""
