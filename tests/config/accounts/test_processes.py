"""The throttle holds where several processes take logins at the same moment."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
N_PROCESSES, N_TRIES, LET_THROUGH = 3, 4, 5
PREPARE = """
import django; django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
get_user_model().objects.create_user("maria", password="kestrel-over-nine-hills", is_staff=True)
"""
TRY = """
import sys, django; django.setup()
from django.test import Client
from django.urls import reverse
sys.stdin.readline()  # all begin together
for number in range(int(sys.argv[1])):
    page = Client().post(reverse("account_login"), {"login": "maria", "password": f"wrong-{number}"}).content.decode()
    print("refused" if "Too many failed" in page else "tried" if "not correct" in page else page)
"""


def test_processes_that_are_asked_at_once_let_five_tries_through_in_all(tmp_path):
    left_out = {"DATABASE_URL", "REDIS_URL", "PRODUCTION", "DEBUG"}
    environment = {name: value for name, value in os.environ.items() if name not in left_out} | {
        "VAR_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "LOG_LEVEL": "ERROR",
    }

    def start(program, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    assert start(PREPARE).wait(120) == 0
    processes = [start(TRY, str(N_TRIES)) for _ in range(N_PROCESSES)]
    said = [line for process in processes for line in process.communicate("go\n", timeout=120)[0].split("\n")]
    assert said.count("tried") == LET_THROUGH
    assert said.count("refused") == N_PROCESSES * N_TRIES - LET_THROUGH
