"""PostgreSQL, Redis and Chromium for the tests: found on this machine, private to one run, gone afterwards.

A private server has its own folder under /tmp, its own free port on 127.0.0.1 and its own password. It is
never one that somebody else started, and it never runs as root.
"""

import atexit
import contextlib
import functools
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import psycopg
import redis

START_SECONDS = 30
STOP_SECONDS = 10
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
POLICY = Path("/usr/sbin/policy-rc.d")
CLUSTER_SETTINGS = Path("/etc/postgresql-common/createcluster.d")


class ServiceError(RuntimeError):
    """A service the tests need is not there; the text says why and how to mend it."""


# --- what is on this machine -------------------------------------------------------------------


def find_postgres() -> Path | None:
    """Return the folder of `initdb` and `postgres`: PATH's, else Debian's newest version; None if neither."""
    found = shutil.which("postgres")
    if found and shutil.which("initdb"):
        return Path(found).parent
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    return max(versions, key=lambda path: float(path.parent.name), default=None)


def find_redis() -> Path | None:
    """Return the Redis server's program, or None."""
    found = shutil.which("redis-server")
    return Path(found) if found else None


@functools.cache
def find_chromium() -> Path | None:
    """Return a Chromium that runs: CHROMIUM_PATH, else the usual names on PATH; None if there is none.

    Raises ServiceError when CHROMIUM_PATH is set and does not run: falling back would hide the mistake.
    """
    named = os.environ.get("CHROMIUM_PATH")
    if named:
        if not chromium_version(named):
            raise ServiceError(f"CHROMIUM_PATH names {named!r}, which does not answer to --version.")
        return Path(named)
    # Ubuntu's `chromium-browser` may be a script that only asks for a snap, so the program has to answer.
    paths = filter(None, map(shutil.which, CHROMIUM_NAMES))
    return next((Path(path) for path in paths if chromium_version(path)), None)


def chromium_version(program: str | Path) -> str:
    """Return for example 'Chromium 156.0.8078.79', or '' when the program does not run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
        return " ".join(answer.stdout.split()[:2])
    return ""


def postgres_version(url: str) -> str:
    """Return for example 'PostgreSQL 15.18'; ServiceError when it does not answer within 5 seconds."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return "PostgreSQL " + (connection.info.parameter_status("server_version") or "?").split()[0]
    except psycopg.Error as error:
        raise ServiceError(f"PostgreSQL does not answer: {str(error).strip()}") from error


def redis_version(url: str) -> str:
    """Return for example 'Redis 7.0.15'; ServiceError when it does not answer within 5 seconds."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
            facts: Any = client.info("server")
            return f"Redis {facts['redis_version']}"
    except (redis.RedisError, ValueError) as error:
        raise ServiceError(f"Redis does not answer: {error}") from error


# --- private servers ---------------------------------------------------------------------------


class PrivateServer:
    """A server of our own: `start` and `stop`, or `with`. After `kill_hard`, `start` keeps port and data."""

    name: ClassVar[str]
    accounts: ClassVar[tuple[str, ...]]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, program: Path) -> None:
        self.program = program
        self.password = secrets.token_urlsafe(18)
        self.port = 0
        self.version = ""
        self.folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1  # reads as closed once no process of the server is left
        self._owner_pid = 0

    @property
    def url(self) -> str:
        """The address, password included; it changes only after `stop`."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Lay out an empty data folder, once per folder."""
        raise NotImplementedError

    def _command(self) -> tuple[list[str | Path], str]:
        """Return the command line and what the server reads on standard input."""
        raise NotImplementedError

    def _ask_version(self) -> str:
        raise NotImplementedError

    def _prepare_running(self) -> None:
        """Do what needs the server to answer, once per folder."""

    def start(self) -> Self:
        """Start, and return when the server answers; ServiceError with the end of its log otherwise."""
        if self._process is not None:
            raise ServiceError(f"This {self.name} server is running already.")
        first = self.folder is None
        try:
            if first:
                self._make_folder()
                self._prepare()
            # Between choosing a free port and taking it, another program may take it: then choose again.
            for attempt in range(5):
                if first:
                    self.port = free_port()
                self._launch()
                if self._wait_until_it_answers():
                    break
                if not first or attempt == 4:
                    raise ServiceError(f"{self.name} did not start:\n{self._log_end()}")
                self._reap()
            if first:
                self._prepare_running()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server in order and remove its folder. Does nothing twice, or in a forked child."""
        if self._owner_pid != os.getpid():
            return
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._reap()
        if self.folder is not None:
            shutil.rmtree(self.folder)
            self.folder = None
        atexit.unregister(self.stop)

    def kill_hard(self) -> None:
        """End the server as `kill -9` does, mid-work; return when none of its processes is left."""
        if self._process is None:
            raise ServiceError(f"This {self.name} server is not running.")
        self._process.kill()
        self._reap()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_folder(self) -> None:
        # Directly in /tmp: another account has to reach it, and a socket's path must stay short.
        self.folder = Path(tempfile.mkdtemp(prefix=f"parallax-{self.name.lower()}-", dir="/tmp"))
        self._owner_pid = os.getpid()
        atexit.register(self.stop)
        account = self._account()
        if account:
            os.chown(self.folder, account["user"], account["group"])

    def _account(self) -> dict[str, Any]:
        """Return subprocess's arguments for an unprivileged account; none are needed unless root."""
        if os.geteuid() != 0:
            return {}
        for name in self.accounts:
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        raise ServiceError(
            f"{self.name} does not run as root, and there is no account {' or '.join(self.accounts)}."
        )

    def _surroundings(self) -> dict[str, Any]:
        """Return subprocess's arguments for every program of this server; none of our secrets go along."""
        kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        return {
            "cwd": self.folder,
            "env": kept | {"HOME": str(self.folder), "LC_ALL": "C"},
            **self._account(),
        }

    def _launch(self) -> None:
        command, typed = self._command()
        assert self.folder is not None
        self._lifeline, held = os.pipe()
        try:
            with (self.folder / "log").open("ab") as log:
                # Its own session: Ctrl-C reaches us alone, and we stop it in order.
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT,
                    pass_fds=[held], start_new_session=True, **self._surroundings(),
                )  # fmt: skip
        finally:
            os.close(held)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(typed.encode())

    def _wait_until_it_answers(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(ServiceError):
                self.version = self._ask_version()
                return True
            time.sleep(0.02)
        return False

    def _reap(self) -> None:
        """Wait until the server and every process it started are gone."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process = None
        gone, _, _ = select.select([self._lifeline], [], [], STOP_SECONDS)
        os.close(self._lifeline)
        if not gone:
            raise ServiceError(f"A process of {self.name} outlives its server by {STOP_SECONDS} seconds.")

    def _log_end(self) -> str:
        assert self.folder is not None
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else "(no log)"


class PrivatePostgres(PrivateServer):
    """PostgreSQL with an empty database `parallax`. Data outlive the server, not the machine (no fsync)."""

    name = "PostgreSQL"
    accounts = ("postgres", "nobody")
    stop_signal = signal.SIGINT  # "fast": end the sessions, then write everything down

    def __init__(self, program: Path | None = None) -> None:
        found = program or find_postgres()
        if found is None:
            raise ServiceError("No PostgreSQL on PATH or in /usr/lib/postgresql.")
        super().__init__(found)

    @property
    def url(self) -> str:
        return self._url_of("parallax")

    def _url_of(self, database: str) -> str:
        return f"postgres://parallax:{self.password}@127.0.0.1:{self.port}/{database}"

    def _prepare(self) -> None:
        assert self.folder is not None
        surroundings = self._surroundings()
        # The account's own umask and ownership apply, so the file is written by it and not by us.
        secret = self.folder / "password"
        subprocess.run(
            ["sh", "-c", "umask 077; cat > password"],
            input=self.password.encode(),
            check=True,
            **surroundings,
        )
        options = [
            "--no-locale",
            "--encoding=UTF8",
            "--no-sync",
            "--username=parallax",
            "--auth=scram-sha-256",
        ]
        made = subprocess.run(
            [self.program / "initdb", "-D", self.folder / "data", f"--pwfile={secret}", *options],
            capture_output=True, text=True, **surroundings,
        )  # fmt: skip
        secret.unlink()
        if made.returncode:
            raise ServiceError(f"initdb failed:\n{made.stdout}{made.stderr}")

    def _command(self) -> tuple[list[str | Path], str]:
        assert self.folder is not None
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",  # synchronous_commit stays on: a commit outlives kill_hard
            "lock_timeout": "20s",  # two connections of one test that wait for each other: an error, no hang
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.program / "postgres", "-D", self.folder / "data", *flags], ""

    def _ask_version(self) -> str:
        return postgres_version(self._url_of("postgres"))

    def _prepare_running(self) -> None:
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE parallax")


class PrivateRedis(PrivateServer):
    """Redis set up as in production: nothing is evicted, and what it acknowledged outlives `kill_hard`."""

    name = "Redis"
    accounts = ("redis", "nobody")
    stop_signal = signal.SIGTERM

    def __init__(self, program: Path | None = None) -> None:
        found = program or find_redis()
        if found is None:
            raise ServiceError("No redis-server on PATH.")
        super().__init__(found)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _prepare(self) -> None:
        """Redis lays out its own files."""

    def _command(self) -> tuple[list[str | Path], str]:
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "requirepass": self.password,
            "daemonize": "no",
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "no",
            "maxmemory-policy": "noeviction",
        }
        # Read from standard input, so that the password is in no process list.
        return [self.program, "-"], "".join(f"{name} {value}\n" for name, value in settings.items())

    def _ask_version(self) -> str:
        return redis_version(self.url)


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- installing what is missing (root on Debian and Ubuntu) ------------------------------------


def install_postgres() -> None:
    """Install PostgreSQL without the cluster that Debian would make and start. Raises ServiceError."""
    install("postgresql-common")
    made = not CLUSTER_SETTINGS.exists()
    CLUSTER_SETTINGS.mkdir(exist_ok=True)
    setting = CLUSTER_SETTINGS / "parallax-tests.conf"
    setting.write_text("create_main_cluster = false\n")
    try:
        install("postgresql")
    finally:
        setting.unlink()
        if made:
            CLUSTER_SETTINGS.rmdir()


def install_redis() -> None:
    """Install the Redis server; it is not started, now or at the next boot. Raises ServiceError."""
    install("redis-server")
    # The package has its service start at boot; on a machine that had none before, that is not ours to bring.
    with contextlib.suppress(OSError):
        subprocess.run(["systemctl", "disable", "redis-server.service"], capture_output=True, check=False)


def install_chromium() -> None:
    """Install Chromium and a font to draw with. Raises ServiceError."""
    install("chromium", "fonts-liberation")


def install(*packages: str) -> None:
    """Install Debian packages while no service may start. Raises ServiceError saying what to do by hand."""
    by_hand = f"Install by hand: apt-get install {' '.join(packages)}"
    if os.environ.get("TEST_INSTALL") == "0":
        raise ServiceError(f"TEST_INSTALL=0 forbids installing. {by_hand}")
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ServiceError(f"Only root on Debian or Ubuntu can have it installed from here. {by_hand}")
    with no_service_starts():
        refresh_package_lists()
        done = apt_get("install", "--no-install-recommends", *packages)
    if done.returncode:
        reason = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise ServiceError(f"apt-get install {' '.join(packages)} failed:\n{reason}")


@functools.cache
def refresh_package_lists() -> None:
    """Run `apt-get update` once; when it fails, the lists already there may still do."""
    apt_get("update")


def apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get with no question asked, no other service restarted and a patient wait for its lock."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C"}
    command = ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=120", *arguments]
    print(f"-- {' '.join(command)}", flush=True)
    return subprocess.run(command, env=os.environ | quiet, capture_output=True, text=True, check=False)


@contextlib.contextmanager
def no_service_starts() -> Iterator[None]:
    """Have Debian's policy refuse to start services meanwhile; an administrator's own policy is kept.

    Raises ServiceError where such a policy lets services start.
    """
    if POLICY.exists():
        answer = subprocess.run([POLICY, "redis-server", "start"], capture_output=True, check=False)
        if answer.returncode != 101:
            raise ServiceError(f"{POLICY} lets installed services start, so nothing is installed from here.")
        yield
        return
    POLICY.write_text("#!/bin/sh\n# For the length of one installation by Parallax's tests.\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
