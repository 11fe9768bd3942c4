"""A web service as an oracle: designs out as JSON by POST, numbers back as JSON.

Sent is `{"designs": [...]}`, or with `form` "list" the bare list, "smiles" `{"smiles": [...]}`,
"reinvent4" what REINVENT4's generic REST component sends. The reply is a list of numbers, an
object of column names to such lists, either of these under "payload", or REINVENT4's
`{"output": {"successes_list": [{"query_id": "0", "output_value": 1.5}, ...]}}`.
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Literal
from urllib.parse import urlsplit

from designer.calling import gathered
from designer.errors import InputError, OracleError
from designer.plugins import needs_consent, told
from designer.protocols import Measured
from oracles import rows
from oracles.program import read

AGAIN = (408, 425, 429, 500, 502, 503, 504)  # statuses worth another try


@needs_consent
@dataclass(frozen=True)
class Rest:
    """Asks `url` for at most `batch_size` designs at a time (0: all of them at once).

    A server that is down, busy or slower than `timeout` is asked again `retries` times, with a
    pause of `backoff` seconds that doubles; then these designs are unmeasured, with the reason.
    A reply that breaks the contract raises OracleError. `token` names an environment variable
    whose value is sent as a bearer token. The run's first call on known designs refuses a server
    that is down before anything is searched.
    """

    url: str
    form: Literal["designs", "list", "smiles", "reinvent4"] = "designs"
    timeout: float = 60.0  # seconds a request
    retries: int = 3
    backoff: float = 0.5
    batch_size: int = 0
    token: str = ""
    max_output: int = 1 << 26  # bytes a reply
    endpoints: tuple[str, ...] = ()
    name: str = "rest"

    cheap = False

    def __post_init__(self) -> None:
        _check_address(self.url)
        for setting in ("timeout", "max_output"):
            if not getattr(self, setting) > 0:
                raise InputError(f"{setting} is {getattr(self, setting)}, expected more than 0")
        for setting in ("retries", "backoff", "batch_size"):
            if getattr(self, setting) < 0:
                raise InputError(f"{setting} is {getattr(self, setting)}, expected at least 0")
        if self.token and self.token not in os.environ:
            raise InputError(f"token: the environment has no variable {self.token!r}")

    def __call__(self, designs: Sequence[Any], /) -> Measured:
        """Return the service's columns [N]."""
        return gathered(self.stream(designs), designs, self.name, self.endpoints)

    def stream(self, designs: Sequence[Any], /) -> Iterator[tuple[list[int], Measured]]:
        """Return the answers of the calls, each as it comes."""
        return rows.streamed(self._ask, [design.text for design in designs], self.batch_size)

    def _ask(self, texts: Sequence[str]) -> Measured:
        body = json.dumps(_request(texts, self.form)).encode()
        why = ""
        for attempt in range(self.retries + 1):
            if attempt:
                time.sleep(self.backoff * 2 ** (attempt - 1))
            try:
                said = _numbers(read(self._post(body), self.url), len(texts), self.url)
                return rows.answer(said, len(texts), self.url, self.name, self.endpoints)
            except urllib.error.HTTPError as error:
                why = f"status {error.code} {error.reason}"
                error.close()
                if error.code not in AGAIN:
                    break
            except (OSError, ValueError, HTTPException) as error:  # no answer, or a torn one
                why = told(error)
        return rows.failure(len(texts), f"{self.url}: {why}")

    def _post(self, body: bytes) -> str:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        request = urllib.request.Request(self.url, body, headers, method="POST")
        if self.token:  # for this server alone, wherever it redirects to
            request.add_unredirected_header("Authorization", f"Bearer {os.environ[self.token]}")
        with urllib.request.urlopen(request, timeout=self.timeout) as reply:
            content: bytes = reply.read(self.max_output + 1)
            left = reply.length
        if len(content) > self.max_output:
            raise OracleError(f"{self.url} sent more than {self.max_output} bytes")
        if left:
            raise ConnectionError(f"the answer ends {left} bytes too early")
        return content.decode("utf-8")


def _check_address(url: str) -> None:
    """Raise InputError for what no request can be sent to."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InputError(f"url {url!r}: write blanks and letters beyond ASCII as %20, %C3%A9")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError as problem:  # of brackets, and of the port
        raise InputError(f"url {url!r}: {problem}") from None
    if not known:
        raise InputError(f"url {url!r}: expected http:// or https:// and a server")


def _request(texts: Sequence[str], form: str) -> Any:
    if form == "reinvent4":
        return [{"input_string": text, "query_id": str(i)} for i, text in enumerate(texts)]
    return texts if form == "list" else {form: texts}


def _numbers(said: object, count: int, source: str) -> object:
    """Return a reply as numbers; REINVENT4's form leaves gaps where designs failed."""
    output = said.get("output") if isinstance(said, Mapping) else None
    if not isinstance(output, Mapping):
        return said
    try:
        found = {int(one["query_id"]): one["output_value"] for one in output["successes_list"]}
    except (KeyError, TypeError, ValueError) as error:
        raise OracleError(f"{source}: no query_id and output_value ({error})") from None
    if not set(found) <= set(range(count)):
        raise OracleError(f"{source} answered for a query_id that was not asked for")
    return [found.get(i) for i in range(count)]
