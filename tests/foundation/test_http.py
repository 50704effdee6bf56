from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from foundation import http

TRICKS = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "https://",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://localhost/",
    "https://localhost./",
    "https://[::1]/",
    "https://[::]/",
    "https://0.0.0.0/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[fe80::1]/",
    "https://[fc00::1]/",
    "https://[ff02::1]/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://192.0.2.1/",
    "https://198.18.0.1/",
    "https://240.0.0.1/",
    "https://user:password@93.184.216.34/",
    "https://93.184.216.34:8443/",
    "https://93.184.216.34:22/",
    "https://93.184.216.34:99999/",
    "https://127.0.0.1:443@127.0.0.1/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://127.0.0.1%2f@127.0.0.1/",
    "https://127.0.0.1./",
    "https://127。0。0。1/",  # ideographic full stops
    "https://①②⑦.⓪.⓪.①/",  # digits that fold to 127.0.0.1
    "https://0177.0.0.01/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://017700000001/",
    "https://0/",
    "https://[::127.0.0.1]/",
    "https://[::10.0.0.1]/",
    "https://[::ffff:0:127.0.0.1]/",
    "https://[fec0::1]/",
    "https://[5f00::1]/",
    "https://[4000::1]/",
    "https://[3fff::1]/",
    "https://[2001:db8::1]/",
    "https://[fe80::1%25lo]/",
    "https://[64:ff9b:1::7f00:1]/",
    "https://192.88.99.1/",
    "https://192.0.0.8/",
    "https://203.0.113.9/",
    "https://93.184.216.34:0/",
    "https://LOCALHOST/",
    "https://localhost.localdomain/",
    "https://foo.localhost/",
    "https://ip6-localhost/",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "HTTPS://127.0.0.1/",
    "https:///127.0.0.1/",
    "https:127.0.0.1/",
    "https://127.0.0.1\\@example.com/",
    "https://\t127.0.0.1/",
]


@pytest.fixture
def no_connection(monkeypatch):
    """Fails the test if a socket is ever connected."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"connected to {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("url", TRICKS)
def test_addresses_that_lead_inside_are_refused_before_anything_is_sent(url, no_connection):
    with pytest.raises(http.Blocked):
        http.request("GET", url)


def test_there_are_enough_tricks():
    assert len(set(TRICKS)) >= 60


def test_proxies_of_the_environment_and_redirects_lead_nowhere(monkeypatch, no_connection):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:3128")
    with pytest.raises(http.Blocked):
        http.request("GET", "https://10.0.0.1/")


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch, no_connection):
    answers = [(2, 1, 6, "", ("93.184.216.34", 443)), (2, 1, 6, "", ("10.0.0.5", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(http.Blocked):
        http.request("GET", "https://example.com/")


def test_the_address_checked_is_the_address_called(monkeypatch):
    """A name that changes its address between check and call cannot lead inside: it is resolved once."""
    resolved, called = [], []

    def resolve(host, port, *_, **__):
        resolved.append(host)
        return [(2, 1, 6, "", ("93.184.216.34" if len(resolved) == 1 else "127.0.0.1", 443))]

    def connect(address, timeout, **_):
        called.append(address)
        raise OSError("stopped here")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(http, "create_connection", connect)
    with pytest.raises(Exception, match="stopped here"):
        http.request("GET", "https://rebind.example/")
    assert called == [("93.184.216.34", 443)]
    assert resolved == ["rebind.example"]


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "8.8.8.8"])
def test_public_addresses_pass(text):
    assert http.is_public(ipaddress.ip_address(text))


def test_the_name_in_the_certificate_still_counts(settings):
    """A listener without TLS on an allowed network gets a handshake, not our request."""
    settings.GUARDED_CLIENT_ALLOWS = ["127.0.0.0/8"]
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                received.append(peer.recv(100))

        listener = threading.Thread(target=answer)
        listener.start()
        with pytest.raises(http.requests.exceptions.ConnectionError):
            http.request("GET", f"https://127.0.0.1:{server.getsockname()[1]}/")
        listener.join()
    assert received[0][:1] == b"\x16"  # a TLS record
