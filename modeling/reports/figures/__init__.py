"""PURE. The figures of a report: what is drawn for a page, and its drawings for a paper."""

from .drawing import draw_agreement_figures, draw_comparison_figures, draw_evaluation_figures

__all__ = ["draw_agreement_figures", "draw_comparison_figures", "draw_evaluation_figures"]
