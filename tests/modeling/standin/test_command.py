import os
import signal
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from modeling.standin.server import StandIn

from .asking import send


@pytest.mark.parametrize("fault", ["boredom", "reset:7"])
def test_a_fault_that_cannot_be_read_is_refused(fault):
    with pytest.raises(CommandError, match=fault.split(":")[0]):
        call_command("standin", fault=[fault])


def test_a_port_in_use_is_told():
    with StandIn() as other, pytest.raises(CommandError, match="cannot be used"):
        call_command("standin", port=int(other.url.split(":")[2].split("/")[0]))


def test_the_command_serves_until_it_is_ended():
    process = subprocess.Popen(
        [sys.executable, "manage.py", "standin", "--port", "0", "--fault", "reset:0.5"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    try:
        line = process.stdout.readline()
        assert "no real model" in line
        url = line.split("serves at ")[1].split(". ")[0]
        assert send(url, "/v1/models")[0] == 200
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        process.stdout.close()
