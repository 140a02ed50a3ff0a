"""How far a long command is, on one line of a terminal, or line by line in a log."""

import time
from typing import Any

from jobs.models import Job


class Progress:
    """Called with (done, total): shows what is done, of how much, since when and for how much longer.

    Parameters
    ----------
    stream : a command's output
    what : what is counted
    every_seconds : how often a log gets a line; a terminal's line is renewed more often
    """

    def __init__(self, stream: Any, what: str, *, every_seconds: float = 5.0) -> None:
        self.stream = stream
        self.what = what
        self.is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        self.every_seconds = 0.2 if self.is_terminal else every_seconds
        self.began = time.monotonic()
        self.written = self.began
        self.is_over = False
        self.last: tuple[int, int] | None = None

    def __call__(self, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        is_last = done >= total
        if (done, total) == self.last and is_last:
            return  # the end of a count is told once
        if self.is_over and self.last and (done < self.last[0] or total != self.last[1]):
            self.is_over, self.began = False, now  # what is counted now is another round
        self.last = (done, total)
        if self.is_over or (not is_last and now - self.written < self.every_seconds):
            return
        self.written, self.is_over = now, is_last
        elapsed = now - self.began
        left = "" if is_last or not done else f", about {elapsed / done * (total - done):.0f} s left"
        line = f"  {self.what}: {done:,} of {total:,}{f' ({note})' if note else ''}, {elapsed:.0f} s{left}"
        if self.is_terminal:
            self.stream.write(f"\r{line:<100}", ending="\n" if is_last else "")
        else:
            self.stream.write(line)
        self.stream.flush()

    def show_job(self, job: Job) -> None:
        """Show how far a job is, once it has told how much there is to do."""
        if job.progress_total:
            self(job.progress_done, job.progress_total, job.progress_note)
