"""What the tests of modeling share."""

import pytest

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4"/></svg>'


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Reports are computed in full, but their figures are made only where a test asks for `drawn`: it takes seconds."""
    uses_database = request.node.get_closest_marker("django_db") or "db" in request.fixturenames
    if "drawn" in request.fixturenames or not uses_database:
        return
    from modeling import handlers
    from modeling.reports.figures.figure import Figure
    from modeling.reports.figures.render import Drawn

    table = {"columns": [{"key": "n", "label": "N", "kind": "count"}], "rows": [[1]]}
    figures = [Figure(key, key, "Undrawn.", {}, table) for key in ("consensus_by_size", "disputed_posts")]
    for kind in ("agreement", "evaluation"):
        monkeypatch.setattr(handlers, f"draw_{kind}_figures", lambda measures: figures)
    monkeypatch.setattr(handlers, "render", lambda spec: Drawn(SVG, b"%PDF-", b"\x89PNG"))


@pytest.fixture
def drawn():
    """Make and draw the figures of reports, as a worker does."""
