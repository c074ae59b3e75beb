"""A small model trained for tests to name and to judge the larger of two digits, and its server."""

import functools
import time

import jax
import jax.numpy as jnp
import optax

from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer

TOKENIZER = tokenizers.character("0123456789=/?AB\n")
MODEL = transformer.from_config(
    transformer.Config(TOKENIZER.vocab_size, width=32, num_layers=2, num_heads=2)
)
STEPS = 200
QUESTIONS = [f"{a}{b}=" for a in range(10) for b in range(10) if a != b]


def judge_prompt(question, first, second):
    return f"{question}{first}/{second}?"


def larger(question):
    return max(question[:2])


@functools.cache
def untrained():
    return jax.jit(MODEL.init)(jax.random.key(0))


@functools.cache
def trained():
    """Parameters after supervised fine-tuning on all questions and comparisons."""
    items = []
    for question in QUESTIONS:
        right, wrong = larger(question), min(question[:2])
        items += [verifiable.Item(question, right, right)] * 2
        for pair, verdict in ((f"{right}/{wrong}", "A"), (f"{wrong}/{right}", "B")):
            # the rationale is the right answer, the verdict comes after it
            items.append(verifiable.Item(f"{question}{pair}?", f"{right}{verdict}", right))
    data = jax.tree.map(jnp.asarray, verifiable.to_arrays(items, TOKENIZER))
    schedule = optax.cosine_decay_schedule(1e-2, STEPS)
    learner = language.sft(MODEL, optax.adam(schedule), batch_size=48)

    @jax.jit
    def train(key, params):
        def step(state, key):
            return learner.step(key, state, data)[0], None

        return jax.lax.scan(step, learner.init(params), jax.random.split(key, STEPS))[0].params

    return train(jax.random.key(1), untrained())


class Faulty(language.server.Handler):
    """Answers with the faults of ``script``, one at each request, and rightly after them."""

    script: list = []  # noqa: RUF012
    seen: list = []  # noqa: RUF012

    def do_POST(self):
        self.seen.append({name.lower(): value for name, value in self.headers.items()})
        if not self.script:
            return super().do_POST()
        self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.script.pop(0)
        if fault == "slow":
            time.sleep(0.4)
            return None
        if isinstance(fault, bytes):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(fault)))
            self.end_headers()
            self.wfile.write(fault)
            return None
        status, headers = fault
        return self.answer(status, {"error": {"message": "a fault sk-0123456789"}}, **headers)


def serve(params, name="small", **options):
    return language.server.start(
        MODEL, params, TOKENIZER, name=name, max_new_tokens=4, max_prompt_tokens=16, **options
    )
