"""Serve the stand-in for a provider of language models on this machine."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from modeling.standin.script import Script, read_rule
from modeling.standin.server import StandIn

DEFAULT_PORT = 8090


class Command(BaseCommand):
    help = "Serve a stand-in for a provider of language models until Ctrl-C. Its replies come from no real model."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=DEFAULT_PORT, help="where it listens; 0 takes any free port"
        )
        parser.add_argument(
            "--fault",
            action="append",
            default=[],
            metavar="NAME[:SHARE]",
            help="play a fault, for a share of the requests, such as html_200:0.02; may be repeated",
        )
        parser.add_argument("--seed", type=int, default=0, help="of the shares")
        parser.add_argument("--latency", type=float, default=0.0, help="seconds that every answer takes")
        parser.add_argument(
            "--requests-per-minute", type=int, default=0, help="above it 429 is answered; 0 sets no limit"
        )
        parser.add_argument("--gullible", action="store_true", help="obey instructions planted in posts")

    def handle(self, *args: Any, port: int, fault: list[str], **options: Any) -> None:
        try:
            rules = tuple(read_rule(text) for text in fault)
        except ValueError as error:
            raise CommandError(str(error)) from error
        script = Script(
            rules=rules,
            seed=options["seed"],
            requests_per_minute=options["requests_per_minute"],
            latency_seconds=options["latency"],
            gullible=options["gullible"],
        )
        try:
            standin = StandIn(port, script=script)
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used: {error.strerror}. Choose another with --port."
            ) from error
        stop = threading.Event()
        with standin:
            self.stdout.write(f"The stand-in serves at {standin.url}. Its replies come from no real model.")
            self.stdout.write(
                f"Start Parallax with LLM_STANDIN_BASE_URL={standin.url} to ask it. Ctrl-C ends it."
            )
            self.stdout.flush()
            signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
            try:
                stop.wait()
            except KeyboardInterrupt:
                self.stdout.write("Stopped.")
