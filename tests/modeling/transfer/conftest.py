import pytest

from modeling.reports.figures.render import Drawn
from modeling.transfer import handlers


@pytest.fixture(autouse=True)
def _without_drawings(monkeypatch):
    """Figures are specified, and not drawn: that takes longer than all the rest."""
    drawn = Drawn("<svg></svg>", b"%PDF", b"PNG")
    monkeypatch.setattr(handlers, "draw_all", lambda figures: [(figure, drawn) for figure in figures])
