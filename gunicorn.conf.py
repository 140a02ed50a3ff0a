"""How gunicorn serves Parallax; it reads this file by itself when started in this folder.

Options on the command line and in GUNICORN_CMD_ARGS outweigh it. The address is gunicorn's own rule:
every interface at PORT when that is set, else 127.0.0.1:8000.
"""

import logging
import os
import re
import sys


def whole_number(name, default, *, most):
    """Return an environment variable as a number from 1 to `most`; end the start, naming it, otherwise."""
    text = os.environ.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        sys.exit(f"The environment variable {name} must be a whole number from 1 to {most}; it is {text!r}.")
    return int(text)


class WithoutQuery(logging.Filter):
    """Cuts queries out of gunicorn's own messages: a recruitment link's query holds a person's id."""

    def filter(self, record):
        record.msg, record.args = re.sub(r"\?\S*", "?...", record.getMessage()), ()
        return True


def on_starting(server):
    logging.getLogger("gunicorn.error").addFilter(WithoutQuery())


if "PORT" in os.environ:
    whole_number("PORT", "", most=65535)  # gunicorn reads it itself and would not name it
worker_class = "gthread"
workers = whole_number("WEB_CONCURRENCY", 2, most=64)
threads = whole_number("WEB_THREADS", 8, most=64)
timeout = 30
graceful_timeout = 30
control_socket_disable = True
# A heartbeat file on a slow disk makes healthy workers look dead.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a folder in memory
# Whoever turns the access log on (--access-logfile -) gets no query, no referrer and no address.
accesslog = None
access_log_format = '%(t)s "%(m)s %(U)s" %(s)s %(b)s %(M)sms'
# No max_requests: a worker that ends between two requests cuts connections a proxy is about to use again.
