"""A bucket on this machine that speaks S3's protocol over HTTP and answers signed requests alone."""

import hashlib
import hmac
import re
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape

NAME, ACCESS_KEY, SECRET_KEY = "results", "AKIDOFTESTS", "not-a-secret-of-anybody-0123456789"
PORTION = 3  # files in one page of a listing


class Bucket:
    """`with Bucket() as bucket`: `files` holds its content, `seen` each request, `failures` how many get a 503."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.seen: list[tuple[str, str, str | None]] = []
        self.failures = 0
        bucket = self
        handler = type("BoundHandler", (Handler,), {"bucket": bucket})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def url(self, prefix: str = "lab/one", name: str = NAME) -> str:
        return f"s3://{name}/{prefix}?endpoint_url={quote(self.endpoint)}"

    def count(self, method: str) -> int:
        return sum(seen[0] == method for seen in self.seen)

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def answer(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.bucket.seen.append((self.command, self.path, self.headers.get("Range")))
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        _, name, *rest = unquote(parts.path).split("/", 2)
        key = rest[0] if rest else ""
        if self.bucket.failures:
            self.bucket.failures -= 1
            return self.fail(503, "SlowDown")
        if fault := self.find_fault(parts.path, parts.query):
            return self.fail(403, fault)
        if name != NAME:
            return self.fail(404, "NoSuchBucket")
        return getattr(self, f"on_{self.command.lower()}")(key, query)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = answer  # noqa: N815

    def find_fault(self, path: str, query: str) -> str:
        """Compute the signature (AWS Signature Version 4) as the sender must have; '' when it is the same."""
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/[\w-]+/s3/aws4_request), "
            r"SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})",
            self.headers.get("Authorization", ""),
        )
        if not found:
            return "AccessDenied"
        account, scope, names, signature = found.groups()
        digest = self.headers["x-amz-content-sha256"]
        if account != ACCESS_KEY:
            return "InvalidAccessKeyId"
        if digest not in ("UNSIGNED-PAYLOAD", hashlib.sha256(self.body).hexdigest()):
            return "XAmzContentSHA256Mismatch"
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        asked = "&".join(f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}" for key, value in pairs)
        headers = "".join(f"{name}:{' '.join(self.headers[name].split())}\n" for name in names.split(";"))
        request = "\n".join([self.command, path, asked, headers, names, digest])
        text = "\n".join(
            [
                "AWS4-HMAC-SHA256",
                self.headers["x-amz-date"],
                scope,
                hashlib.sha256(request.encode()).hexdigest(),
            ]
        )
        key = f"AWS4{SECRET_KEY}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        right = hmac.new(key, text.encode(), "sha256").hexdigest()
        return "" if hmac.compare_digest(right, signature) else "SignatureDoesNotMatch"

    def on_put(self, key: str, query: dict[str, str]) -> None:
        if "uploadId" in query:
            self.bucket.uploads[query["uploadId"]][int(query["partNumber"])] = self.body
        else:
            self.bucket.files[key] = self.body
        self.reply(200)

    def on_post(self, key: str, query: dict[str, str]) -> None:
        if "uploads" in query:
            number = f"upload-{len(self.bucket.uploads)}"
            self.bucket.uploads[number] = {}
            self.reply(200, xml=f"<InitiateMultipartUploadResult><UploadId>{number}</UploadId>"
                       "</InitiateMultipartUploadResult>")  # fmt: skip
        else:
            parts = self.bucket.uploads.pop(query["uploadId"])
            self.bucket.files[key] = b"".join(parts[number] for number in sorted(parts))
            self.reply(
                200, xml='<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'
            )

    def on_get(self, key: str, query: dict[str, str]) -> None:
        if not key:
            self.list(query)
        elif key not in self.bucket.files:
            self.fail(404, "NoSuchKey")
        elif asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            content = self.bucket.files[key]
            first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            self.reply(206, content[first : last + 1],
                       headers={"Content-Range": f"bytes {first}-{last}/{len(content)}"})  # fmt: skip
        else:
            self.reply(200, self.bucket.files[key])

    on_head = on_get

    def on_delete(self, key: str, query: dict[str, str]) -> None:
        self.bucket.files.pop(key, None)
        self.reply(204)

    def list(self, query: dict[str, str]) -> None:
        """Answer ListObjectsV2, page by page."""
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        under = sorted(key for key in self.bucket.files if key.startswith(prefix))
        folders = sorted(
            {prefix + key[len(prefix) :].split("/")[0] + "/" for key in under if "/" in key[len(prefix) :]}
        )
        files = [key for key in under if "/" not in key[len(prefix) :] and key > after]
        more = len(files) > PORTION
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.bucket.files[key])}</Size></Contents>"
            for key in files[:PORTION]
        )
        listed += (
            ""
            if after
            else "".join(
                f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>" for folder in folders
            )
        )
        if more:
            listed += f"<NextContinuationToken>{escape(files[PORTION - 1])}</NextContinuationToken>"
        self.reply(
            200,
            xml=f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{listed}</ListBucketResult>",
        )

    def fail(self, status: int, code: str) -> None:
        self.reply(status, xml=f"<Error><Code>{code}</Code><Message>no</Message></Error>")

    def reply(
        self, status: int, content: bytes = b"", *, xml: str = "", headers: dict[str, str] | None = None
    ) -> None:
        content = xml.encode() if xml else content
        self.send_response(status)
        for name, value in {
            "ETag": '"x"',
            "Last-Modified": formatdate(usegmt=True),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(content)
