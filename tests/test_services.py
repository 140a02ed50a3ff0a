"""The test services themselves, the runner's verdict and the commands: what every other result rests on."""

import contextlib
import json
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

import bench
from tests import run, services
from tests.conftest import ROOT
from tests.services import PrivatePostgres, PrivateRedis, ServiceError


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody has asked about yet."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def waits_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def program(name: str, body: str, folder: Path) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


# --- private servers ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres() -> Iterator[PrivatePostgres]:
    if services.find_postgres() is None:
        pytest.skip("no PostgreSQL programs here; the run uses the server of DATABASE_URL")
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
def private_redis() -> Iterator[PrivateRedis]:
    if services.find_redis() is None:
        pytest.skip("no Redis program here; the run uses the server of REDIS_URL")
    with PrivateRedis() as server:
        yield server


@pytest.mark.servers
class TestPrivatePostgres:
    def test_it_offers_an_empty_database_of_its_own(self, postgres):
        with psycopg.connect(postgres.url) as connection:
            name, tables = connection.execute(
                "SELECT current_database(), (SELECT count(*) FROM pg_stat_user_tables)"
            ).fetchone()
        assert (name, tables) == ("parallax", 0)
        assert postgres.version.startswith("PostgreSQL ")

    def test_it_listens_on_this_machine_alone_and_off_the_standard_port(self, postgres):
        with psycopg.connect(postgres.url) as connection:
            (addresses,) = connection.execute("SHOW listen_addresses").fetchone()
        assert addresses == "127.0.0.1"
        assert postgres.port != 5432

    def test_a_wrong_password_is_refused(self, postgres):
        with pytest.raises(ServiceError, match="password"):
            services.postgres_version(postgres.url.replace(postgres.password, "guess"))

    def test_the_password_file_does_not_outlive_the_set_up(self, postgres):
        assert not (postgres.folder / "password").exists()

    def test_it_never_runs_as_root(self, postgres):
        assert postgres.folder.stat().st_uid != 0
        with psycopg.connect(postgres.url) as connection:
            pid = connection.info.backend_pid
            assert pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name != "root"

    def test_committed_rows_outlive_a_hard_kill(self, postgres):
        url = postgres.url
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        postgres.kill_hard()
        with pytest.raises(ServiceError):
            services.postgres_version(url)
        postgres.start()
        assert postgres.url == url
        with psycopg.connect(url, autocommit=True) as connection:
            assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
            connection.execute("DROP TABLE kept")

    def test_starting_it_twice_is_refused(self, postgres):
        with pytest.raises(ServiceError, match="running already"):
            postgres.start()


@pytest.mark.servers
class TestPrivateRedis:
    def test_it_answers_its_password_only(self, private_redis):
        with redis.Redis.from_url(private_redis.url) as client:
            assert client.ping()
        with pytest.raises(ServiceError, match="authenticat"):
            services.redis_version(f"redis://127.0.0.1:{private_redis.port}/0")

    def test_what_it_acknowledged_outlives_a_hard_kill(self, private_redis):
        with redis.Redis.from_url(private_redis.url) as client:
            client.set("kept", "7")
        private_redis.kill_hard()
        with pytest.raises(ServiceError):
            services.redis_version(private_redis.url)
        private_redis.start()
        with redis.Redis.from_url(private_redis.url) as client:
            assert client.get("kept") == b"7"

    def test_killing_a_stopped_server_is_refused(self, private_redis):
        private_redis.stop()
        with pytest.raises(ServiceError, match="not running"):
            private_redis.kill_hard()

    def test_nothing_is_left_after_stop_and_stopping_again_is_harmless(self, private_redis):
        folder, port = private_redis.folder, private_redis.port
        assert folder.exists()
        assert listens(port)
        private_redis.stop()
        private_redis.stop()
        assert not folder.exists()
        assert not listens(port)

    def test_a_forked_child_that_ends_leaves_the_server_alone(self, private_redis):
        child = os.fork()
        if child == 0:
            private_redis.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert services.redis_version(private_redis.url) == private_redis.version


@pytest.mark.servers
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_no_folder(number, tmp_path):
    """The runner with a test that never ends, on both private servers, stopped from outside."""
    if services.find_postgres() is None or services.find_redis() is None:
        pytest.skip("no PostgreSQL or Redis programs here")
    facts = tmp_path / "facts.json"
    sleeper = tmp_path / "test_sleeper.py"
    sleeper.write_text(
        "import json, os, pathlib, time\n"
        "import pytest\n"
        "@pytest.mark.servers\n"
        "def test_sleeps():\n"
        "    urls = [os.environ['DATABASE_URL'], os.environ['REDIS_URL']]\n"
        f"    path = pathlib.Path({str(facts)!r})\n"
        "    path.with_suffix('.part').write_text(json.dumps([urls, os.getpid(), os.environ['TMPDIR']]))\n"
        "    path.with_suffix('.part').rename(path)\n"
        "    time.sleep(600)\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "tests.run", "servers", "--", str(sleeper), "-p", "no:cacheprovider"]
    with subprocess.Popen(
        command, cwd=ROOT, env=clean, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as runner:
        try:
            assert waits_until(facts.exists, 60), "the sleeping test did not start"
            urls, pid, scratch = json.loads(facts.read_text())
            ports = [int(url.rpartition(":")[2].partition("/")[0]) for url in urls]
            assert all(map(listens, ports))
            # A terminal's Ctrl-C reaches the whole group, anything else the runner alone.
            (os.killpg if number == signal.SIGINT else os.kill)(runner.pid, number)
            output, _ = runner.communicate(timeout=60)
        finally:
            runner.kill()
    assert runner.returncode == 128 + number
    assert output.decode().splitlines()[-1].endswith(" failed")
    assert f"interrupted by {number.name}" in output.decode()
    assert not any(map(listens, ports))
    assert waits_until(lambda: not is_running(pid), 5)
    assert not Path(scratch).exists()


def test_a_server_that_cannot_start_says_why_and_leaves_nothing():
    server = PrivateRedis(Path(shutil.which("ls") or ""))  # looks for a file named "-"
    with pytest.raises(ServiceError, match="cannot access"):
        server.start()
    assert server.folder is None


# --- finding what is there ---------------------------------------------------------------------


@pytest.fixture
def forget_chromium() -> Iterator[None]:
    services.find_chromium.cache_clear()
    yield
    services.find_chromium.cache_clear()


def test_chromium_comes_from_its_variable_first(monkeypatch, tmp_path, forget_chromium):
    mine = program("mine", "echo Chromium 1.2.3 built today", tmp_path)
    monkeypatch.setenv("CHROMIUM_PATH", str(mine))
    assert services.find_chromium() == mine
    assert services.chromium_version(mine) == "Chromium 1.2.3"


def test_a_wrong_chromium_variable_is_an_error_and_no_reason_to_look_elsewhere(
    monkeypatch, tmp_path, forget_chromium
):
    program("chromium", "echo Chromium 1.2.3", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("CHROMIUM_PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ServiceError, match="nowhere"):
        services.find_chromium()


def test_a_browser_that_is_only_a_hint_to_install_one_is_passed_over(monkeypatch, tmp_path, forget_chromium):
    program("chromium", "echo 'requires the chromium snap' >&2; exit 1", tmp_path)
    good = program("google-chrome", "echo Google Chrome 140", tmp_path)
    monkeypatch.delenv("CHROMIUM_PATH", raising=False)
    monkeypatch.setattr(
        services.shutil, "which", lambda name: str(tmp_path / name) if (tmp_path / name).exists() else None
    )
    assert services.find_chromium() == good


def test_installing_can_be_forbidden_and_the_reason_names_the_command(monkeypatch):
    monkeypatch.setenv("TEST_INSTALL", "0")
    monkeypatch.setattr(services, "apt_get", lambda *_: pytest.fail("apt-get was called"))
    with pytest.raises(ServiceError, match="apt-get install redis-server"):
        services.install_redis()


def test_only_root_installs(monkeypatch):
    monkeypatch.delenv("TEST_INSTALL", raising=False)
    monkeypatch.setattr(services.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(services, "apt_get", lambda *_: pytest.fail("apt-get was called"))
    with pytest.raises(ServiceError, match="Only root"):
        services.install("chromium")


def test_services_cannot_start_while_packages_are_installed(monkeypatch, tmp_path):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(services, "POLICY", policy)
    with services.no_service_starts():
        assert subprocess.run([policy, "redis-server", "start"], check=False).returncode == 101
    assert not policy.exists()


def test_an_administrators_policy_is_kept_and_one_that_allows_starts_is_respected(monkeypatch, tmp_path):
    policy = program("policy-rc.d", "exit 101", tmp_path)
    monkeypatch.setattr(services, "POLICY", policy)
    before = policy.read_text()
    with services.no_service_starts():
        assert policy.read_text() == before
    assert policy.read_text() == before
    program("policy-rc.d", "exit 0", tmp_path)
    with pytest.raises(ServiceError, match="lets installed services start"), services.no_service_starts():
        pytest.fail("installing went on")


def test_debian_makes_no_cluster_and_keeps_no_setting_of_ours(monkeypatch, tmp_path):
    folder = tmp_path / "createcluster.d"
    seen = {}

    def install(*packages):
        seen[packages] = [path.read_text() for path in folder.glob("*.conf")]

    monkeypatch.setattr(services, "CLUSTER_SETTINGS", folder)
    monkeypatch.setattr(services, "install", install)
    services.install_postgres()
    assert seen == {("postgresql-common",): [], ("postgresql",): ["create_main_cluster = false\n"]}
    assert not folder.exists()


# --- the runner's verdict ----------------------------------------------------------------------


def verdict(*outcomes: run.Outcome, strict: bool = False) -> tuple[str, str, bool]:
    lines, good = run.closing_lines(list(outcomes), strict=strict)
    return "\n".join(lines[:-1]), lines[-1], good


def test_the_last_line_holds_the_totals():
    first = run.Outcome("SQLite", "SQLite 3", passed=5, skipped=1)
    second = run.Outcome("PostgreSQL and Redis", "PostgreSQL 15", passed=2, failed=1)
    text, last, good = verdict(first, second)
    assert last == "7 passed, 1 failed, 1 skipped"
    assert not good
    assert "on PostgreSQL 15: 2 passed, 1 failed, 0 skipped" in text


def test_nothing_skipped_is_not_mentioned_in_the_last_line():
    assert verdict(run.Outcome("SQLite", "SQLite 3", passed=5))[1:] == ("5 passed, 0 failed", True)


def test_a_stage_without_its_service_is_told_and_fails_only_a_strict_run():
    outcomes = (
        run.Outcome("SQLite", "SQLite 3", passed=5),
        run.Outcome("Chromium", absent="Install it by hand."),
    )
    text, last, good = verdict(*outcomes)
    assert "Chromium: did not run. Install it by hand." in text
    assert (last, good) == ("5 passed, 0 failed", True)
    assert verdict(*outcomes, strict=True)[1:] == ("5 passed, 1 failed", False)


def test_a_stage_that_broke_without_a_failing_test_counts_as_failed():
    text, last, good = verdict(run.Outcome("SQLite", "SQLite 3", fault="no test was collected"))
    assert (last, good) == ("0 passed, 1 failed", False)
    assert "no test was collected" in text


def test_a_run_without_a_single_test_is_no_success():
    assert verdict(run.Outcome("Chromium", absent="no browser"))[1:] == ("0 passed, 1 failed", False)


@pytest.fixture
def plain_pytest(tmp_path, monkeypatch) -> Callable[..., run.Outcome]:
    """Judge one test file in a folder of its own, without this project's settings and plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")

    def judge(body: str, extra: tuple[str, ...] = ()) -> run.Outcome:
        (tmp_path / "tests" / "test_it.py").write_text(body)
        outcome = run.Outcome("It")
        run.pytest(run.Run(tmp_path, extra), outcome, [], {})
        return outcome

    return judge


@pytest.mark.parametrize(
    ("body", "extra", "expected"),
    [
        ("def test_a(): pass", (), (1, 0, 0, "")),
        ("def test_a(): raise OSError", (), (0, 1, 0, "")),
        ("import pytest\ndef test_a(): pytest.skip('why')", (), (0, 0, 1, "")),
        ("import nothing_of_this_name", (), (0, 1, 0, "")),
        ("", (), (0, 0, 0, "no test was collected")),
        ("def test_a(): pass", ("-k", "other"), (0, 0, 0, "")),
        ("def test_a(): pass", ("--no-such-option",), (0, 0, 0, "pytest ended with exit code 4")),
        ("import os\ndef test_a(): os._exit(3)", (), (0, 0, 0, "pytest ended with exit code 3")),
    ],
)
def test_a_stage_is_judged_by_what_pytest_did(body, extra, expected, plain_pytest):
    outcome = plain_pytest(body, extra)
    assert (outcome.passed, outcome.failed, outcome.skipped, outcome.fault) == expected


def test_a_developers_own_settings_do_not_reach_the_tests(plain_pytest, monkeypatch):
    for name in ("VAR_DIR", "DATABASE_URL", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "mine")
    outcome = plain_pytest(
        "import os\ndef test_a(): assert not {'VAR_DIR', 'DATABASE_URL', 'OPENAI_API_KEY'} & set(os.environ)"
    )
    assert (outcome.passed, outcome.failed) == (1, 0)


def test_a_test_that_hangs_ends_its_stage(plain_pytest, monkeypatch):
    monkeypatch.setattr(run, "HANG_SECONDS", 0.5)
    begun = time.monotonic()
    outcome = plain_pytest("import time\ndef test_a(): time.sleep(60)")
    assert time.monotonic() - begun < 30
    assert outcome.fault == "pytest ended with exit code 1"


def test_output_that_no_encoding_can_carry_does_not_break_the_report():
    logging.getLogger(__name__).warning("half a character: \ud800")  # under xdist this ended the whole run


def test_an_unknown_stage_is_refused_by_name(capsys):
    assert run.main(["everything"]) == 2
    assert "No stage everything; there are sqlite, servers, chromium." in capsys.readouterr().out


def test_a_server_that_was_named_and_does_not_answer_is_told_apart_from_a_missing_one(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"postgres://me:secret@127.0.0.1:{services.free_port()}/mine")
    with pytest.raises(ServiceError, match="does not answer") as caught, run.postgres_server():
        pytest.fail("a server was given")
    assert "secret" not in str(caught.value)


# --- commands ----------------------------------------------------------------------------------


def test_every_command_of_the_makefile_says_what_it_does():
    lines = (ROOT / "Makefile").read_text().splitlines()
    (phony,) = [line for line in lines if line.startswith(".PHONY: help")]
    answer = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = [line.split()[1] for line in answer.stdout.splitlines()]
    assert sorted(listed) == sorted(phony.split()[1:])


def test_an_unknown_bench_is_refused_and_the_known_ones_are_named(capsys):
    assert bench.main(["nothing"]) == 2
    said = capsys.readouterr().out
    assert said.startswith("No bench is named nothing. There are: ")
    for name in ("agreement_report", "read_vs_read_sql", "serve_vs_bare_django", "spearman_vs_scipy"):
        assert name in said


def test_a_bench_prints_one_json_object_with_all_its_keys(capsys, monkeypatch):
    timing = bench.Timing(ratio=2.0, reference="a loop", medians={"ours": 1.0, "reference": 2.0})
    monkeypatch.setitem(bench.BENCHES, "made_up", lambda: timing)
    assert bench.main(["made_up"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "name": "made_up", "ratio": 2.0, "reference": "a loop",
        "medians": {"ours": 1.0, "reference": 2.0}, "unit": "s", "runs": 3,
    }  # fmt: skip


def test_two_benches_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(bench, "BENCHES", {})
    bench.bench("same")(lambda: bench.Timing(1.0, "", {}))
    with pytest.raises(ValueError, match="'same'"):
        bench.bench("same")(lambda: bench.Timing(1.0, "", {}))
