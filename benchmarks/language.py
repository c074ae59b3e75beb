"""Language agents: CPU seconds of a round of sampling and one GRPO step, and tokens per second.

``python -m benchmarks.language --json PATH [--quick] [--only SECTION …]``

The reference round is 8 agents × 8 questions × 8 responses × 24 tokens with a transformer of two
layers of width 32, and one GRPO step. Its parts (sampling with the cache, one step on given
responses) are timed apart as well. CPU seconds are those of all threads of this process, so a busy
machine disturbs them less than wall seconds; both are medians over repeats, and compilation is
apart.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.types import Params

Row = dict[str, Any]
GOAL = 0.1
"""CPU seconds of the reference round that are aimed at on two idle cores."""


class Setting(NamedTuple):
    """Sizes of a round.

    Attributes:
        name: for the table.
        num_agents: agents side by side.
        width: of the transformer.
        num_heads: of its attention.
        num_questions: of each agent.
        num_samples: responses to each question.
        num_tokens: of each response.
    """

    name: str
    num_agents: int = 8
    width: int = 32
    num_heads: int = 2
    num_questions: int = 8
    num_samples: int = 8
    num_tokens: int = 24

    @property
    def tokens(self) -> int:
        """Tokens generated in a round, padding after an end token included."""
        return self.num_agents * self.num_questions * self.num_samples * self.num_tokens


REFERENCE = Setting("8 agents × 8 × 8 × 24, d = 32 (reference)")


def settings(quick: bool) -> Iterator[Setting]:
    """The reference, a wider model, and more agents."""
    if quick:
        yield Setting("2 agents × 2 × 2 × 4, d = 32", 2, 32, 2, 2, 2, 4)
        return
    yield REFERENCE
    yield Setting("8 agents × 8 × 8 × 24, d = 64", width=64)
    yield Setting("20 agents × 8 × 8 × 24, d = 32", num_agents=20)


def programs(setting: Setting) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Jitted functions of a round and of its parts, with their arguments."""
    tokens = verifiable.tokenizer()
    count = setting.num_agents * setting.num_questions
    items = verifiable.draw_items(verifiable.chain_sums(4), count, seed=0)
    problems = verifiable.to_arrays(items, tokens)
    problems = jax.tree.map(
        lambda x: jnp.asarray(x).reshape(setting.num_agents, setting.num_questions, *x.shape[1:]),
        problems,
    )
    config = transformer.Config(tokens.vocab_size, width=setting.width, num_heads=setting.num_heads)
    model = transformer.from_config(config)
    learner = language.independent(
        language.grpo(
            model,
            optax.adam(1e-3),
            language.exact_match_reward(tokens.token("\n")),
            num_samples=setting.num_samples,
            max_new_tokens=setting.num_tokens,
        )
    )
    key = jax.random.key(0)
    params = agents.initialize(key, model.init, setting.num_agents)

    @jax.jit
    def sample(
        key: jax.Array, params: Params, problems: verifiable.Problems
    ) -> transformer.Completions:
        def one(
            key: jax.Array, params: Params, problems: verifiable.Problems
        ) -> transformer.Completions:
            return transformer.generate(
                key,
                model,
                params,
                problems.prompts,
                problems.prompt_mask,
                max_new_tokens=setting.num_tokens,
                num_samples=setting.num_samples,
            )

        return jax.vmap(one)(agents.keys(key, setting.num_agents), params, problems)

    @jax.jit
    def gradient(
        params: Params, problems: verifiable.Problems, completions: transformer.Completions
    ) -> Params:
        def one(
            params: Params, problems: verifiable.Problems, completions: transformer.Completions
        ) -> Params:
            signs = jnp.where(completions.lengths % 2 == 0, 1.0, -1.0)

            def loss(params: Params) -> jax.Array:
                log_probs = transformer.completion_log_probs(
                    model,
                    params,
                    problems.prompts,
                    problems.prompt_mask,
                    completions.tokens,
                    completions.mask,
                )
                return language.grpo_loss(log_probs, signs, completions.mask).loss

            return jax.grad(loss)(params)

        return jax.vmap(one)(params, problems, completions)

    completions = jax.block_until_ready(sample(key, params, problems))
    return {
        "round": (jax.jit(learner.step), (key, learner.init(params), problems)),
        "sampling": (sample, (key, params, problems)),
        "gradient": (gradient, (params, problems, completions)),
    }


def measure(function: Callable[..., Any], arguments: tuple[Any, ...], repeats: int) -> Row:
    """Median CPU and wall seconds of one call, and the seconds until it is compiled."""
    began = time.perf_counter()
    program = function.lower(*arguments).compile()  # pyright: ignore[reportFunctionMemberAccess]
    compile_s = time.perf_counter() - began
    jax.block_until_ready(program(*arguments))
    cpu, wall = [], []
    for _ in range(repeats):
        began, used = time.perf_counter(), time.process_time()
        jax.block_until_ready(program(*arguments))
        cpu.append(time.process_time() - used)
        wall.append(time.perf_counter() - began)
    return {
        "cpu_s": statistics.median(cpu),
        "best_cpu_s": min(cpu),
        "wall_s": statistics.median(wall),
        "compile_s": compile_s,
    }


SECTIONS = ("round", "sampling", "gradient")


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {
        "jax": jax.__version__,
        "device": device.device_kind,
        "goal_cpu_s": GOAL,
        "rows": [],
    }
    for setting in settings(quick):
        for section, (function, arguments) in programs(setting).items():
            if section not in sections:
                continue
            row = measure(function, arguments, repeats=2 if quick else 15)
            row |= {
                "setting": setting.name,
                "impl": section,
                "tokens_per_cpu_s": setting.tokens / row["cpu_s"],
                "tokens_per_s": setting.tokens / row["wall_s"],
            }
            found["rows"].append(row)
            print(table([row]), flush=True)
    return found


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:44} {row['impl']:9}{row['cpu_s']:>8.3f} CPU s (best "
        f"{row['best_cpu_s']:.3f}){row['wall_s']:>8.3f} s{row['tokens_per_s']:>12,.0f} tokens/s"
        f"{row['compile_s']:>8.1f} s to compile"
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a check")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION")
    options = parser.parse_args(arguments)
    report = run(options.only or list(SECTIONS), quick=options.quick)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
