import os
import subprocess
import sys

import pytest

from config.llm_providers import OPENAI_URL, Provider, ProviderError, read_providers


def test_an_empty_environment_has_no_provider():
    assert read_providers({}) == {}


def test_openai_is_known_by_its_key():
    provider = read_providers({"OPENAI_API_KEY": "sk-x"})["openai"]

    assert provider == Provider("openai", OPENAI_URL, "OPENAI_API_KEY")
    assert "sk-x" not in repr(provider)


def test_the_standin_is_known_by_its_address():
    provider = read_providers({"LLM_STANDIN_BASE_URL": "http://localhost:8090/v1"})["standin"]

    assert provider.is_standin


def test_a_list_names_who_may_be_asked_and_no_one_else():
    providers = read_providers(
        {
            "LLM_PROVIDERS": " openai, campus ,",
            "OPENAI_API_KEY": "sk-x",
            "LLM_STANDIN_BASE_URL": "http://localhost:8090/v1",
            "LLM_CAMPUS_BASE_URL": "https://llm.example.edu/v1/",
            "LLM_CAMPUS_REQUESTS_PER_MINUTE": "0",
            "LLM_CAMPUS_TOKENS_PER_MINUTE": "9000",
            "LLM_CAMPUS_DEADLINE_SECONDS": "120",
        }
    )

    assert list(providers) == ["openai", "campus"]
    assert providers["campus"] == Provider(
        "campus", "https://llm.example.edu/v1", "LLM_CAMPUS_API_KEY", 0, 9000, 120, False
    )


def test_openai_may_live_at_another_address_and_have_limits_of_its_own():
    provider = read_providers(
        {
            "OPENAI_API_KEY": "x",
            "OPENAI_BASE_URL": "https://eu.api.openai.com/v1",
            "LLM_OPENAI_REQUESTS_PER_MINUTE": "30",
        }
    )["openai"]

    assert (provider.base_url, provider.requests_per_minute) == ("https://eu.api.openai.com/v1", 30)


def test_a_key_is_read_when_it_is_used(monkeypatch):
    provider = Provider("campus", "http://a/v1", "LLM_CAMPUS_API_KEY")
    monkeypatch.delenv("LLM_CAMPUS_API_KEY", raising=False)
    assert provider.get_key() == ""

    monkeypatch.setenv("LLM_CAMPUS_API_KEY", "k")
    assert provider.get_key() == "k"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:11434",
        "ftp://a/v1",
        "http:///v1",
        "http://me:secret@a/v1",
        "http://@a/v1",
        "http://[::1/v1",
        "http://a:99999/v1",
        "http://a:x/v1",
        "http://a/v1?key=secret",
        "http://a/v1#x",
        "http://a b/v1",
        "http://ä/v1",
    ],
)
def test_an_address_that_cannot_be_asked_is_refused_without_being_repeated(url):
    with pytest.raises(ProviderError, match="LLM_CAMPUS_BASE_URL") as caught:
        read_providers({"LLM_PROVIDERS": "campus", "LLM_CAMPUS_BASE_URL": url})

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("names", ["Campus", "1st", "a-b", "a" * 31, "openai,openai", "ü"])
def test_a_name_that_makes_no_variable_is_refused(names):
    with pytest.raises(ProviderError, match="LLM_PROVIDERS"):
        read_providers({"LLM_PROVIDERS": names})


@pytest.mark.parametrize("number", ["-1", "1.5", "many", "²", "9" * 5000])
@pytest.mark.parametrize("what", ["REQUESTS_PER_MINUTE", "TOKENS_PER_MINUTE", "DEADLINE_SECONDS"])
def test_a_limit_that_is_no_number_is_refused(what, number):
    with pytest.raises(ProviderError, match=f"LLM_OPENAI_{what}"):
        read_providers({"OPENAI_API_KEY": "x", f"LLM_OPENAI_{what}": number})


def test_a_deadline_of_nought_is_refused():
    with pytest.raises(ProviderError, match="1 or more"):
        read_providers({"OPENAI_API_KEY": "x", "LLM_OPENAI_DEADLINE_SECONDS": "0"})


def test_a_wrong_setting_stops_the_start_with_a_sentence():
    environment = os.environ | {"LLM_PROVIDERS": "campus", "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    done = subprocess.run(
        [sys.executable, "manage.py", "diffsettings"], env=environment, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith("django.core.exceptions.ImproperlyConfigured: LLM_CAMPUS")
    )
