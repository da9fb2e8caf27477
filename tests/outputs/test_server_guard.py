"""How fast a client may ask, who counts as one client, and what Prometheus is told."""

import pytest

from mien.errors import ArgumentError
from mien.outputs.server.guard import Policy
from mien.outputs.server.limits import MOST_CLIENTS, RateLimiter, client_key
from mien.outputs.server.metrics import BUCKETS_S, FAMILIES, Metrics


def test_a_bucket_holds_a_burst_and_fills_again():
    now = [0.0]
    limiter = RateLimiter(2.0, 3, clock=lambda: now[0])
    assert [limiter.take("1.2.3.4") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
    assert limiter.take("1.2.3.5") == 0
    now[0] = 0.25
    assert limiter.take("1.2.3.4") == pytest.approx(0.25)
    now[0] = 0.5
    assert [limiter.take("1.2.3.4") for _ in range(2)] == [0, pytest.approx(0.5)]
    now[0] = 1000
    assert [limiter.take("1.2.3.4") > 0 for _ in range(4)] == [False, False, False, True]


def test_no_limit_remembers_nobody():
    limiter = RateLimiter(float("inf"), 1)
    assert [limiter.take("1.2.3.4") for _ in range(5)] == [0] * 5
    assert len(limiter) == 0


def test_clients_without_number_are_not_all_remembered():
    limiter = RateLimiter(0.001, 1, clock=lambda: 0.0)
    for number in range(MOST_CLIENTS + 10):
        limiter.take(f"10.0.{number // 256}.{number % 256}")
    assert len(limiter) == MOST_CLIENTS
    assert limiter.take("10.0.0.200") > 0  # still known


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.2.3.4", "1.2.3.5", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:1.2.3.4", "1.2.3.4", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("unknown", "testclient", False),
    ],
)
def test_who_is_one_client(one, other, same):
    assert (client_key(one) == client_key(other)) == same


def a_request(**headers):
    named = {"host": "127.0.0.1", **headers}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
    return {"path": "/v1/models", "query_string": b"", "headers": pairs}


@pytest.mark.parametrize(
    ("token", "given"),
    [
        ("short", "5 characters, 0 of them others"),
        ("       \n", "0 characters, 0 of them others"),
        ("abc+def/gh==", "12 characters, 4 of them others"),
        ("a token so long", "15 characters, 3 of them others"),
        ("schlüssel", "9 characters, 1 of them others"),
    ],
)
def test_a_token_that_not_every_client_can_send(token, given):
    with pytest.raises(ArgumentError, match=rf"token must be 8 characters .* - \. _ ~; given '{given}'\.$"):
        Policy(RateLimiter(1, 1), token=token)


@pytest.mark.parametrize("token", [" a_token~1.0\n", "a_token~1.0"])
def test_white_space_around_a_token_is_none_of_it(token):
    policy = Policy(RateLimiter(float("inf"), 1), token=token)
    assert policy.token == "a_token~1.0"
    assert policy.judge(a_request(authorization="Bearer a_token~1.0")) is None
    assert policy.judge({**a_request(), "query_string": b"token=a_token~1.0"}) is None
    assert policy.judge(a_request(authorization="Bearer a_token~1.1")).status == 401


@pytest.mark.parametrize("origin", ["http://[", "https://[::1", "http://a\xbd/"])
def test_an_origin_that_is_no_address_is_a_strangers(origin):
    policy = Policy(RateLimiter(float("inf"), 1))
    assert policy.judge(a_request(origin=origin)).status == 403


def test_counts_as_prometheus_reads_them():
    metrics = Metrics()
    metrics.count("mien_requests_total", path='/a"b\\c\n', status="200")
    metrics.count("mien_faces_total", 3)
    for seconds in (0.001, 0.005, 0.03, 99):
        metrics.observe("mien_picture_seconds", seconds)
    lines = metrics.text({"mien_watchers": 2, "mien_uptime_seconds": 1.5}, {"mien_more": 0.25}).splitlines()
    assert r'mien_requests_total{path="/a\"b\\c\n",status="200"} 1' in lines
    assert {"mien_faces_total 3", "mien_watchers 2", "mien_uptime_seconds 1.5", "mien_more 0.25"} <= set(
        lines
    )
    assert 'mien_picture_seconds_bucket{le="0.005"} 2' in lines
    assert 'mien_picture_seconds_bucket{le="0.04"} 3' in lines
    assert 'mien_picture_seconds_bucket{le="+Inf"} 4' in lines
    assert "mien_picture_seconds_sum 99.036" in lines
    assert sum(line.startswith("mien_picture_seconds_bucket") for line in lines) == len(BUCKETS_S) + 1
    assert [line.split()[2] for line in lines if line.startswith("# HELP")] == list(FAMILIES)
    assert metrics.value("mien_faces_total") == 3
