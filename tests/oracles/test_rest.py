"""A web service as an oracle, against a small server on this machine."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from socketserver import StreamRequestHandler, TCPServer
from threading import Thread

import pytest
from drugs import drugs
from webservice import Service

from designer.errors import InputError, OracleError
from designer.meter import Meter
from designer.plugins import resolve
from oracles import ORACLES
from oracles.rest import Rest


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    service = Service()
    yield service
    service.close()


TWO = drugs()[:2]
LENGTHS = [float(len(design.text)) for design in TWO]


def test_designs_out_numbers_in(service: Service) -> None:
    found = Rest(service.url)(TWO)
    assert found.columns["rest"].tolist() == LENGTHS
    assert service.asked == [{"designs": [design.text for design in TWO]}]
    assert "Authorization" not in service.headers[0]


def test_batches_and_a_token(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "secret")
    Rest(service.url, batch_size=1, token="SERVICE_TOKEN")(TWO)
    assert [len(asked["designs"]) for asked in service.asked] == [1, 1]
    assert service.headers[1]["Authorization"] == "Bearer secret"


def test_several_endpoints(service: Service) -> None:
    service.reply = lambda asked: (200, '{"version": 1, "payload": {"a": [1, null], "b": [3, 4]}}')
    found = Rest(service.url, form="smiles", endpoints=("a", "b"))(TWO)
    assert found.columns["a"][0] == 1.0 and math.isnan(found.columns["a"][1])
    assert found.columns["b"].tolist() == [3.0, 4.0]
    assert list(service.asked[0]) == ["smiles"]


def test_the_form_of_reinvent4(service: Service) -> None:
    said = {"output": {"successes_list": [{"query_id": "1", "output_value": "2.5"}]}}
    said["output"]["successes_list"][0]["output_value"] = 2.5
    service.reply = lambda asked: (200, json.dumps(said))
    found = Rest(service.url, form="reinvent4")(TWO)
    assert math.isnan(found.columns["rest"][0]) and found.columns["rest"][1] == 2.5
    assert service.asked[0][1] == {"input_string": TWO[1].text, "query_id": "1"}
    said["output"]["successes_list"][0]["query_id"] = "7"
    with pytest.raises(OracleError, match="not asked for"):
        Rest(service.url, form="reinvent4")(TWO)


def test_busy_is_tried_again(service: Service) -> None:
    service.reply = lambda asked: (503, "") if len(service.asked) < 3 else (200, "[1, 2]")
    found = Rest(service.url, backoff=0.0)(TWO)
    assert found.columns["rest"].tolist() == [1.0, 2.0] and len(service.asked) == 3


@pytest.mark.parametrize(("status", "calls"), [(500, 3), (404, 1)])
def test_failures_are_unmeasured(service: Service, status: int, calls: int) -> None:
    service.reply = lambda asked: (status, "")
    found = Rest(service.url, retries=2, backoff=0.0)(TWO)
    assert len(service.asked) == calls
    assert all(math.isnan(v) for v in found.columns["rest"]) and f"{status}" in found.errors[1]


@pytest.mark.parametrize("said", ["[1]", '[1, "x"]', '{"a": 1}', "{", "oops\noops"])
def test_a_broken_contract_is_an_error(service: Service, said: str) -> None:
    service.reply = lambda asked: (200, said)
    with pytest.raises(OracleError, match=r"127\.0\.0\.1"):
        Rest(service.url)(TWO)


def test_too_much_is_an_error(service: Service) -> None:
    service.reply = lambda asked: (200, " " * 100 + "[1, 2]")
    with pytest.raises(OracleError, match="more than 50 bytes"):
        Rest(service.url, max_output=50)(TWO)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"220 mail.example ESMTP\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n[1,", "ends 96 bytes too early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1", "IncompleteRead"),
    ],
)
def test_a_torn_answer_is_asked_for_again(
    said: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    asked = []

    class Torn(StreamRequestHandler):
        def handle(self) -> None:
            size = 0
            while line := self.rfile.readline().strip().lower():
                size = int(line.split()[1]) if line.startswith(b"content-length") else size
            asked.append(self.rfile.read(size))
            self.wfile.write(said)

    with TCPServer(("127.0.0.1", 0), Torn) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        found = Rest(f"http://127.0.0.1:{server.server_address[1]}", retries=1, backoff=0.0)(TWO)
        server.shutdown()
        thread.join()
    assert len(asked) == 2
    assert all(math.isnan(v) for v in found.columns["rest"]) and why in found.errors[1]


def test_a_token_is_for_one_server_alone(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "secret")
    other = Service()
    service.location = f"{other.url}/elsewhere"
    service.reply = lambda asked: (303, "")
    found = Rest(service.url, token="SERVICE_TOKEN", retries=0)(TWO)
    other.close()
    assert service.headers[0]["Authorization"] == "Bearer secret"
    assert len(other.headers) == 1 and "Authorization" not in other.headers[0]
    assert list(found.errors) == [0, 1]


def test_down_at_the_start_is_refused(service: Service) -> None:
    url = service.url
    service.server.server_close()
    with pytest.raises(OracleError, match="could not measure known designs"):
        Meter([Rest(url, retries=1, backoff=0.0)]).preflight(TWO)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/b", "example.org", "http://"])
def test_what_is_no_service(url: str) -> None:
    with pytest.raises(InputError, match="http"):
        Rest(url)


@pytest.mark.parametrize("path", [":abc/x", ":99999/", "/a b", "/\u00e9", "/\n", "[::1"])
def test_an_address_that_no_request_can_be_sent_to(path: str) -> None:
    with pytest.raises(InputError, match=r"^url"):
        Rest(f"http://localhost{path}")


def test_it_needs_consent() -> None:
    with pytest.raises(InputError, match="allow-plugins"):
        resolve("rest", ORACLES)
    with pytest.raises(InputError, match="no variable"):
        Rest("http://localhost", token="NO_SUCH_VARIABLE")
