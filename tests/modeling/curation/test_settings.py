"""What a curation keeps: stored as it was, and refused with every fault."""

from decimal import Decimal

import pytest

from modeling.curation.settings import CurationSettings


def test_settings_come_back_as_they_were_stored():
    settings = CurationSettings(
        languages=("de", "en"),
        keeps_unknown=True,
        most_nsfw=1,
        quotas={"55 and over": 17},
        budgets={"screening": Decimal("12.50")},
        mode="batch",
    )
    assert CurationSettings.from_dict(settings.to_dict()) == settings


def test_the_limits_are_those_of_the_published_study_unless_told_otherwise():
    settings = CurationSettings.from_dict({})
    assert (settings.languages, settings.least_comprehensibility, settings.least_screening) == (("en",), 3, 4)
    assert settings.most_nsfw == 0


def test_every_fault_is_named_at_once():
    with pytest.raises(ValueError, match="English") as refusal:
        CurationSettings(
            languages=("English",),
            least_comprehensibility=4,
            most_nsfw=float("nan"),
            quotas={"young": 0},
            budgets={"reading": Decimal(1), "nsfw": Decimal(-1)},
            concurrency=0,
            mode="letters",
        )
    for word in (
        "comprehensibility must",
        "unsafe content",
        "'young'",
        "'reading'",
        "'nsfw'",
        "at once",
        "letters",
    ):
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("stored", "word"),
    [({"colour": 1}, "colour"), ({"budgets": {"nsfw": "ten"}}, "ten")],
    ids=["name", "budget"],
)
def test_stored_settings_that_cannot_be_read_are_refused(stored, word):
    with pytest.raises(ValueError, match=word):
        CurationSettings.from_dict(stored)
