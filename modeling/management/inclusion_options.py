"""The options by which a command is told who counts."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from modeling.inclusion import InclusionRule, Raters


def add_inclusion_options(parser: ArgumentParser) -> None:
    """Add `--with-pilot`, `--without-timed-out`, `--without-flags` and `--raters`."""
    parser.add_argument("--with-pilot", action="store_true", help="count the pilot's people too")
    parser.add_argument(
        "--without-timed-out",
        action="store_true",
        help="leave out who ran out of time and completed it later",
    )
    parser.add_argument(
        "--without-flags",
        default="",
        metavar="RULE,RULE",
        help="leave out whom these quality rules speak of, such as fast_posts,never_opens",
    )
    parser.add_argument(
        "--raters",
        choices=list(Raters),
        default=Raters.ALL,
        help="which kind of raters count; all when left out",
    )


def read_inclusion_options(options: dict[str, Any]) -> InclusionRule:
    """Return the rule that was asked for. Raises CommandError for a quality rule that does not exist."""
    try:
        return InclusionRule(
            with_pilot=options["with_pilot"],
            with_timed_out=not options["without_timed_out"],
            without_flags=tuple(key.strip() for key in options["without_flags"].split(",") if key.strip()),
            raters=options["raters"],
        )
    except ValueError as error:
        raise CommandError(f"--without-flags: {error}") from error
