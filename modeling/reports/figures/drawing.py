"""PURE. Every figure of a report, in the order of its pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modeling.reports.agreement_tables import tabulate_agreement_report
from modeling.reports.comparison_tables import tabulate_comparison
from modeling.reports.evaluation_tables import tabulate_evaluation_report
from modeling.reports.tables import Measures, Table, has_numbers

from . import comparison, gains, meaning, models, personal, planning, reliability
from .figure import Figure

Draw = Callable[[Table, Measures], Figure]

AGREEMENT: Mapping[str, Draw] = {
    "alpha_by_value": reliability.draw_alpha,
    "reliability_coefficients": reliability.draw_coefficients,
    "consensus_by_size": reliability.draw_consensus,
    "rating_distribution": reliability.draw_ratings,
    "raters_per_post": reliability.draw_raters_per_post,
    "circumplex": meaning.draw_circumplex,
    "value_correlations": meaning.draw_correlations,
    "value_projection": meaning.draw_projection,
    "disputed_posts": meaning.draw_disputed,
    "planning_consensus": planning.draw_expected_consensus,
    "planning_precision": planning.draw_precision,
    "screening_effect": meaning.draw_screening,
}
EVALUATION: Mapping[str, Draw] = {
    "agreement_by_condition": models.draw_conditions,
    "improvement": models.draw_improvement,
    "crowd_error_by_value": models.draw_crowd_errors,
    "correlation_by_value": models.draw_correlations,
    "variable_importance": models.draw_importance,
    "adjustment_by_value": models.draw_adjustment,
    "gain_by_group": gains.draw_gain_by_group,
    "gain_distribution": gains.draw_gains,
    "gain_regression": gains.draw_gain_regression,
    "controls": personal.draw_controls,
    "values_known": personal.draw_values_known,
    "rater_differences": personal.draw_rater_differences,
    "cold_start": personal.draw_cold_start,
    "values_new": personal.draw_values_new,
    "learning_answers": personal.draw_learning,
    "learning_answers_error": personal.draw_learning_error,
    "learning_raters": personal.draw_learning,
    "learning_raters_error": personal.draw_learning_error,
    "interval_coverage": personal.draw_coverage,
}
COMPARISON: Mapping[str, Draw] = {
    "comparison_agreement": comparison.draw_agreement,
    "comparison_differences": comparison.draw_differences,
    "comparison_error": comparison.draw_errors,
    "comparison_correlation": comparison.draw_correlations,
    "comparison_work": comparison.draw_work,
}
# The one column that a figure draws of a table which has more: without any number in it there is no figure.
DRAWN_COLUMN: Mapping[str, int] = {
    "controls": 2,
    "cold_start": 2,
    "rater_differences": 2,
    "learning_answers": 1,
    "learning_answers_error": 3,
    "learning_raters": 1,
    "learning_raters_error": 3,
    "comparison_differences": 1,
}
SECOND = "_error"  # ends the key of a figure that draws the other measure of a table


def draw_agreement_figures(measures: Measures) -> list[Figure]:
    """Return the figures of an agreement report; one without any number is left out."""
    tables = tabulate_agreement_report(measures)
    return [draw(tables[key], measures) for key, draw in AGREEMENT.items() if key in tables]


def draw_evaluation_figures(measures: Measures) -> list[Figure]:
    """Return the figures of an evaluation report; one without any number is left out."""
    tables = tabulate_evaluation_report(measures)
    drawn = []
    for key, draw in EVALUATION.items():
        table = tables.get(key.removesuffix(SECOND))
        if table and (key not in DRAWN_COLUMN or has_numbers(table.rows, DRAWN_COLUMN[key])):
            drawn.append(draw(table, measures))
    return drawn


def draw_comparison_figures(measures: Measures) -> list[Figure]:
    """Return the figures of a comparison of annotator models; one without any number is left out."""
    tables = tabulate_comparison(measures)
    drawn = []
    for key, draw in COMPARISON.items():
        table = tables.get(key)
        if table is None or (key in DRAWN_COLUMN and not has_numbers(table.rows, DRAWN_COLUMN[key])):
            continue
        if key == "comparison_work" and not comparison.has_costs(table):
            continue
        drawn.append(draw(table, measures))
    return drawn
