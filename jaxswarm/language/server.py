r"""Serve a small causal model of this package through the OpenAI protocol on 127.0.0.1.

``python -m jaxswarm.language.server`` trains a model on a task with verified answers, then serves
it until it is interrupted::

    $ python -m jaxswarm.language.server --task chain_sums --port 8000
    $ curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' \
        -d '{"model": "chain_sums", "messages": [{"role": "user", "content": "3+4+5="}]}'

:func:`start` serves any model with its tokenizer in threads of this process. The server is an
example, to try out programs that use a language model without one from elsewhere: no streaming, no
encryption, one request at a time, and no other machine can reach it.
"""

from jaxswarm.language._serve import Options, main, trained
from jaxswarm.language._server import HOST, Handler, Server, start

__all__ = ["HOST", "Handler", "Options", "Server", "main", "start", "trained"]

if __name__ == "__main__":
    main()
