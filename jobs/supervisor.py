"""Keeps a handful of processes running together, and stops them together.

Each child leads a session of its own, so Ctrl-C in a terminal reaches the supervisor alone, which then
stops the children in order, and a child's own children can be ended with it. On Linux the kernel kills
the children when the supervisor itself is killed. Elsewhere nothing can do that: after a `kill -9` of the
supervisor the children must be ended by hand.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESTARTS_PER_MINUTE = 5
FIRST_PAUSE_SECONDS = 0.5
PR_SET_PDEATHSIG = 1
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class KeepsDying(Exception):
    """A child died more often than a restart can help."""


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    deaths: deque[float] = field(default_factory=deque)
    start_at: float = 0.0


class Supervisor:
    """Runs commands side by side: `start`, then `poll` a few times a second, then `stop`; or `run` for all.

    Parameters
    ----------
    commands : mapping of str to sequence of str
        Each process's name, for messages, and its argument list.
    env : mapping, optional
        The children's environment; this process's own when left out.
    cwd : path, optional
        The children's working directory.
    grace_seconds : float
        How long a child may take to end after SIGTERM before it is killed.
    say : callable
        Given one line whenever a child dies.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_seconds: float = 10.0,
        say: Callable[[str], None] = print,
    ) -> None:
        self.children = [_Child(name, list(command)) for name, command in commands.items()]
        self.env, self.cwd, self.grace_seconds, self.say = env, cwd, grace_seconds, say
        self.signals_seen = 0

    def run(self) -> None:
        """Start all, keep them running until a stop signal arrives, stop all.

        Call it from the main thread. A second signal ends the grace period at once.
        Raises KeepsDying, after stopping all, when a child cannot be kept alive.
        """
        previous = {number: signal.signal(number, self._note_signal) for number in STOP_SIGNALS}
        try:
            self.start()
            while not self.signals_seen:
                self.poll()
                time.sleep(0.1)
        finally:
            self.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def start(self) -> None:
        """Start every child that is not running, unless a stop signal has come in."""
        for child in self.children:
            if child.process is None and not self.signals_seen:
                self._start(child)

    def poll(self) -> None:
        """Look after the children once: start the dead again, each after a pause that doubles.

        Raises KeepsDying at a child's sixth death within a minute; the caller then stops the others.
        """
        now = time.monotonic()
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, now)
            elif child.process is None and now >= child.start_at:
                self._start(child)

    def stop(self) -> None:
        """Ask every child to end, wait, then kill what is left of them and of their own children."""
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        impatient_at = self.signals_seen + 1
        deadline = time.monotonic() + self.grace_seconds
        while time.monotonic() < deadline and self.signals_seen < impatient_at:
            if all(process.poll() is not None for process in running):
                break
            time.sleep(0.05)
        for process in running:
            _kill_group(process)
            process.wait()
        for child in self.children:
            child.process = None

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            child.command,
            env=None if self.env is None else dict(self.env),
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_tie_to(os.getpid()),
        )

    def _bury(self, child: _Child, now: float) -> None:
        code = child.process.returncode
        _kill_group(child.process)  # what it started itself must not go on without it
        child.process = None
        child.deaths.append(now)
        while child.deaths[0] < now - 60:
            child.deaths.popleft()
        died = f"{child.name} ended ({_cause(code)})"
        if len(child.deaths) > RESTARTS_PER_MINUTE:
            raise KeepsDying(
                f"{died} for the {len(child.deaths)}th time within a minute; its last words are above."
            )
        pause = FIRST_PAUSE_SECONDS * 2 ** (len(child.deaths) - 1)
        child.start_at = now + pause
        self.say(f"{died}; starting it again in {pause:g} s.")

    def _note_signal(self, number: int, frame: object) -> None:
        self.signals_seen += 1


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _cause(returncode: int) -> str:
    return f"signal {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"


def _tie_to(parent: int) -> Callable[[], None] | None:
    """Return what a new child calls before it becomes the command, so that it dies with its parent."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: a child of a fork should do little

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return tie
