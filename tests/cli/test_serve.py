"""``mien serve`` as it is typed."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--host", "0.0.0.0"], "host must be 127.0.0.1, or given with a token"),
        (["--token", "short"], "token must be 8 characters or more"),
        (["--port", "70000"], "port must be a number from 0 to 65535"),
        (["--max-mb", "0"], "limits.upload_bytes must be a whole number from 1"),
        (["--max-mb", "inf"], "--max-mb must be a finite number; given inf"),
        (["--max-mb", "nan"], "--max-mb must be a finite number; given nan"),
        (["--max-mb", "1e305"], "--max-mb must be a finite number; given 1e+305"),
        (["--max-megapixels", "inf"], "--max-megapixels must be a finite number; given inf"),
        (["--rate", "inf"], "--rate must be a finite number; given inf"),
        (["--token", "abc+defgh"], "9 characters, 1 of them others"),
        (["--emotions", "angr,calm"], "Did you mean 'angry'?"),
        (["--model", "resnet.fer"], "Did you mean 'resnet.ferplus'?"),
        (["--host", "192.0.2.1", "--token", "a-token-that-is-long"], "is no address of this machine"),
    ],
)
def test_what_cannot_be_served_is_said(run, monkeypatch, words, complaint):
    monkeypatch.delenv("MIEN_TOKEN", raising=False)
    result = run("serve", *words)
    assert result.code == 1
    assert complaint in result.err
    assert "Traceback" not in result.err


def test_a_port_that_is_taken(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", port)
    assert result.code == 1
    assert result.err.startswith(
        f"mien: Port {port} of 127.0.0.1 is taken by another program; choose another"
    )
    assert result.err.count("\n") == 1


def test_without_its_packages_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = run("serve", "--port", "0")
    assert result.code == 1
    assert "pip install 'mien[serve]'" in result.err


@pytest.mark.parametrize("token", [None, "a-token-that-is-long"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_ended(token, end):
    command = [sys.executable, "-m", "mien", "serve", "--port", "0", "--emotions", "anger,calm"]
    options = {"env": {"MIEN_TOKEN": token, "PATH": ""}} if token else {}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    ) as server:
        try:
            url = re.search(r"http://127.0.0.1:\d+", server.stdout.readline()).group()
            request = urllib.request.Request(f"{url}/v1/models", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert json.load(answer)["emotions"] == ["anger", "neutral"]
        finally:
            server.send_signal(end)
            said = server.stderr.read()
    assert said == ""
    assert server.returncode == (0 if end == signal.SIGINT else -signal.SIGTERM)
