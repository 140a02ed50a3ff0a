import logging
import socket
import struct
import threading
import time

import pytest

from config.llm_providers import Provider
from modeling.providers import channel
from modeling.providers.caller import Answer, Caller, CallFault, ChatRequest
from modeling.providers.faults import STOPS_RUN, TRANSIENT, FaultKind

from .odd_server import COMPLETION, OddServer

KEY = "very-secret-0123456789"  # not every provider's begins with sk-
POST = "I dream of the sea, said the post."


@pytest.fixture(autouse=True)
def key(monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_ODD_API_KEY", KEY)


def make_request(**changes):
    fields = {
        "model": "tiny",
        "messages": ({"role": "user", "content": POST},),
        "temperature": 0.0,
        "seed": 7,
        "max_output_tokens": 50,
        "response_format": {"type": "json_object"},
    }
    return ChatRequest(**fields | changes)


def ask(behave, request=None, **settings):
    with OddServer(behave) as server, Caller(server.provide(**settings)) as caller:
        return caller.submit(request or make_request()).result(20)


def error(status, message, **more):
    return lambda request: request.answer(status, {"error": {"message": message, **more}})


def hang(request):
    time.sleep(3)


def drip(request):
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    for _ in range(60):
        request.wfile.write(b" ")
        time.sleep(0.05)


def reset(request):
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.rfile.close()
    request.connection.close()


def break_off(request):
    request.raw(b'HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{"choices": [')


def break_off_chunks(request):
    request.raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cho')


def pour(request):
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    for _ in range(1_000):
        request.wfile.write(b"2800\r\n" + b" " * 0x2800 + b"\r\n")


def say_nothing(request):
    request.close_connection = True


NO_JSON = b"<html><body>Please log in</body></html>"
KINDS = {
    "429": (error(429, "Slow down"), FaultKind.RATE_LIMITED),
    "429 without credit": (error(429, "Pay", code="insufficient_quota"), FaultKind.QUOTA),
    "402": (error(402, "Insufficient credits"), FaultKind.QUOTA),
    "500": (error(500, "Oh"), FaultKind.SERVER_ERROR),
    "502 of a proxy": (lambda request: request.answer(502, NO_JSON), FaultKind.SERVER_ERROR),
    "503": (error(503, "Busy"), FaultKind.SERVER_ERROR),
    "408": (error(408, "Slow"), FaultKind.TIMEOUT),
    "401": (error(401, "Incorrect API key"), FaultKind.KEY_REFUSED),
    "403": (error(403, "Not here"), FaultKind.KEY_REFUSED),
    "404": (error(404, "No such model", code="model_not_found"), FaultKind.MODEL_GONE),
    "404 of a page": (lambda request: request.answer(404, NO_JSON), FaultKind.MODEL_GONE),
    "400 for a model": (error(400, "invalid model ID", code="model_not_found"), FaultKind.MODEL_GONE),
    "400": (error(400, "No"), FaultKind.BAD_REQUEST),
    "413": (error(413, "Too much"), FaultKind.BAD_REQUEST),
    "422": (lambda request: request.answer(422, {"detail": [{"msg": "no"}]}), FaultKind.BAD_REQUEST),
    "redirect": (lambda request: request.answer(307, b"", Location="/v1/elsewhere"), FaultKind.MODEL_GONE),
    "HTML with 200": (lambda request: request.answer(200, NO_JSON), FaultKind.NOT_JSON),
    "half an object": (lambda request: request.answer(200, b'{"choices": [{"mess'), FaultKind.NOT_JSON),
    "a list": (lambda request: request.answer(200, b"[1, 2]"), FaultKind.NOT_JSON),
    "NaN": (lambda request: request.answer(200, b'{"choices": NaN}'), FaultKind.NOT_JSON),
    "nested deep": (lambda request: request.answer(200, b"[" * 100_000), FaultKind.NOT_JSON),
    "empty body": (lambda request: request.answer(200, b""), FaultKind.NOT_JSON),
    "compressed": (lambda request: request.answer(200, b"x", Content_Encoding="gzip"), FaultKind.NOT_JSON),
    "cut off": (break_off, FaultKind.CUT_OFF),
    "cut off between chunks": (break_off_chunks, FaultKind.CUT_OFF),
    "large": (lambda request: request.answer(200, b'{"a": "' + b"x" * 1_100_000), FaultKind.TOO_LARGE),
    "large without a length": (pour, FaultKind.TOO_LARGE),
    "large error": (lambda request: request.answer(500, b"x" * 1_100_000), FaultKind.TOO_LARGE),
    "no choices": (lambda request: request.answer(200, COMPLETION | {"choices": []}), FaultKind.NO_CHOICE),
    "no message": (lambda request: request.answer(200, {"choices": [{"index": 0}]}), FaultKind.NO_CHOICE),
    "an error with 200": (error(200, "Upstream is away"), FaultKind.SERVER_ERROR),
    "reset": (reset, FaultKind.UNREACHABLE),
    "closed without a word": (say_nothing, FaultKind.UNREACHABLE),
    "no HTTP": (lambda request: request.raw(b"220 ftp ready\r\n"), FaultKind.UNREACHABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_each_way_of_failing_is_told_apart(name):
    behave, kind = KINDS[name]

    fault = ask(behave)

    assert isinstance(fault, CallFault)
    assert fault.kind is kind
    assert fault.message
    assert fault.latency_seconds > 0


def test_a_completion_is_read():
    answer = ask(lambda request: request.answer())

    assert isinstance(answer, Answer)
    assert (answer.text, answer.finish_reason, answer.served_model) == ('{"a": 1}', "stop", "tiny-1")
    assert (answer.prompt_tokens, answer.completion_tokens, answer.fingerprint) == (12, 5, "fp_1")
    assert not answer.is_standin


@pytest.mark.parametrize(
    "behave",
    [
        lambda request: request.answer(x_parallax_standin="1"),
        lambda request: request.answer(body=COMPLETION | {"system_fingerprint": "parallax-standin-1"}),
    ],
    ids=["header", "fingerprint"],
)
def test_a_reply_of_the_standin_is_known_as_such(behave):
    assert ask(behave).is_standin


@pytest.mark.parametrize("status", [200, 404])
def test_a_fault_of_the_standin_is_known_as_such(status):
    assert ask(lambda request: request.answer(status, {}, x_parallax_standin="1")).is_standin


@pytest.mark.parametrize("behave", [hang, drip], ids=["hang", "drip"])
def test_the_deadline_holds_in_all(behave):
    started = time.monotonic()

    fault = ask(behave, deadline_seconds=0.4)

    assert fault.kind is FaultKind.TIMEOUT
    assert time.monotonic() - started < 2.5


def test_nobody_listening_is_unreachable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with Caller(Provider("odd", url, "LLM_ODD_API_KEY")) as caller:
            fault = caller.submit(make_request()).result(10)

    assert fault.kind is FaultKind.UNREACHABLE


def test_a_name_nobody_knows_is_unreachable():
    with Caller(Provider("odd", "http://nowhere.invalid/v1", "LLM_ODD_API_KEY")) as caller:
        assert caller.submit(make_request()).result(20).kind is FaultKind.UNREACHABLE


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("inf", None), ("soon", None)]
)
def test_the_wish_to_wait_is_passed_on(told, seconds):
    assert ask(lambda request: request.answer(429, {}, Retry_After=told)).retry_after == seconds


def test_a_redirect_is_not_followed():
    with OddServer(lambda request: request.answer(307, b"", Location="/v1/other")) as server:
        with Caller(server.provide()) as caller:
            caller.submit(make_request()).result(10)

        assert len(server.asked) == 1


def test_what_is_sent_is_the_request_and_nothing_else():
    with OddServer() as server, Caller(server.provide(is_standin=True)) as caller:
        request = make_request(logprobs=True)
        caller.submit(request).result(10)

    path, body, headers, _ = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body == request.to_body()
    assert body["max_completion_tokens"] == 50
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_the_account_at_openai_is_told_to_no_other_provider(monkeypatch):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ours")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-ours")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-ours")
    with OddServer() as server, Caller(server.provide()) as caller:
        caller.submit(make_request()).result(10)

    assert "ours" not in str(server.asked[0][2])


REFUSALS = {
    "as OpenAI": lambda field, other: {
        "error": {
            "message": f"Unsupported parameter: '{field}' is not supported with this model. Use '{other}' instead.",
            "param": field,
            "code": "unsupported_parameter",
        }
    },
    "as pydantic": lambda field, _: {
        "detail": [
            {"type": "extra_forbidden", "loc": ["body", field], "msg": "Extra inputs are not permitted"}
        ]
    },
}


@pytest.mark.parametrize("known", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("words", REFUSALS)
@pytest.mark.parametrize("is_standin", [False, True])
def test_a_server_that_knows_one_field_for_the_longest_reply_is_told_in_that(known, words, is_standin):
    fields = {"max_tokens", "max_completion_tokens"}
    (unknown,) = fields - {known}

    def behave(request):
        if unknown in request.asked:
            request.answer(400, REFUSALS[words](unknown, known))
        else:
            request.answer()

    with OddServer(behave) as server, Caller(server.provide(is_standin=is_standin)) as caller:
        answers = [caller.submit(make_request()).result(10) for _ in range(3)]

    assert all(isinstance(answer, Answer) for answer in answers)
    assert len(server.asked) <= 4
    assert [body[known] for _, body, _, _ in server.asked[1:]] == [50] * (len(server.asked) - 1)


def test_a_server_that_knows_neither_field_is_asked_twice_at_most():
    def behave(request):
        field = next(name for name in request.asked if name.startswith("max_"))
        request.answer(400, {"error": {"message": f"unknown field {field}"}})

    with OddServer(behave) as server, Caller(server.provide()) as caller:
        fault = caller.submit(make_request()).result(10)

    assert fault.kind is FaultKind.BAD_REQUEST
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("Invalid parameter: 'response_format' of type 'json_schema' is not supported", "Plain JSON"),
        ("Unsupported value: 'temperature' does not support 0 with this model.", "temperature"),
        ("Unsupported parameter: 'seed'", "seed"),
        ("logprobs are not supported with this model", "probabilities"),
    ],
)
def test_a_setting_the_model_does_not_know_is_named_and_stops_the_run(message, advice):
    fault = ask(error(400, message), make_request(logprobs=True))

    assert fault.kind is FaultKind.BAD_REQUEST
    assert advice in fault.message
    assert fault.stops_run


def test_a_post_that_is_too_long_stops_nothing_but_itself():
    told = (
        "This model's maximum context length is 8192 tokens; reduce messages, seed words or response_format."
    )

    fault = ask(error(400, told))

    assert fault.kind is FaultKind.BAD_REQUEST
    assert not fault.stops_run


def test_without_a_key_openai_is_not_even_asked(monkeypatch):
    with OddServer() as server:
        with Caller(server.provide(name="openai", key_variable="ODD_NO_KEY")) as caller:
            fault = caller.submit(make_request()).result(10)

        assert fault.kind is FaultKind.KEY_MISSING
        assert "ODD_NO_KEY" in fault.message
        assert server.asked == []


def test_a_server_at_home_needs_no_key_until_it_asks_for_one():
    assert isinstance(ask(lambda request: request.answer(), key_variable="ODD_NO_KEY"), Answer)
    assert ask(error(401, "Who?"), key_variable="ODD_NO_KEY").kind is FaultKind.KEY_MISSING


@pytest.mark.parametrize("bad", ["sk-with space", "sk-ümlaut-key", "sk-two\nlines"])
def test_a_key_that_is_none_is_never_sent(monkeypatch, bad):
    monkeypatch.setenv("LLM_ODD_API_KEY", bad)
    with OddServer() as server, Caller(server.provide()) as caller:
        fault = caller.submit(make_request()).result(10)

    assert fault.kind is FaultKind.KEY_REFUSED
    assert bad not in fault.message
    assert server.asked == []


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_a_provider_repeats_goes_no_further(status):
    fault = ask(lambda request: request.answer(status, {"error": {"message": f"Bad key {KEY}, sk-oth*****"}}))

    assert "very-secret" not in repr(fault)
    assert "sk-oth" not in repr(fault)


def test_nothing_of_a_request_reaches_a_log(caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx2", "httpcore2"):
        assert logging.getLogger(name).getEffectiveLevel() == logging.WARNING

    ask(error(500, "Oh"))
    ask(lambda request: request.answer())

    assert KEY not in caplog.text
    assert POST not in caplog.text
    assert "127.0.0.1" not in caplog.text


def test_what_no_database_can_store_is_replaced():
    text = "nul \x00, half \ud83d, whole 😀"
    body = COMPLETION | {
        "choices": [
            {
                "message": {"content": text},
                "logprobs": {"content": [{"token": "\x00", "logprob": -0.5, "top_logprobs": []}]},
            }
        ]
    }

    answer = ask(lambda request: request.answer(body=body))

    assert answer.text == "nul \ufffd, half ?, whole 😀"
    assert answer.logprobs[0]["token"] == "\ufffd"


def test_text_that_cannot_be_sent_is_a_fault_of_its_own():
    fault = ask(
        lambda request: request.answer(), make_request(messages=({"role": "user", "content": "\ud83d"},))
    )

    assert fault.kind is FaultKind.BAD_REQUEST
    assert not fault.stops_run


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert isinstance(ask(lambda request: request.answer()), Answer)


def test_many_calls_run_at_once_over_connections_that_are_kept():
    def behave(request):
        time.sleep(0.05)
        request.answer()

    with OddServer(behave) as server, Caller(server.provide()) as caller:
        started = time.monotonic()
        for _ in range(4):
            futures = [caller.submit(make_request()) for _ in range(16)]
            assert all(isinstance(future.result(20), Answer) for future in futures)
        seconds = time.monotonic() - started

    assert seconds < 2.5  # one after the other: 3.2 s
    assert len({address for *_, address in server.asked}) <= 16


def test_closing_gives_up_what_is_under_way_and_leaves_nothing_behind():
    with OddServer(hang) as server:
        caller = Caller(server.provide())
        futures = [caller.submit(make_request()) for _ in range(3)]
        while len(server.asked) < 3:
            time.sleep(0.01)
        caller.close()
        caller.close()

        assert {future.result(5).kind for future in futures} == {FaultKind.UNREACHABLE}
        with pytest.raises(RuntimeError, match="closed"):
            caller.submit(make_request())
        assert not [thread for thread in threading.enumerate() if thread.name == "ask-odd"]


def test_the_digest_covers_all_that_decides_a_reply():
    url = "http://a/v1"
    one = make_request()
    others = [
        make_request(**change).digest(url)
        for change in (
            {"model": "other"},
            {"messages": ({"role": "user", "content": "x"},)},
            {"temperature": 0.5},
            {"seed": None},
            {"max_output_tokens": 51},
            {"response_format": None},
            {"logprobs": True},
        )
    ]

    digests = {one.digest(url), one.digest(url, sample=1), one.digest("http://b/v1"), *others}

    assert len(digests) == 10
    assert one.digest(url) == make_request().digest(url)
    assert all(len(digest) == 64 for digest in digests)


def test_no_kind_of_fault_both_passes_and_stops_a_run():
    assert not TRANSIENT & STOPS_RUN


def test_the_limits_leave_room_for_the_longest_reply_wanted():
    assert ask(
        lambda request: request.answer(
            body=COMPLETION | {"choices": [{"message": {"content": "x" * (channel.MOST_BYTES // 2)}}]}
        )
    ).text.startswith("xxx")
