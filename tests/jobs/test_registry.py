import subprocess
import sys

import pytest

from jobs import registry
from jobs.errors import UnknownKind


def test_a_handler_is_found_by_its_kind(handler):
    def work(claim):
        return None

    handler(work, kind="a")
    assert registry.handler_of("a") is work


def test_two_functions_cannot_handle_one_kind(handler):
    def other(claim):
        return None

    handler(lambda claim: None, kind="a")
    with pytest.raises(ValueError, match="another kind"):
        handler(other, kind="a")


def test_an_unknown_kind_is_named(handler):
    with pytest.raises(UnknownKind, match="'nowhere'"):
        registry.handler_of("nowhere")


def test_handlers_are_imported_at_the_first_job_and_not_before(process_environment):
    code = (
        "import django, sys; django.setup(); import jobs.tasks, jobs.health\n"
        "assert 'tests.jobs.probe.handlers' not in sys.modules\n"
        "from jobs import registry; registry.handler_of('probe.slow')\n"
        "assert 'tests.jobs.probe.handlers' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=process_environment, check=True)
