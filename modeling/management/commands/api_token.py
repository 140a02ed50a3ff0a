"""`manage.py api_token STUDY (--name TEXT [--days N] [--per-minute N] | --revoke HINT | --list)`"""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from annotation.models import Study
from modeling.models import ApiToken
from modeling.tokens import DEFAULT_PER_MINUTE, create_token, revoke_token


class Command(BaseCommand):
    help = "Make, revoke or list the tokens by which programs ask for a study's predictions."

    def add_arguments(self, parser):
        parser.add_argument("study", help="the study's slug")
        deed = parser.add_mutually_exclusive_group(required=True)
        deed.add_argument("--name", help="make a token for this purpose; it is printed once")
        deed.add_argument("--revoke", metavar="HINT", help="revoke the token that begins like this")
        deed.add_argument("--list", action="store_true", help="list the tokens by how they begin")
        parser.add_argument("--days", type=int, help="with --name: worthless after so many days (never)")
        parser.add_argument(
            "--per-minute",
            type=int,
            default=DEFAULT_PER_MINUTE,
            help=f"with --name: requests per minute ({DEFAULT_PER_MINUTE})",
        )

    def handle(self, *args, study, name, revoke, list, days, per_minute, **options):
        found = Study.objects.filter(slug=study).first()
        if found is None:
            raise CommandError(f"There is no study '{study}'.")
        if list:
            self._list(found)
        elif revoke is not None:
            self._revoke(found, revoke)
        else:
            self._make(found, name, days, per_minute)

    def _make(self, study: Study, name: str, days: int | None, per_minute: int) -> None:
        try:
            expires_at = None if days is None else timezone.now() + timedelta(days=days)
            token, secret = create_token(study, name, requests_per_minute=per_minute, expires_at=expires_at)
        except (ValueError, OverflowError) as error:
            raise CommandError(str(error)) from error
        self.stderr.write(f"Token {token.hint}… of study '{study.slug}'. It cannot be shown again:")
        self.stdout.write(secret)

    def _revoke(self, study: Study, hint: str) -> None:
        hint = hint.rstrip("….")
        matching = ApiToken.objects.filter(study=study, hint__startswith=hint, revoked_at=None)
        match [*matching[:2]]:
            case [token] if hint:
                revoke_token(token)
                self.stdout.write(f"Token {token.hint}… ('{token.name}') is revoked.")
            case []:
                raise CommandError(
                    f"No token of study '{study.slug}' that is not revoked begins with '{hint}'. "
                    f"See them: manage.py api_token {study.slug} --list"
                )
            case _:
                raise CommandError(
                    f"More than one token begins with '{hint}'; revoke it on the study's page API."
                )

    def _list(self, study: Study) -> None:
        for token in ApiToken.objects.filter(study=study):
            expires = f", until {token.expires_at:%Y-%m-%d %H:%M} UTC" if token.expires_at else ""
            used = f"{token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "never"
            state = "revoked" if token.revoked_at else f"{token.requests_per_minute} a minute{expires}"
            self.stdout.write(f"{token.hint}…  {token.name}  ({state}; last used: {used})")
