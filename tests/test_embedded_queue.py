"""The laptop's queue: a message is there whole or not at all."""

import json
import threading

from kombu import Connection

from config.celery import app
from config.embedded_queue import Transport


def build_channel(folder):
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
        "store_processed": False,
    }
    return Connection("filesystem://localhost", transport_options=options).channel()


def test_the_application_uses_it():
    assert isinstance(app.connection_for_write("filesystem://localhost").transport, Transport)


def test_what_is_put_comes_out_in_order(tmp_path):
    channel = build_channel(tmp_path)
    for number in range(3):
        channel._put("celery", {"number": number})
    assert [channel._get("celery")["number"] for _ in range(3)] == [0, 1, 2]
    assert not list(tmp_path.glob("*.msg"))


def test_a_reader_never_meets_half_a_message(tmp_path):
    channel = build_channel(tmp_path)
    finished = threading.Event()

    def write():
        for number in range(400):
            channel._put("celery", {"number": number, "body": "x" * 20_000})
        finished.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not finished.is_set() or list(tmp_path.glob("[0-9]*.celery.msg")):
        for path in tmp_path.glob("[0-9]*.celery.msg"):  # as kombu does: what begins with a dot is no message
            json.loads(path.read_text())
            path.unlink()
            seen += 1
    writer.join()
    assert seen == 400
