"""Which servers of language models an installation may ask, read from the environment.

A researcher chooses a provider by its name; addresses and keys are the operator's. So nothing that is typed into a
page can make this machine call an address, and no key lies in the database.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

VARIABLE = "LLM_PROVIDERS"
OPENAI = "openai"
OPENAI_URL = "https://api.openai.com/v1"
STANDIN = "standin"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_NUMBER = re.compile(r"[0-9]{1,9}")


class ProviderError(ValueError):
    """The environment describes a provider that cannot be asked."""


@dataclass(frozen=True)
class Provider:
    """A server that speaks OpenAI's HTTP API.

    Attributes
    ----------
    name : what researchers choose it by
    base_url : where its API begins, such as 'https://api.openai.com/v1'
    key_variable : the environment variable that holds the key; the key itself is read when it is used
    requests_per_minute, tokens_per_minute : what all processes together may ask of it; 0 sets no limit
    deadline_seconds : how long one call may take in all
    is_standin : whether it is the stand-in, whose replies come from no real model
    """

    name: str
    base_url: str
    key_variable: str
    requests_per_minute: int = 500
    tokens_per_minute: int = 200_000
    deadline_seconds: float = 60.0
    is_standin: bool = False

    def get_key(self) -> str:
        """Return the key, '' when the environment has none."""
        return os.environ.get(self.key_variable, "")


def read_providers(environment: Mapping[str, str]) -> dict[str, Provider]:
    """Return the providers that the environment names.

    `LLM_PROVIDERS` lists them, such as 'openai,campus'; without it, 'openai' is known when `OPENAI_API_KEY` is set,
    and 'standin' when `LLM_STANDIN_BASE_URL` is. Each reads its own variables, `LLM_CAMPUS_BASE_URL` and so on.

    Raises
    ------
    ProviderError
        Naming the variable at fault.
    """
    listed = environment.get(VARIABLE, "").strip()
    names = [name.strip() for name in listed.split(",") if name.strip()] if listed else _guess(environment)
    if len(set(names)) < len(names):
        raise ProviderError(f"{VARIABLE} names a provider twice: '{listed}'.")
    return {name: _read(name, environment) for name in names}


def _guess(environment: Mapping[str, str]) -> list[str]:
    told = {OPENAI: "OPENAI_API_KEY", STANDIN: "LLM_STANDIN_BASE_URL"}
    return [name for name, variable in told.items() if environment.get(variable, "").strip()]


def _read(name: str, environment: Mapping[str, str]) -> Provider:
    if not _NAME.fullmatch(name):
        raise ProviderError(
            f"{VARIABLE} names '{name}'; a provider's name has 1 to 30 small letters, digits and _, a letter first."
        )
    prefix = f"LLM_{name.upper()}_"
    url_variable, key_variable, default = f"{prefix}BASE_URL", f"{prefix}API_KEY", ""
    if name == OPENAI:
        url_variable, key_variable, default = "OPENAI_BASE_URL", "OPENAI_API_KEY", OPENAI_URL
    url = (environment.get(url_variable, "").strip() or default).rstrip("/")
    if not _is_address(url):
        raise ProviderError(
            f"{url_variable} must be the address of an API, such as 'http://localhost:11434/v1', without a name, "
            "password or query in it; the key has a variable of its own."
        )
    return Provider(
        name=name,
        base_url=url,
        key_variable=key_variable,
        requests_per_minute=_read_number(environment, f"{prefix}REQUESTS_PER_MINUTE", 500, 0),
        tokens_per_minute=_read_number(environment, f"{prefix}TOKENS_PER_MINUTE", 200_000, 0),
        deadline_seconds=_read_number(environment, f"{prefix}DEADLINE_SECONDS", 60, 1),
        is_standin=name == STANDIN,
    )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that cannot be
    except ValueError:
        return False
    is_web = (
        parts.scheme in ("http", "https") and bool(parts.hostname) and url.isascii() and url.isprintable()
    )
    return is_web and "@" not in parts.netloc and not set(url) & set("?# ")


def _read_number(environment: Mapping[str, str], variable: str, default: int, least: int) -> int:
    text = environment.get(variable, "").strip()
    if not text:
        return default
    if not _NUMBER.fullmatch(text) or int(text) < least:
        raise ProviderError(f"{variable} must be a whole number of {least} or more, not '{text}'.")
    return int(text)
