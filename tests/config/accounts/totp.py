"""An authenticator app, as someone has it on their telephone."""

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

PERIOD_SECONDS = 30


def read_code(secret: str, later: int = 0) -> str:
    """Return what the app shows now, or `later` periods from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // PERIOD_SECONDS + later))
