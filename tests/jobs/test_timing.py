import pytest
from django.core.exceptions import ImproperlyConfigured

from jobs.timing import seconds


def test_a_setting_outweighs_the_environment_and_both_the_default(settings, monkeypatch):
    assert seconds("JOBS_LEASE_SECONDS") == 60
    monkeypatch.setenv("JOBS_LEASE_SECONDS", "7")
    assert seconds("JOBS_LEASE_SECONDS") == 7
    settings.JOBS_LEASE_SECONDS = 3
    assert seconds("JOBS_LEASE_SECONDS") == 3


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_a_value_that_is_no_duration_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv("JOBS_LEASE_SECONDS", value)
    with pytest.raises(ImproperlyConfigured, match=f"JOBS_LEASE_SECONDS .* '{value}'"):
        seconds("JOBS_LEASE_SECONDS")
