"""How fast a client may ask, who counts as one client, and what Prometheus is told."""

import pytest

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
