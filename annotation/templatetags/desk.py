"""What the admin's own pages show besides Django's: its lists by what one does, and the studies one works on."""

from typing import Any

from django import template
from django.db.models import Count, Q, QuerySet

from annotation.models import Enrollment, Outcome, Rater, Study
from annotation.permissions import filter_studies

register = template.Library()

GROUPS: dict[str, dict[str, str]] = {
    "Studies": {
        "annotation.Study": "Studies",
        "annotation.Post": "Posts",
        "annotation.PostUpload": "Files of posts",
        "annotation.StudyAccess": "Who has access",
    },
    "People and answers": {
        "annotation.Enrollment": "People in studies",
        "annotation.Rater": "Raters",
        "annotation.Annotation": "Annotations",
        "calibration.CalibrationAnswer": "Calibration answers",
        "calibration.QuestionnaireResponse": "Questionnaire answers",
        "annotation.Attempt": "Practice and checks",
        "annotation.GateDecision": "Gates passed and failed",
        "annotation.Assignment": "Posts given to people",
        "annotation.Draft": "Unsent answers",
        "annotation.PageVisit": "Pages seen",
        "modeling.QualityFlag": "Quality flags",
        "annotation.Exclusion": "Exclusions",
        "annotation.Withdrawal": "Withdrawals",
    },
    "Value systems and questionnaires": {
        "annotation.ValueSystem": "Value systems",
        "annotation.ValueNode": "Values and groups",
        "calibration.Questionnaire": "Questionnaires",
        "calibration.CalibrationQuestion": "Calibration questions",
    },
    "Figures and data": {
        "modeling.Report": "Reports",
        "modeling.FitRun": "Fits",
        "modeling.PostScore": "Scores of posts",
        "modeling.DataExport": "Exports",
        "modeling.PromptVersion": "Prompts of models",
    },
    "Jobs and log": {
        "annotation.StudyEvent": "Log of studies",
        "annotation.StudyVersion": "Frozen versions",
        "jobs.Job": "Jobs",
        "jobs.Heartbeat": "Heartbeats",
    },
}
REST = "Accounts and the rest"
RECENT = 5


@register.simple_tag
def group_lists(app_list: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the lists that an account may open, by what one does with them; unknown ones come last."""
    lists = {
        f"{app['app_label']}.{entry['object_name']}": entry for app in app_list for entry in app["models"]
    }
    groups = [
        (name, [lists.pop(key) | {"name": label} for key, label in entries.items() if key in lists])
        for name, entries in GROUPS.items()
    ]
    return [(name, entries) for name, entries in [*groups, (REST, list(lists.values()))] if entries]


@register.simple_tag
def list_recent_studies(user: Any) -> QuerySet[Study]:
    """Return the newest studies of an account, each with how many people completed it."""
    people = ~Q(enrollments__phase=Enrollment.Phase.REHEARSAL) & Q(
        enrollments__rater__origin=Rater.Origin.PROLIFIC
    )
    return (
        filter_studies(user)
        .annotate(
            n_completed=Count("enrollments", filter=people & Q(enrollments__outcome=Outcome.COMPLETED)),
        )
        .order_by("-created_at", "-pk")[:RECENT]
    )
