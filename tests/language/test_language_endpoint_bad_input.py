"""Wrong arguments of endpoints, tapes and servers meet an error that names the argument."""

import pytest

from jaxswarm import language
from tests import language_server as world


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_url": "127.0.0.1:8000"}, "base_url: expected"),
        ({"base_url": "http://me:secret@host/v1"}, "base_url: expected.*got http://host"),
        ({"base_url": "http://host/v1?key=3"}, "base_url: expected"),
        ({"base_url": 3}, "base_url: expected"),
        ({"model": None}, "model: expected"),
        ({"api": "responses"}, "unknown api 'responses'"),
        ({"key_variable": 3}, "key_variable: expected"),
        ({"system": 3}, "system: expected"),
        ({"max_new_tokens": 0}, "max_new_tokens: expected"),
        ({"temperature": -1.0}, "temperature: expected"),
        ({"stop": [""]}, "stop: expected"),
        ({"seed": -1}, "seed: expected"),
        ({"extra": {"stream": True}}, "extra: expected.*'stream'"),
        ({"extra": {"x": float("nan")}}, "extra: expected"),
        ({"extra": [3]}, "extra: expected"),
        ({"timeout": 0.0}, "timeout: expected"),
        ({"max_retries": -1}, "max_retries: expected"),
        ({"backoff": -1.0}, "backoff: expected"),
        ({"requests_per_minute": 0}, "requests_per_minute: expected"),
        ({"max_concurrency": 0}, "max_concurrency: expected"),
        ({"tape": "calls.jsonl"}, "tape: expected a Tape"),
    ],
)
def test_refusals_of_an_endpoint(change, message):
    with pytest.raises(ValueError, match=message):
        language.openai_compatible(**({"base_url": "http://127.0.0.1:9/v1", "model": "m"} | change))


def test_refusals_of_calls_and_servers():
    with language.openai_compatible("http://127.0.0.1:9/v1", "m") as client:
        for prompts in ("text", 3, [3], [[]], [[{"role": "user"}]], [[{"role": 1, "content": ""}]]):
            with pytest.raises(ValueError, match="prompts: expected"):
                client.generate(prompts)
        with pytest.raises(ValueError, match="labels: expected"):
            client.generate(["a"], labels=[])
        with pytest.raises(ValueError, match="labels: expected"):
            client.generate(["a"], labels=[3])
        with pytest.raises(ValueError, match="on_failure"):
            client.generate(["a"], on_failure="skip")
        for endpoints in ([], "m", [3]):
            with pytest.raises(ValueError, match="endpoints: expected"):
                language.worker_calls(endpoints, str, int)
        with pytest.raises(ValueError, match="prompt: expected"):
            language.worker_calls(client, 3, int)
    with pytest.raises(ValueError, match="unknown mode"):
        language.Tape("calls.jsonl", "write")
    start, params = language.server.start, world.untrained()
    with pytest.raises(ValueError, match="tokenizer: expected one of"):
        start(world.MODEL, params, world.tokenizers.character("ab"))
    with pytest.raises(ValueError, match="handler: expected"):
        start(world.MODEL, params, world.TOKENIZER, handler=int)
    with pytest.raises(ValueError, match="port: expected"):
        start(world.MODEL, params, world.TOKENIZER, port=-1)
