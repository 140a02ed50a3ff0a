from collections.abc import Iterator

import openai
import pytest

from modeling.standin.server import StandIn


@pytest.fixture
def standin() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server


@pytest.fixture(scope="session")
def connection() -> Iterator[openai.OpenAI]:
    """One client for all tests: making one reads the machine's certificates."""
    with openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key="any", max_retries=0, timeout=5) as opened:
        yield opened


@pytest.fixture
def client(standin: StandIn, connection: openai.OpenAI) -> openai.OpenAI:
    return connection.with_options(base_url=standin.url)
