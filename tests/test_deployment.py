"""What starts Parallax on a server: settings, documentation of them, gunicorn and the container files."""

import contextlib
import importlib.util
import json
import logging
import os
import re
import shlex
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.management import get_commands

from config import encoder_folders
from jobs.timing import DEFAULTS

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ROOT / "config/settings/base.py"
GUIDE = (ROOT / "docs/deployment.md").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()

NAME = r"[A-Z][A-Z0-9_]+"
POSTGRES_IMAGE = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}
READ_BY_GUNICORN_ITSELF = {"GUNICORN_CMD_ARGS"}

PRODUCTION = {
    "PRODUCTION": "1",
    "SECRET_KEY": "an-unguessable-key-that-belongs-to-this-test-alone-0123456789",
    "ALLOWED_HOSTS": "study.example.org",
    "DATABASE_URL": "postgres://parallax:secret@database.example.org:5432/parallax",
    "REDIS_URL": "redis://queue.example.org:6379/0",
}


def run(tmp_path, *command, **changes):
    """Run a command with production's variables and these changes; None takes a variable away."""
    variables = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), **PRODUCTION, **changes}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={name: value for name, value in variables.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=120,
    )


def read_by_settings():
    source = SETTINGS.read_text()
    return {
        *re.findall(rf'\bread\(\s*"\w+",\s*"({NAME})"', source),
        *re.findall(rf'\bread_url\(\s*"({NAME})"', source),
        *re.findall(rf'os\.environ(?:\.get\(|\[)\s*"({NAME})"', source),
    }


def read_by_gunicorn():
    return set(re.findall(rf'whole_number\("({NAME})"', (ROOT / "gunicorn.conf.py").read_text()))


def read_of_providers():
    return set(re.findall(rf'"({NAME}_{NAME})"', (ROOT / "config/llm_providers.py").read_text()))


def known_variables():
    others = read_by_gunicorn() | read_of_providers() | {encoder_folders.SEVERAL, encoder_folders.ONE}
    return read_by_settings() | set(DEFAULTS) | others


def tabulate_guide():
    """Name and default of every variable in the guide's tables."""
    rows = re.findall(rf"^\| `({NAME})` \| ([^|]*) \|", GUIDE, re.MULTILINE)
    return dict(rows), [name for name, _ in rows]


def test_every_way_to_read_a_variable_in_the_settings_is_one_this_test_knows():
    mentions = len(re.findall(r"\bread\(|\bread_url\(|os\.environ\b|\benv\(", SETTINGS.read_text()))
    definitions = 4  # `def read`, `def read_url` and the environ inside either
    handed_on = sum(
        SETTINGS.read_text().count(f"{reader}(os.environ)")
        for reader in ("read_providers", "read_encoder_folders")
    )
    reads = len(
        re.findall(rf'(?:read\(\s*"\w+",|read_url\(|environ\.get\()\s*"{NAME}"', SETTINGS.read_text())
    )
    assert mentions - definitions - handed_on == reads > 10, (
        "teach `read_by_settings` the new way, or the guide goes stale"
    )


def test_the_guide_lists_exactly_the_variables_that_are_read():
    documented, names = tabulate_guide()
    assert set(documented) == known_variables()
    assert len(names) == len(documented), "a variable stands in two tables"


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_guide_states_the_true_default_of_each_time(name):
    assert float(tabulate_guide()[0][name]) == DEFAULTS[name]


# --- settings ----------------------------------------------------------------------------------


def test_production_settings_pass_the_deployment_check_without_a_warning(tmp_path):
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", BEHIND_PROXY="1")
    assert (done.returncode, "no issues" in done.stdout) == (0, True), done.stderr


def test_the_example_file_once_filled_in_passes_the_deployment_check(tmp_path):
    given = dict(re.findall(rf"^({NAME})=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    changes = {name: value for name, value in given.items() if value}
    done = run(tmp_path, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **changes)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", None),
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DEBUG", "1"),
        ("ALLOWED_HOSTS", None),
        ("ALLOWED_HOSTS", "*"),
        ("ALLOWED_HOSTS", "study.example.org,*"),
        ("DATABASE_URL", None),
        ("DATABASE_URL", "sqlite:////srv/parallax.sqlite3"),
        ("DATABASE_URL", "mysql://host/parallax"),
        ("DATABASE_URL", "postgres://parallax:secret@host:port/parallax"),
        ("DATABASE_CONN_MAX_AGE", "a minute"),
        ("REDIS_URL", None),
        ("REDIS_URL", "queue.example.org:6379"),
        ("SECURE_HSTS_SECONDS", "a year"),
    ],
)
def test_an_unsafe_production_setting_refuses_to_start_and_is_named(tmp_path, name, value):
    done = run(tmp_path, "manage.py", "check", **{name: value})
    assert done.returncode != 0
    last_words = done.stderr.partition("ImproperlyConfigured:")[2]
    assert name in last_words
    assert PRODUCTION["SECRET_KEY"] not in done.stderr


def test_all_faults_are_named_at_once(tmp_path):
    done = run(tmp_path, "manage.py", "check", SECRET_KEY=None, REDIS_URL=None, DATABASE_URL=None, DEBUG="1")
    assert done.returncode != 0
    assert all(name in done.stderr for name in ("SECRET_KEY", "REDIS_URL", "DATABASE_URL", "DEBUG"))


def test_options_in_the_database_address_reach_the_database(tmp_path):
    code = "from django.conf import settings; import json; print(json.dumps(settings.DATABASES['default']))"
    done = run(
        tmp_path,
        *("-c", code),
        DJANGO_SETTINGS_MODULE="config.settings.base",
        DATABASE_URL="postgres://parallax:p%40ss@host/parallax?sslmode=require",
    )
    database = json.loads(done.stdout)
    assert (database["PASSWORD"], database["OPTIONS"].get("sslmode")) == ("p@ss", "require")


def test_the_web_process_loads_nothing_that_computes(tmp_path):
    code = "import sys, config.wsgi, config.urls; print([name for name in sys.modules if '.' not in name])"
    loaded = run(tmp_path, "-c", code).stdout
    assert "'django'" in loaded
    assert not {"numpy", "scipy", "sklearn", "altair"} & set(re.findall(r"'(\w+)'", loaded))


# --- gunicorn ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "http"), ("PORT", ""), ("PORT", "70000"), ("WEB_CONCURRENCY", "0"), ("WEB_THREADS", "many")],
)
def test_gunicorn_names_a_variable_it_cannot_use(tmp_path, name, value):
    done = run(tmp_path, "-m", "gunicorn", "--check-config", "config.wsgi:application", **{name: value})
    assert done.returncode != 0
    assert f"The environment variable {name} must be" in done.stderr


def load_gunicorn_configuration():
    spec = importlib.util.spec_from_file_location("gunicorn_configuration", ROOT / "gunicorn.conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gunicorns_own_messages_lose_their_query(monkeypatch):
    monkeypatch.delenv("PORT", raising=False)
    record = logging.LogRecord(
        "gunicorn.error",
        logging.ERROR,
        "",
        0,
        "Error handling request %s",
        ("/s/demo/?PROLIFIC_PID=p1",),
        None,
    )
    assert load_gunicorn_configuration().WithoutQuery().filter(record)
    assert record.getMessage() == "Error handling request /s/demo/?..."


@contextlib.contextmanager
def serving(tmp_path, *options):
    """The web server as the image starts it, with production settings and no database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    variables = {"PATH": os.environ["PATH"], "VAR_DIR": str(tmp_path), "PORT": port, **PRODUCTION}
    variables["GUNICORN_CMD_ARGS"] = shlex.join(["--bind", f"127.0.0.1:{port}", *options])
    log = tmp_path / "log"
    command = ["-m", *shlex.split(DOCKERFILE.rpartition("\nCMD ")[2].translate(str.maketrans("[],", "   ")))]
    with log.open("w") as file:
        server = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=variables, stdout=file, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + 30
        while "Booting worker" not in log.read_text():
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield variables, log
    finally:
        server.terminate()
        server.wait(timeout=40)


def find_health_check():
    """The image's health check as an argument list."""
    words = shlex.split(re.search(r"^HEALTHCHECK .*\\\n +CMD (.*)$", DOCKERFILE, re.MULTILINE)[1])
    assert words[0] == "python"
    return [sys.executable, *words[1:]]


def test_the_images_health_check_passes_while_it_serves_and_fails_afterwards(tmp_path):
    check = find_health_check()
    with serving(tmp_path) as (variables, _):
        while_serving = subprocess.run(check, env=variables, timeout=60)
    afterwards = subprocess.run(check, env=variables, capture_output=True, timeout=60)
    assert (while_serving.returncode, afterwards.returncode) == (0, 1)


def test_an_access_log_that_is_turned_on_holds_neither_query_nor_referrer(tmp_path):
    with serving(tmp_path, "--access-logfile", "-") as (variables, log):
        with socket.create_connection(("127.0.0.1", int(variables["PORT"])), timeout=30) as client:
            client.sendall(
                b"GET /healthz?PROLIFIC_PID=person-one HTTP/1.1\r\nHost: study.example.org\r\n"
                b"Referer: https://study.example.org/s/demo/?PROLIFIC_PID=person-two\r\nConnection: close\r\n\r\n"
            )
            assert b"200 OK" in client.recv(100)
        deadline = time.monotonic() + 10
        while '"GET /healthz" 200' not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert "person" not in log.read_text()


# --- container files ---------------------------------------------------------------------------


def find_commands():
    """Every command that Procfile, compose.yaml and Dockerfile start one of our processes with."""
    commands = dict(re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE))
    found = [f"Procfile {name}: {command}" for name, command in commands.items()]
    found += [f"compose: {command}" for command in re.findall(r"^    command: (.+)$", COMPOSE, re.MULTILINE)]
    found += [
        f"Dockerfile: {command}" for command in re.findall(r"(python manage\.py .+)$", DOCKERFILE, re.M)
    ]
    return [command for command in found if "redis-server" not in command]


def test_the_places_that_hold_commands_were_found():
    assert len(find_commands()) >= 4 + 4 + 1


@pytest.mark.parametrize("line", find_commands())
def test_a_command_of_the_container_files_exists(line):
    words = shlex.split(line.partition(": ")[2])
    if words[:2] == ["python", "manage.py"]:
        assert words[2] in get_commands()
    elif words[0] == "gunicorn":
        module, _, name = words[1].partition(":")
        assert f"{name} = " in Path(importlib.util.find_spec(module).origin).read_text()
    else:
        assert words[:3] == ["celery", "-A", "config"] and words[3] in {"worker", "beat"}
        done = subprocess.run(
            [sys.executable, "-m", "celery", words[3], "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert all(option.partition("=")[0] in done.stdout for option in words[4:])


def read_compose():
    """compose.yaml as (path of keys, value) pairs: enough of YAML for a file of plain mappings."""
    pairs, path = [], []
    for number, line in enumerate(COMPOSE.splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith(("#", "- ")):
            continue
        depth, odd = divmod(len(line) - len(line.lstrip(" ")), 2)
        match = re.fullmatch(r"([\w<.-]+):(?: (.*))?", text)
        assert match and not odd and depth <= len(path), f"compose.yaml, line {number}: {line!r}"
        path = [*path[:depth], match[1]]
        pairs.append((tuple(path), (match[2] or "").partition("  #")[0]))
    return pairs


def test_compose_has_no_key_twice_and_all_its_services():
    paths = [path for path, _ in read_compose()]
    assert len(set(paths)) == len(paths)
    services = {path[1] for path in paths if path[0] == "services" and len(path) == 2}
    assert services == {"database", "queue", "migrate", "web", "worker", "clock"}
    waited_for = {path[-1] for path in paths if len(path) > 2 and path[-2] == "depends_on"}
    assert waited_for <= services
    volumes = {path[1] for path in paths if path[0] == "volumes" and len(path) == 2}
    assert set(re.findall(r"^      ?- (\w+):/", COMPOSE, re.MULTILINE)) | {"artefacts"} == volumes


def test_compose_passes_only_variables_that_somebody_reads():
    given = {path[-1] for path, _ in read_compose() if path[-2:-1] == ("environment",)}
    ours = {path[-1] for path, _ in read_compose() if path[:2] == ("x-parallax", "environment") and path[2:]}
    assert ours <= known_variables()
    assert given - ours == POSTGRES_IMAGE
    in_image = set(re.findall(rf"\b({NAME})=", DOCKERFILE))
    assert (
        in_image - {"PATH", "PYTHONUNBUFFERED"} - {name for name in in_image if name.startswith("PIP_")}
        <= known_variables()
    )


def test_the_example_file_holds_what_compose_asks_for_and_no_secret():
    example = (ROOT / ".env.example").read_text()
    offered = set(re.findall(rf"^(?:# )?({NAME})=", example, re.MULTILINE))
    assert set(re.findall(rf"\$\{{({NAME})", COMPOSE)) <= offered
    assert offered <= known_variables() | POSTGRES_IMAGE
    values = dict(re.findall(rf"^({NAME})=(.*)$", example, re.MULTILINE))
    assert (values["SECRET_KEY"], values["POSTGRES_PASSWORD"]) == ("", "")
    assert "SECRET_KEY" not in COMPOSE


def test_compose_keeps_what_the_guide_promises():
    pairs = dict(read_compose())
    assert pairs["services", "worker", "deploy", "replicas"] == "2"
    assert "--appendonly yes" in pairs["services", "queue", "command"]
    assert "--maxmemory-policy noeviction" in pairs["services", "queue", "command"]
    assert pairs["x-parallax", "depends_on", "migrate", "condition"] == "service_completed_successfully"
    assert pairs["services", "migrate", "restart"] == '"no"'
    assert re.findall(r'^      - "(.*:\d+)"$', COMPOSE, re.MULTILINE) == ["127.0.0.1:8000:8000"]


def test_the_image_runs_without_rights_from_locked_packages_and_holds_no_secret():
    assert "--require-hashes -r requirements.txt" in DOCKERFILE
    assert re.search(r"^USER (?!root)\w+$", DOCKERFILE, re.MULTILINE)
    after_build = DOCKERFILE.partition("collectstatic")[2]
    assert "ENV PRODUCTION=1" in after_build
    assert not re.search(r"^(?:ENV|ARG) .*(?:KEY|PASSWORD|SECRET)", DOCKERFILE, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".*", "var"} <= set(ignored)  # .env, .git and .venv; the local database and key


# --- the guide ---------------------------------------------------------------------------------


def test_the_guides_backup_of_sqlite_holds_what_is_not_yet_in_the_main_file(tmp_path):
    code = re.search(r'^    \.venv/bin/python -c "(import sqlite3.*)"$', GUIDE, re.MULTILINE)[1]
    (tmp_path / "var").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "var/parallax.sqlite3")) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("CREATE TABLE answers (rating)")
        live.execute("INSERT INTO answers VALUES (6)")
        live.commit()
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
    with contextlib.closing(sqlite3.connect(tmp_path / "backup.sqlite3")) as copy:
        assert copy.execute("SELECT rating FROM answers").fetchall() == [(6,)]


def test_the_guide_says_that_the_container_files_were_checked_without_an_engine():
    assert "without a container engine" in GUIDE
