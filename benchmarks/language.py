"""Language agents: CPU seconds of a round of sampling and one GRPO step, and tokens per second.

``python -m benchmarks.language --json PATH [--quick] [--reference] [--only SECTION …]``

The reference round is 8 agents × 8 questions × 8 responses × 24 tokens with a transformer of two
layers of width 32, and one GRPO step. Its parts (sampling with the cache, the gradient on given
responses) are timed apart as well. Where PyTorch is installed, the same round of the same model
runs in it, too (:mod:`benchmarks.language_torch`): implementations take turns, call by call, in one
process. CPU seconds are those of all threads of this process, so a busy machine disturbs them less
than wall seconds; both are medians over repeats, and compilation is apart.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, language
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.types import Params

if TYPE_CHECKING:
    from benchmarks import language_torch

Row = dict[str, Any]
GOAL = 0.1
"""CPU seconds of the reference round that are aimed at on two idle cores."""
LEARNING_RATE = 1e-3
SECTIONS = ("round", "sampling", "gradient")


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


def settings(quick: bool, reference: bool = False) -> Iterator[Setting]:
    """The reference, and unless it is wanted alone a wider model and more agents."""
    if quick:
        yield Setting("2 agents × 2 × 2 × 4, d = 32", 2, 32, 2, 2, 2, 4)
        return
    yield REFERENCE
    if reference:
        return
    yield Setting("8 agents × 8 × 8 × 24, d = 64", width=64)
    yield Setting("20 agents × 8 × 8 × 24, d = 32", num_agents=20)


class Runner(Protocol):
    """One implementation of the round of one setting."""

    name: str

    def compile(self, section: str) -> float:
        """Seconds before a section can run at full speed."""
        ...

    def call(self, section: str) -> None:
        """Run a section once and wait for it."""
        ...


class Swarm:
    """The round by :func:`jaxswarm.language.grpo`, agents one after another or side by side."""

    def __init__(self, setting: Setting, *, sequential: bool = True) -> None:
        self.name = "jaxswarm" if sequential else "jaxswarm-vmap"
        self.functions = programs(setting, sequential=sequential)
        self.compiled: dict[str, Callable[..., Any]] = {}

    def compile(self, section: str) -> float:
        """Seconds until a section is compiled."""
        function, arguments = self.functions[section]
        began = time.perf_counter()
        self.compiled[section] = function.lower(*arguments).compile()  # pyright: ignore[reportFunctionMemberAccess]
        return time.perf_counter() - began

    def call(self, section: str) -> None:
        """Run a section once and wait for it."""
        jax.block_until_ready(self.compiled[section](*self.functions[section][1]))


class World(NamedTuple):
    """Model, parameters and questions of a setting, the same for all implementations.

    Attributes:
        config: of the transformer.
        params: leaves ``[N, ...]``.
        items: questions, ``N`` times ``num_questions``.
        problems: the same as arrays, leaves ``[N, num_questions, ...]``.
    """

    config: transformer.Config
    params: Params
    items: list[verifiable.Item]
    problems: verifiable.Problems


def make_world(setting: Setting) -> World:
    """Draw the questions and initial parameters of a setting."""
    tokens = verifiable.tokenizer()
    n, questions = setting.num_agents, setting.num_questions
    items = verifiable.draw_items(verifiable.chain_sums(4), n * questions, seed=0)
    problems = jax.tree.map(
        lambda x: jnp.asarray(x).reshape(n, questions, *x.shape[1:]),
        verifiable.to_arrays(items, tokens),
    )
    config = transformer.Config(tokens.vocab_size, width=setting.width, num_heads=setting.num_heads)
    model = transformer.from_config(config)
    params = agents.initialize(jax.random.key(0), model.init, n)
    return World(config, params, items, problems)


def programs(
    setting: Setting, *, sequential: bool = True
) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Jitted functions of a round and of its parts, with their arguments.

    Args:
        setting: sizes.
        sequential: whether agents run one after another, see ``language.independent``.
    """

    def over_agents(one: Callable[..., Any], *inputs: Any) -> Any:
        if sequential:
            return jax.lax.map(lambda each: one(*each), inputs)
        return jax.vmap(one)(*inputs)

    config, params, _, problems = make_world(setting)
    model = transformer.from_config(config)
    learner = language.independent(
        language.grpo(
            model,
            optax.adam(LEARNING_RATE),
            language.exact_match_reward(verifiable.tokenizer().token("\n")),
            num_samples=setting.num_samples,
            max_new_tokens=setting.num_tokens,
        ),
        sequential=sequential,
    )
    key = jax.random.key(0)

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

        return over_agents(one, agents.keys(key, setting.num_agents), params, problems)

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

        return over_agents(one, params, problems, completions)

    completions = jax.block_until_ready(sample(key, params, problems))
    return {
        "round": (jax.jit(learner.step), (key, learner.init(params), problems)),
        "sampling": (sample, (key, params, problems)),
        "gradient": (gradient, (params, problems, completions)),
    }


def torch_peers(setting: Setting) -> list[Runner]:
    """The same round in PyTorch; nothing if it is not installed."""
    try:
        import torch  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        print(
            "PyTorch is not installed: its rows are left out (pip install 'jaxswarm[bench]')",
            file=sys.stderr,
        )
        return []
    from benchmarks import language_torch

    work = torch_work(setting)
    return [make(work) for make in language_torch.PEERS]


def torch_work(setting: Setting) -> "language_torch.Work":
    """The world of a setting as :class:`benchmarks.language_torch.Work`."""
    from benchmarks import language_torch

    config, params, items, problems = make_world(setting)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    questions = setting.num_questions
    return language_torch.Work(
        config,
        verifiable.tokenizer(),
        {"/".join(str(part.key) for part in path): np.asarray(leaf) for path, leaf in leaves},
        np.asarray(problems.prompts),
        np.asarray(problems.prompt_mask),
        [
            [item.answer for item in items[i * questions : (i + 1) * questions]]
            for i in range(setting.num_agents)
        ],
        setting.num_samples,
        setting.num_tokens,
        LEARNING_RATE,
    )


def measure(runners: Sequence[Runner], section: str, repeats: int) -> list[Row]:
    """Median CPU and wall seconds of a section, in turn, and the seconds until it can run."""
    compiled = [runner.compile(section) for runner in runners]
    for runner in runners:
        runner.call(section)
    cpu: list[list[float]] = [[] for _ in runners]
    wall: list[list[float]] = [[] for _ in runners]
    for _ in range(repeats):
        for runner, used, waited in zip(runners, cpu, wall, strict=True):
            began, before = time.perf_counter(), time.process_time()
            runner.call(section)
            used.append(time.process_time() - before)
            waited.append(time.perf_counter() - began)
    return [
        {
            "impl": runner.name,
            "section": section,
            "cpu_s": statistics.median(used),
            "best_cpu_s": min(used),
            "wall_s": statistics.median(waited),
            "compile_s": seconds,
        }
        for runner, used, waited, seconds in zip(runners, cpu, wall, compiled, strict=True)
    ]


def run(
    sections: Sequence[str], *, quick: bool = False, reference: bool = False, peers: bool = True
) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    device = jax.devices()[0]
    found: dict[str, Any] = {
        "jax": jax.__version__,
        "device": device.device_kind,
        "goal_cpu_s": GOAL,
        "rows": [],
    }
    for setting in settings(quick, reference):
        runners: list[Runner] = [Swarm(setting), Swarm(setting, sequential=False)]
        runners += torch_peers(setting) if peers else []
        for section in sections:
            for row in measure(runners, section, repeats=2 if quick else 15):
                row |= {
                    "setting": setting.name,
                    "tokens_per_cpu_s": setting.tokens / row["cpu_s"],
                    "tokens_per_s": setting.tokens / row["wall_s"],
                }
                found["rows"].append(row)
                print(table([row]), flush=True)
    return found


def table(rows: Sequence[Row]) -> str:
    """Rows for people."""
    return "\n".join(
        f"{row['setting']:42}{row['section']:9}{row['impl']:14}{row['cpu_s']:>7.3f} CPU s (best "
        f"{row['best_cpu_s']:.3f}){row['wall_s']:>7.3f} s{row['tokens_per_s']:>10,.0f} tokens/s"
        f"{row['compile_s']:>7.1f} s to compile"
        for row in rows
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.language", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a check")
    parser.add_argument("--reference", action="store_true", help="the reference round alone")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION")
    options = parser.parse_args(arguments)
    report = run(options.only or list(SECTIONS), quick=options.quick, reference=options.reference)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
