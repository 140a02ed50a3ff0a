"""Stored reports as a worker leaves them, with numbers that are easy to find again on a page."""

from copy import deepcopy
from datetime import timedelta

from django.utils import timezone

from annotation.models import Study
from modeling.inclusion import DEFAULT, describe
from modeling.models import FitRun, Report, ReportFigure
from modeling.reporting.requests import key_of

VALUES = (("caring", "Caring", "Others"), ("order", "Order", "Others"), ("fame", "Fame", "Self"))
AGREEMENT_FIGURES = (
    "alpha_by_value",
    "reliability_coefficients",
    "consensus_by_size",
    "rating_distribution",
    "raters_per_post",
    "value_projection",
    "circumplex",
    "value_correlations",
    "disputed_posts",
    "planning_consensus",
    "planning_precision",
)
EVALUATION_FIGURES = (
    "agreement_by_condition",
    "improvement",
    "crowd_error_by_value",
    "correlation_by_value",
    "gain_distribution",
    "gain_by_group",
    "gain_regression",
    "adjustment_by_value",
    "variable_importance",
    "controls",
    "values_known",
    "rater_differences",
    "cold_start",
    "values_new",
    "learning_answers",
    "learning_answers_error",
    "learning_raters",
    "learning_raters_error",
    "interval_coverage",
)


def measure(rho, **changes):
    ends = [None, None] if rho is None else [rho - 0.05, rho + 0.05]
    return {
        "rho": rho,
        "interval": ends,
        "posts": 16,
        "posts_undefined": 2,
        "undefined": 33,
        "compared": 444,
    } | changes


def coefficient(estimate, name="estimate", reason=""):
    ends = [None, None] if estimate is None else [estimate - 0.02, estimate + 0.02]
    return {name: estimate, "interval": ends, "posts": 16, "reason": reason}


def rated_value(key, estimate, reason=""):
    reliability = coefficient(estimate, "alpha", reason) | {"ratings": 80, "left_out": 3}
    return {
        "value": key,
        "n_ratings": 80,
        "mean": 1.25,
        "sd": 1.5,
        "share_zero": 0.58,
        "shares": [0.58, 0.42],
        **dict.fromkeys(("ordinal", "interval", "nominal"), reliability),
        **{
            name: coefficient(estimate, reason=reason)
            for name in ("percent_agreement", "fleiss_kappa", "gwet_ac2", "icc_1")
        },
        "icc_k": coefficient(estimate, reason=reason) | {"k": 5.0},
        "human_crowd": 0.987,
        "human_crowd_se": 0.065,
        "human_crowd_posts": 16,
    }


def term(name, kind, estimate, p_holm):
    return {
        "name": name,
        "kind": kind,
        "estimate": estimate,
        "se": 0.01,
        "low": estimate - 0.02,
        "high": estimate + 0.02,
        "p": p_holm,
        "p_holm": p_holm,
    }


def describe_data(**changes):
    return {
        "schema": 1,
        "study": "study",
        "study_name": "A study",
        "inclusion": describe(),
        "n_excluded": 0,
        "n_raters": 10,
        "n_posts": 16,
        "n_annotations": 80,
        "n_ratings": 240,
        "n_values": 3,
        "n_simulated": 0,
        "scale": [0, 6],
        "values": [{"key": key, "name": name, "label": name, "group": group} for key, name, group in VALUES],
        "human_human": measure(0.111),
        "human_human_over_raters": {
            "interval": [0.0515, 0.1705],
            "raters": 10,
            "left_out": 0,
            "resamples": 1000,
        },
        "human_consensus": measure(0.222),
        "human_consensus_by_size": [{"size": 2} | measure(0.155)],
        "notes": ["Intervals are bootstraps over posts."],
        "seed": 7,
        "n_resamples": 1000,
        "ci_level": 0.95,
        "data_hash": "f" * 64,
        "code_version": "0.1.0",
        "seconds": 1.5,
    } | changes


def describe_agreement(**changes):
    """Measures of three values, of which the last has no coefficient."""
    nothing = "every rating is 0, so nothing can be disagreed about"
    projection = [
        {
            "value": key,
            "reason": "",
            "n_ratings": 80,
            "n_raters": 10,
            "r_squared": 0.1,
            "terms": [term("(intercept)", "intercept", 1.0, 0.9), term("own score", "own_value", 0.3, p)],
        }
        for (key, _, _), p in zip(VALUES, (0.01, 0.8, 0.03), strict=True)
    ]
    return describe_data(
        raters_per_post={"min": 3, "median": 5.0, "max": 7, "mean": 5.0, "histogram": []},
        posts_per_rater={"min": 8, "median": 8.0, "max": 8},
        by_value=[
            rated_value("caring", 0.456),
            rated_value("order", 0.123),
            rated_value("fame", None, nothing),
        ],
        alpha_range={
            "lowest": {"value": "order", "alpha": 0.123},
            "highest": {"value": "caring", "alpha": 0.456},
            "median": 0.2895,
        },
        circumplex={
            "reason": "",
            "n_values": 3,
            "stress": 0.187,
            "congruence": 0.913,
            "order_correlation": 0.861,
            "order_p": 0.0004,
            "points": [],
            "correlations": [],
            "same_direction": 0.41,
            "opposite_direction": 0.12,
            "median_angle": 52.3,
            "n_compared": 2890,
            "n_no_direction": 710,
        },
        projection={
            "source": "the values questionnaire",
            "reason": "",
            "covariates": ["own score", "age", "party"],
            "by_value": projection,
        },
        screening=[],
        disputed=[{"post": 1, "key": "p1", "n_raters": 5, "rho": 0.03, "difference": 1.954, "by_value": []}],
        planning={
            "reason": "",
            "posts_per_rater": 8,
            "reward": 600,
            "currency": "GBP",
            "fee": 0.33,
            "n_posts": 16,
            "raters_now": 5.0,
            "curve": [{"size": 20, "rho": 0.397, "low": 0.3, "high": 0.5, "observed": False}],
            "rows": [],
        },
    ) | deepcopy(changes)


def describe_evaluation(**changes):
    """Measures of one consensus model and the personalized one."""
    error = {"mae": {"mae": 1.0, "interval": [0.9, 1.1]}}
    return describe_data(
        models={"text": measure(0.3) | error},
        personalized=measure(0.4) | error,
        differences=[
            {"of": "personalized", "from": "text", "rho": 0.1, "interval": [-0.01, 0.2], "posts": 4},
        ],
        holdout={
            "human_human": measure(0.2),
            "human_consensus": measure(0.25),
            "human_consensus_by_size": [],
            "n_posts": 4,
        },
        mae_by_value=[],
        mae_overall={
            "human_crowd": 0.951,
            "human_crowd_se": 0.031,
            "model_crowd": 0.781,
            "model_crowd_se": 0.016,
        },
        correlation_by_value=[],
        importance={"reason": "", "features": [], "rows": []},
        adjustment={"by_value": [], "rank_correlation_with_human_crowd": 0.74},
        gain={
            "reason": "",
            "n_raters": 177,
            "n_raters_left_out": 3,
            "mean": 0.038,
            "interval": [0.024, 0.052],
            "share_better": 0.63,
            "histogram": [],
            "by_group": [
                {
                    "question": "g",
                    "label": "Gender",
                    "answer": "Woman",
                    "n": 9,
                    "mean": 0.1,
                    "interval": [0, 1],
                }
            ],
            "n_answers_in_small_groups": 2,
            "regression": {"reason": "", "terms": [], "n_raters": 177, "r_squared": 0.04},
        },
        best={"name": "personalized", "rho": 0.4, "interval": [0.35, 0.45]},
    ) | deepcopy(changes)


def store_agreement(study: Study, rule=DEFAULT, *, minutes=20, **changes) -> Report:
    measures = describe_agreement(**changes)
    return _store(Report.Kind.AGREEMENT, study, rule, measures, AGREEMENT_FIGURES, minutes)


def store_evaluation(study: Study, rule=DEFAULT, *, minutes=20, **changes) -> Report:
    fit_run = FitRun.objects.create(
        study=study,
        key=f"fit-{FitRun.objects.count()}",
        settings={},
        data_hash="e" * 64,
        code_version="0.1.0",
        consensus_name="text",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=10,
        n_annotations=80,
        has_simulated=False,
        artefact="",
        artefact_sha256="",
    )
    measures = describe_evaluation(**changes)
    return _store(Report.Kind.EVALUATION, study, rule, measures, EVALUATION_FIGURES, minutes, fit_run)


def _store(kind, study, rule, measures, figures, minutes, fit_run=None):
    report = Report.objects.create(
        study=study,
        kind=kind,
        fit_run=fit_run,
        rule=rule.as_dict(),
        rule_key=key_of(rule),
        measures=measures,
        data_hash=f"{len(figures):064x}"[::-1],
        code_version="0.1.0+test",
        created_at=timezone.now() - timedelta(minutes=minutes),
    )
    ReportFigure.objects.bulk_create(
        ReportFigure(
            report=report,
            key=key,
            position=position,
            title=f"Title of {key}",
            caption=f"Caption of {key}.",
            spec={"mark": "bar"},
            table={
                "columns": [
                    {"key": "value", "label": "Value", "kind": "text"},
                    {"key": "n", "label": "Posts", "kind": "count"},
                ],
                "rows": [["Caring", 16]],
            },
            svg="<svg xmlns='http://www.w3.org/2000/svg'/>",
            pdf=b"%PDF",
            png=b"\x89PNG",
        )
        for position, key in enumerate(figures)
    )
    return report
