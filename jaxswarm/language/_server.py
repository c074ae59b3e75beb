"""HTTP on 127.0.0.1 for a causal model, through the OpenAI protocol."""

import http.server
import json
import threading
from typing import Any

from jaxswarm import checks
from jaxswarm.data import tokenizers
from jaxswarm.language._served_model import RequestError, ServedModel
from jaxswarm.models.transformer import LanguageModel, check_model
from jaxswarm.types import Params

HOST = "127.0.0.1"
_LARGEST_BODY = 2**20


class Server:
    """A running server, made by :func:`start`; close it, or use it in a ``with`` block.

    Attributes:
        base_url: what ``language.openai_compatible`` takes.
        name: of the model.
    """

    def __init__(self, served: ServedModel, port: int, handler: type | None = None) -> None:
        self.name = served.name
        self._http = _Http((HOST, port), handler or Handler)
        self._http.served = served
        self.base_url = f"http://{HOST}:{self._http.server_port}/v1"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self) -> None:
        """Serve until the process is interrupted."""
        self._thread.join()

    def close(self) -> None:
        """Stop serving and release the port."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def start(
    model: LanguageModel,
    params: Params,
    tokenizer: tokenizers.Tokenizer,
    *,
    name: str = "jaxswarm",
    port: int = 0,
    max_new_tokens: int = 32,
    max_prompt_tokens: int = 512,
    handler: type | None = None,
) -> Server:
    """Serve a language model on 127.0.0.1 in threads of this process.

    Routes: ``GET /v1/models``, ``POST /v1/chat/completions`` (the prompt is the contents of the
    messages, joined by newlines) and ``POST /v1/completions``. The fields ``model``, ``max_tokens``
    (or ``max_completion_tokens``), ``temperature``, ``seed``, ``stop`` and ``n`` of a request are
    honoured. Equal requests with a seed get equal replies, those without get new random numbers.

    Args:
        model: of one agent.
        params: its parameters.
        tokenizer: of its texts; prompts with other characters are refused (HTTP 400).
        name: of the model, for clients.
        port: 0 takes a free one.
        max_new_tokens: of a reply, the most that a request gets.
        max_prompt_tokens: of a prompt; longer ones are refused.
        handler: subclass of :class:`Handler`; that, if ``None``.

    Raises:
        ValueError: for arguments of another kind or out of range, or a tokenizer of another
            vocabulary.
        OSError: if the port is taken.

    Example:
        >>> import jax
        >>> from jaxswarm import language
        >>> from jaxswarm.data import tokenizers
        >>> from jaxswarm.models import transformer
        >>> tokenizer = tokenizers.character("0123456789+=")
        >>> model = transformer.from_config(transformer.Config(tokenizer.vocab_size, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> with language.server.start(model, params, tokenizer, max_new_tokens=4) as server:
        ...     with language.openai_compatible(server.base_url, server.name, seed=0) as client:
        ...         reply, again = client.generate(["1+2=", "1+2="])
        ...         print(client.models(), reply.prompt_tokens, 1 <= reply.completion_tokens <= 4)
        ['jaxswarm'] 4 True
    """
    check_model(model)
    checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "verifiable.tokenizer()")
    if tokenizer.vocab_size != model.vocab_size:
        raise ValueError(
            f"tokenizer: expected one of {model.vocab_size} tokens like the model, got "
            f"{tokenizer.vocab_size}"
        )
    served = ServedModel(
        model,
        params,
        tokenizer,
        name=checks.instance("name", name, str),
        max_new_tokens=checks.whole("max_new_tokens", max_new_tokens, 1),
        max_prompt_tokens=checks.whole("max_prompt_tokens", max_prompt_tokens, 1),
    )
    if handler is not None and not (isinstance(handler, type) and issubclass(handler, Handler)):
        raise ValueError(
            f"handler: expected a subclass of server.Handler, got {checks.shown(handler)}"
        )
    return Server(served, checks.whole("port", port, 0, 65535), handler)


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    served: ServedModel

    def server_bind(self) -> None:
        """Bind without looking up the name of this machine."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = HOST, self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers the requests of one connection, which it closes after each reply."""

    timeout = 60.0
    server: _Http  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Answer ``/v1/models``."""
        if self.path != "/v1/models":
            return self.answer(404, _error(f"no route GET {self.path}"))
        model = {"id": self.server.served.name, "object": "model", "owned_by": "jaxswarm"}
        return self.answer(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """Answer ``/v1/chat/completions`` and ``/v1/completions``."""
        try:
            length = int(self.headers.get("Content-Length") or "")
        except ValueError:
            return self.answer(411, _error("expected a Content-Length"))
        if not 0 <= length <= _LARGEST_BODY:
            return self.answer(413, _error(f"expected at most {_LARGEST_BODY} bytes"))
        data = self.rfile.read(length)
        try:
            chat = {"/v1/chat/completions": True, "/v1/completions": False}.get(self.path)
            if chat is None:
                return self.answer(404, _error(f"no route POST {self.path}"))
            body = json.loads(data)
            return self.answer(200, self.server.served.reply(body, chat=chat))
        except RequestError as error:
            return self.answer(error.status, _error(str(error)))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            return self.answer(400, _error(f"expected JSON ({error})"))

    def answer(self, status: int, content: dict[str, Any], **headers: str) -> None:
        """Send a reply in JSON."""
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Write no log."""


def _error(message: str) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": None}}
