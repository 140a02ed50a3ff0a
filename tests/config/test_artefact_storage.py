"""Where artefacts lie is said by the environment alone, and a mistake in it is named without quoting a secret."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import artefact_storage
from config.artefact_storage import describe_storage

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(artefact_storage, "find_spec", lambda name: object())


def test_without_a_bucket_artefacts_lie_in_the_folder():
    described = describe_storage("", "/data/artefacts")
    assert described["BACKEND"] == "django.core.files.storage.FileSystemStorage"
    assert described["OPTIONS"] == {"location": "/data/artefacts"}


def test_a_url_says_bucket_prefix_and_server(installed):
    url = "s3://results/lab/one/?endpoint_url=http%3A%2F%2Fstore%3A9000&region_name=eu-west-1&addressing_style=path"
    assert describe_storage(url, "/data")["OPTIONS"] == {
        "bucket_name": "results",
        "location": "lab/one",
        "endpoint_url": "http://store:9000",
        "region_name": "eu-west-1",
        "addressing_style": "path",
    }
    assert describe_storage("s3://results", "/data")["OPTIONS"] == {"bucket_name": "results", "location": ""}


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://key:hidden@results", "AWS_ACCESS_KEY_ID"),
        ("s3:///lab", "must name a bucket"),
        ("s3://results?acl=hidden", "no option acl; there are endpoint_url"),
        ("s3://results?hidden", "name=value"),
        ("s3://results?endpoint_url=hidden", "begins with http:// or https://"),
        ("s3://results?endpoint_url=https://me:hidden@store", "without a key"),
        ("s3://results?addressing_style=hidden", "one of auto, path, virtual"),
    ],
)
def test_a_mistaken_url_is_refused_and_nothing_of_it_is_quoted(installed, url, words):
    with pytest.raises(ImproperlyConfigured, match=words) as refused:
        describe_storage(url, "/data")
    assert "ARTEFACTS_URL" in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_without_the_packages_the_start_says_what_to_install(monkeypatch):
    monkeypatch.setattr(artefact_storage, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"storages and boto3: .*-r requirements-s3\.txt"):
        describe_storage("s3://results", "/data")


def test_the_settings_take_the_bucket_from_the_environment(tmp_path):
    if not (find_spec("storages") and find_spec("boto3")):
        pytest.skip("django-storages and boto3 are not installed (requirements-s3.txt)")
    variables = {
        "PATH": os.environ["PATH"],
        "VAR_DIR": str(tmp_path),
        "ARTEFACTS_URL": "s3://results/lab",
        "ARTEFACT_CACHE_MB": "7",
    }
    code = "from config.settings.base import *; print(STORAGES['artefacts']['OPTIONS'], ARTEFACT_CACHE_MB)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'location': 'lab', 'bucket_name': 'results'} 7\n"
