"""Tokens let programs in, and count what they ask."""

import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from modeling.api import entry
from modeling.models import ApiToken
from modeling.tokens import create_token, revoke_token
from tests.modeling.api.conftest import Program


def test_without_a_token_nobody_comes_in(program):
    for headers in ({"Authorization": ""}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer "}):
        problem = program.ask_in_vain(401, "values", **headers)
        assert problem["errors"][0]["where"] == "Authorization"
    assert program.ask("values", Authorization="")["WWW-Authenticate"].startswith("Bearer ")


def test_unknown_expired_and_revoked_tokens_get_the_same_answer(program, study):
    now = timezone.now()
    token, expired = create_token(study, "Expired", expires_at=now + timedelta(hours=1))
    ApiToken.objects.filter(pk=token.pk).update(expires_at=now - timedelta(seconds=1))
    token, revoked = create_token(study, "Revoked")
    revoke_token(token)
    unknown = [program.secret + "x", program.secret[:-1], token.digest, "plx_\xff"]
    answers = [
        program.ask_in_vain(401, "values", Authorization=f"Bearer {secret}")
        for secret in (*unknown, expired, revoked)
    ]
    assert all(answer == answers[0] for answer in answers)


def test_the_word_bearer_is_taken_in_any_case(program):
    assert program.ask("values", Authorization=f"bearer  {program.secret} ").status_code == 200


def test_use_is_noted_once_a_minute(program, study):
    program.ask_well("values")
    noted = study.api_tokens.get().last_used_at
    program.ask_well("values")
    assert study.api_tokens.get().last_used_at == noted
    study.api_tokens.update(last_used_at=noted - timedelta(minutes=2))
    program.ask_well("values")
    assert study.api_tokens.get().last_used_at > noted - timedelta(minutes=1)


def test_requests_beyond_the_limit_are_told_when_to_come_again(client, serving, study, monkeypatch):
    program = Program(client, create_token(study, "Slow", requests_per_minute=2)[1])
    other = Program(client, create_token(study, "Other", requests_per_minute=1)[1])
    clock = [(time.time() // 60 + 1) * 60 + 40]
    monkeypatch.setattr(entry, "time", SimpleNamespace(time=lambda: clock[0]))
    assert [program.ask("values").status_code for _ in range(3)] == [200, 200, 429]
    refused = program.ask("values")
    assert refused["Retry-After"] == "20"
    assert other.ask("values").status_code == 200
    clock[0] += 20
    assert program.ask("values").status_code == 200
    clock[0] -= 30  # a server whose clock is behind
    assert [program.ask("values").status_code for _ in range(2)] == [200, 429]


def test_what_is_refused_for_its_content_counts_too(client, serving, study):
    program = Program(client, create_token(study, "One", requests_per_minute=1)[1])
    program.ask_in_vain(422, "predict", {})
    program.ask_in_vain(429, "predict", {})


@pytest.mark.servers
@pytest.mark.django_db(transaction=True)
def test_the_count_is_exact_when_many_ask_at_once(serving, study):
    secret = create_token(study, "Busy", requests_per_minute=10)[1]
    n_threads, statuses = 4, []
    barrier = threading.Barrier(n_threads)

    def ask():
        program = Program(Client(), secret)
        barrier.wait()
        try:
            statuses.extend(program.ask("values").status_code for _ in range(6))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 10 + [429] * 14
