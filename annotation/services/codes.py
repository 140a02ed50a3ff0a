"""Completion codes that nobody has to think of."""

import secrets

from django.db import transaction

from annotation.launch import list_outcomes, list_path
from annotation.models import CompletionCode, Study

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without those that are taken for one another
LENGTH = 8


@transaction.atomic
def fill_codes(study: Study) -> list[CompletionCode]:
    """Give every way out that someone in this study can take, and that has no code yet, a random one; returns those."""
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    there = dict(study.completion_codes.values_list("outcome", "code"))
    made = []
    for outcome in list_outcomes(study, list_path(study)):
        if outcome in there:
            continue
        code = _draw({code.casefold() for code in there.values()})
        there[outcome] = code
        made.append(study.completion_codes.create(outcome=outcome, code=code))
    return made


def _draw(taken: set[str]) -> str:
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        if code.casefold() not in taken:
            return code
