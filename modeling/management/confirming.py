"""A question that a command asks before it does what cannot be undone."""

from django.core.management.base import CommandError


def confirm(question: str, *, yes: bool) -> None:
    """Ask for 'yes', unless it was given. Raises CommandError for any other answer, and where nobody can answer."""
    if yes:
        return
    try:
        answer = input(f"{question} [yes/no] ")
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise CommandError("Nothing was erased. Answer yes, or give --yes.")
