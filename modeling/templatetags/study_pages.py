"""What every page of a study needs to know of it and of who looks at it."""

from typing import Any

from django import template

from annotation.models import Study
from annotation.permissions import list_deeds
from modeling import retention

register = template.Library()


@register.simple_tag(name="deeds")
def list_names_of_deeds(user: Any, study: Study) -> frozenset[str]:
    """The names of the deeds that this account may do in this study: one question for a whole page."""
    return frozenset(deed.name for deed in list_deeds(user, study))


@register.simple_tag
def retention_note(study: Study) -> str:
    """What is to be reminded of: '' most of the time."""
    note = retention.get_note(study)
    return retention.describe(note) if note else ""
