"""Language models behind the OpenAI protocol: calls, faults, limits, tapes, keys."""

import json
import subprocess
import sys
import threading
import time

import pytest

from jaxswarm import language
from jaxswarm.errors import ReplayError
from jaxswarm.language import _attempts
from tests import language_server as world

QUESTIONS = ["12=", "34=", "12="]


@pytest.fixture(scope="module")
def server():
    with world.serve(world.untrained(), handler=world.Faulty) as running:
        yield running


@pytest.fixture
def faults():
    world.Faulty.script, world.Faulty.seen = [], []
    yield world.Faulty
    world.Faulty.script = []


def connect(server, **options):
    options = {"seed": 3, "backoff": 0.01, "max_new_tokens": 3} | options
    return language.openai_compatible(server.base_url, server.name, **options)


def test_importing_and_building_open_no_connection():
    code = (
        "import socket, sys\n"
        "def refuse(*args): raise AssertionError('network')\n"
        "socket.socket.connect = socket.socket.bind = refuse\n"
        "from jaxswarm import language\n"
        "language.openai_compatible('http://example.invalid/v1', 'small').close()\n"
        "assert 'openai' not in sys.modules and 'httpx2' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_chat_and_completions_give_the_same_texts_and_count_tokens(server):
    found = []
    for api in ("chat", "completions"):
        with connect(server, api=api) as client:
            assert client.models() == ["small"]
            found.append([reply._replace(latency=0) for reply in client.generate(QUESTIONS)])
            usage = client.usage()
            assert usage.prompt_tokens == 9
            assert usage.completion_tokens == sum(x.completion_tokens for x in found[-1])
            assert (usage.requests, usage.replies, usage.retries) == (4, 3, 0)
    assert found[0] == found[1]
    assert found[0][0] != found[0][2]  # equal prompts are calls with seeds of their own


def test_labels_give_equal_prompts_seeds_of_their_own(server):
    with connect(server) as client, connect(server, max_concurrency=1) as other:
        found = client(["12="]), other.generate(["12="] * 3, labels=["a", "b", None])
        texts = [reply.text for reply in found[1]]
        assert texts[2:] == found[0]
        backwards = client.generate(["12="] * 2, labels=["b", "a"])
        assert [reply.text for reply in backwards] == texts[1::-1]


def test_replies_end_at_the_length_or_at_a_stop(server):
    with connect(server, temperature=0.0, max_new_tokens=1) as client:
        (first,) = client.generate(["12="])
        assert first.completion_tokens == 1
    with connect(server, temperature=0.0, stop=[first.text]) as client:
        (reply,) = client.generate([[{"role": "user", "content": "12="}]])
        assert (reply.text, reply.finished) == ("", True)
    with connect(server, temperature=0.0, system="3") as client:
        assert client.generate(["12="])[0].prompt_tokens == 3 + 2  # the newline between messages


def test_server_errors_and_no_answer_in_time_are_retried(server, faults):
    with connect(server, timeout=0.2) as client:
        faults.script = [(500, {}), (503, {}), "slow"]
        assert isinstance(client.generate(["12="])[0].text, str)
        assert client.usage()[:3] == (4, 3, 1)


def test_retries_are_bounded(server, faults):
    with connect(server, max_retries=1) as client:
        faults.script = [(500, {})] * 2
        with pytest.raises(language.EndpointError, match="500") as caught:
            client.generate(["12="])
        assert (caught.value.kind, caught.value.status, not faults.script) == ("status", 500, True)
        assert client.usage()[:5] == (2, 1, 0, 0, 1)


def test_too_many_requests_waits_as_long_as_the_server_asks(server, faults):
    with connect(server, backoff=30.0) as client:
        faults.script = [(429, {"Retry_After": "0.3"})]
        start = time.monotonic()
        client.generate(["12="])
        assert 0.3 <= time.monotonic() - start < 10.0
        faults.script = [(429, {"Retry_After": "100000"})]
        with pytest.raises(language.EndpointError, match="429"):
            client.generate(["12="])


@pytest.mark.parametrize(
    "fault",
    [b"<html>", b"[1]", b'{"choices": []}', b'{"choices": [{"message": {"content": 3}}]}', b"\xff"],
)
def test_malformed_replies_fail_at_once(server, faults, fault):
    with connect(server) as client:
        faults.script = [fault]
        with pytest.raises(language.EndpointError, match="expected a reply") as caught:
            client.generate(["12="])
        assert (caught.value.kind, client.usage().requests) == ("malformed", 1)


def test_a_reply_without_token_counts_is_reported(server, faults):
    with connect(server) as client:
        faults.script = [b'{"choices": [{"message": {"content": "7"}, "finish_reason": "stop"}]}']
        assert client.generate(["12="])[0][:4] == ("7", True, 0, 0)
        assert client.usage().unreported == 1


def test_no_server_is_a_failure_and_none_in_its_place():
    with language.openai_compatible("http://127.0.0.1:9/v1", "m", max_retries=0) as client:
        assert client(["1", "2"]) == [None, None]
        with pytest.raises(language.EndpointError, match="no connection"):
            client.generate(["1"])


def test_unknown_models_routes_and_prompts_are_refused(server):
    with language.openai_compatible(server.base_url, "large", backoff=0.01) as client:
        with pytest.raises(language.EndpointError, match=r"404.*expected 'small'"):
            client.generate(["12="])
    with connect(server, extra={"top_p": 0.5}) as client:
        with pytest.raises(language.EndpointError, match=r"400.*top_p"):
            client.generate(["12="])
        assert client(["é", "1" * 17, ""]) == [None] * 3


def test_a_tape_replays_the_run_without_a_server(tmp_path):
    path, prompts = tmp_path / "calls.jsonl", [*QUESTIONS, "é"]
    with world.serve(world.untrained()) as server:
        tape = language.Tape(path, "record")
        with connect(server, tape=tape, seed=None) as client:
            recorded = client.generate(prompts, on_failure="none")
            usage = client.usage()
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    again = language.Tape(path)
    with connect(server, tape=again, seed=None, max_concurrency=1) as client:
        assert client.generate(prompts, on_failure="none") == recorded
        assert client.usage() == usage._replace(requests=0, replayed=3)
        with pytest.raises(ReplayError, match=r"prompt.*12=.*differs from the recorded"):
            client.generate(["12="])  # a third time
    with pytest.raises(ValueError, match="path: expected a new file"):
        language.Tape(path, "record")
    path.write_text(lines[0] + "\n{")
    with pytest.raises(ValueError, match="line 2"):
        language.Tape(path)
    with pytest.raises(ValueError, match="which is no file"):
        language.Tape(tmp_path / "none.jsonl")


def test_an_interrupted_tape_is_extended(server, faults, tmp_path):
    path = tmp_path / "calls.jsonl"
    with connect(server, tape=language.Tape(path, "record"), max_retries=0) as client:
        faults.script = [(500, {})]
        assert client(["12="]) == [None]
        kept = client(["34="])
    with connect(server, tape=language.Tape(path, "extend")) as client:
        whole = client(["12=", "34=", "56="])
        assert (client.usage().requests, whole[1:2]) == (2, kept)
    with connect(server, tape=language.Tape(path)) as client:
        assert client(["12=", "34=", "56="]) == whole


def test_keys_come_from_the_environment_and_stay_there(server, faults, tmp_path, monkeypatch):
    secret = "sk-0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    with connect(server) as client:
        client.generate(["12="])
        assert "sk-of" not in str(faults.seen)
    with pytest.raises(ValueError, match=r"key_variable: expected.*MY_KEY"):
        connect(server, key_variable="MY_KEY")
    monkeypatch.setenv("MY_KEY", secret)
    path = tmp_path / "calls.jsonl"
    tape = language.Tape(path, "record")
    with connect(server, key_variable="MY_KEY", tape=tape, max_retries=0) as client:
        client.generate(["12="])
        assert faults.seen[-1]["authorization"] == f"Bearer {secret}"
        faults.script = [(401, {})]
        with pytest.raises(language.EndpointError) as caught:
            client.generate(["34="])
        assert secret not in f"{caught.value!r}{client!r}{client.__dict__}{path.read_text()}"
        faults.script = [json.dumps({"choices": [{"message": {"content": secret}}]}).encode()]
        with pytest.raises(ValueError, match="tape: expected requests and replies without the key"):
            client.generate(["56="])
    assert secret not in path.read_text()


def test_calls_at_a_time_are_bounded(server, monkeypatch):
    running, most, lock = [], [], threading.Lock()

    def slow(*_):
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.02)
        running.pop()
        return language._endpoint.Reply("7", True, 1, 1, 0.0)

    monkeypatch.setattr(language._endpoint, "send", slow)
    with connect(server, max_concurrency=3) as client:
        assert len(client(["12="] * 9)) == 9
    assert max(most) == 3


def test_requests_per_minute_by_a_simulated_clock():
    times, clock = [], [0.0]

    def sleep(seconds):
        clock[0] += seconds

    limiter = _attempts.Limiter(3, lambda: clock[0], sleep)
    for _ in range(8):
        limiter.wait()
        times.append(clock[0])
        clock[0] += 1.0
    assert times == [0, 1, 2, 60, 61, 62, 120, 121]
    limiter.hold(100.0)
    limiter.wait()
    assert clock[0] == 222.0


def test_waiting_doubles_up_to_a_limit():
    waits = []
    limiter = _attempts.Limiter(None, lambda: 0.0, waits.append)

    def fail():
        raise language.EndpointError("down", "connection")

    with pytest.raises(language.EndpointError, match="down"):
        _attempts.with_retries(
            fail, limiter, max_retries=4, backoff=1.0, max_wait=5.0, on_attempt=lambda _: None
        )
    assert waits == [1.0, 2.0, 4.0, 5.0]
    assert _attempts.seconds_to_wait({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert _attempts.seconds_to_wait({"retry-after": "soon"}) is None
