"""Exact part: chunk critics on random Markov decision processes, and the distilled maximum.

Shapes: ``K`` processes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.dqc.config import Config
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm.rl import offline
from jaxswarm.rl.offline import exact

SHAPES = ((6, 3, 4), (8, 2, 6))  # states, actions, steps of a chunk
SLIPS = (0.0, 0.1, 0.4)
SHARES = (0.02, 0.3)  # shares of chunks by the optimal policy; the others are uniformly random
DISCOUNT = 0.95
POLICIES = ("open loop", "closed loop", "n-step")
DISTILL_STEPS = 2000
KAPPAS = (0.5, 0.9, 0.999)


def exact_part(config: Config) -> Results:
    """Values of policies as shares of the optimum, theorems' bounds, and distilled maxima.

    Returns:
        ``shares``: ``{slip/share: {policy: [K]}}`` over both sizes, where ``nominal`` is what the
        critic itself predicts; ``bias`` and ``bias_bound`` (Theorem 1), ``loss`` and ``loss_bound``
        (Theorem 3), ``[all processes]``; ``distilled``: ``[3]``, largest error of the distilled
        critic as the maximum over completions, for each of ``KAPPAS``.
    """
    shares: Results = {}
    found: dict[str, list[float]] = {k: [] for k in ("bias", "bias_bound", "loss", "loss_bound")}
    for slip in SLIPS:
        for share in SHARES:
            rows = []
            for index, (states, actions, horizon) in enumerate(SHAPES):
                for k in range(config.mdps):
                    seed = 10_000 * config.seed + 1000 * index + k
                    mdp = exact.random_mdp(states, actions, slip=slip, discount=DISCOUNT, seed=seed)
                    rows.append(_analysed(mdp, share, horizon, found))
            columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            shares[f"slip {slip:g} share {share:g}"] = columns
    return {
        "shares": shares,
        **{name: np.array(values) for name, values in found.items()},
        "distilled": distilled_errors(config),
    }


def _analysed(
    mdp: exact.TabularMDP, share: float, horizon: int, found: dict[str, list[float]]
) -> dict[str, float]:
    best, optimal = exact.optimal_values(mdp)
    states, actions = mdp.reward.shape
    policies = np.stack([np.eye(actions)[optimal], np.full((states, actions), 1.0 / actions)])
    data = exact.chunk_data(mdp, policies, np.array([share, 1.0 - share]), horizon)
    q, nominal = exact.nominal_critic(mdp, data)
    open_loop = exact.chunk_policy_values(
        mdp, data.true_reward, data.true_end, q.argmax(1), horizon
    )
    closed_loop = exact.policy_values(mdp, exact.distilled(data, q, 1).argmax(1))
    n_step = exact.policy_values(mdp, exact.n_step_policy(mdp, data))
    of_data = [
        exact.chunk_policy_values(mdp, reward, end, data.probability, horizon)
        for reward, end in (
            (data.nominal_reward, data.nominal_end),
            (data.true_reward, data.true_end),
        )
    ]
    weak, strong = (exact.open_loop_gap(data, strong=strong) for strong in (False, True))
    found["bias"].append(float(np.abs(of_data[0] - of_data[1]).max()))
    found["bias_bound"].append(exact.value_bias_bound(weak, DISCOUNT, horizon))
    found["loss"].append(float((best - open_loop).max()))
    found["loss_bound"].append(exact.suboptimality_bound(strong, DISCOUNT, horizon))
    values = {
        "nominal": nominal,
        "open loop": open_loop,
        "closed loop": closed_loop,
        "n-step": n_step,
    }
    return {name: float(value.mean() / best.mean()) for name, value in values.items()}


def distilled_errors(config: Config) -> np.ndarray:
    """Error of a distilled critic, fitted by its loss, as the maximum over completions.

    A deterministic chain of the exact critic's values: all chunks are equally likely, and a table
    of first actions is fitted to them by gradient descent on the expectile cross-entropy.
    """
    states, actions, horizon = SHAPES[0]
    mdp = exact.random_mdp(states, actions, discount=DISCOUNT, seed=10_000 * config.seed)
    uniform = np.full((1, states, actions), 1.0 / actions)
    data = exact.chunk_data(mdp, uniform, np.ones(1), horizon)
    q, _ = exact.nominal_critic(mdp, data)
    q = q * (1.0 - DISCOUNT)  # in (0, 1), as the learnt critics' values
    best = jnp.asarray(exact.distilled(data, q, 1), jnp.float32)
    completions = jnp.asarray(q.reshape(states, actions, -1), jnp.float32)
    optimizer = optax.adam(optax.cosine_decay_schedule(0.05, DISTILL_STEPS))

    def fit(kappa: jax.Array) -> jax.Array:
        def loss(logits: jax.Array) -> jax.Array:
            each = offline.expectile_cross_entropy(
                jnp.broadcast_to(logits[..., None], completions.shape), completions, kappa
            )
            return each.sum()

        def step(carry: Any, _: None) -> tuple[Any, None]:
            logits, state = carry
            updates, state = optimizer.update(jax.grad(loss)(logits), state)
            return (logits + updates, state), None

        start = jnp.zeros((states, actions))
        carry = (start, optimizer.init(start))
        logits = jax.lax.scan(step, carry, length=DISTILL_STEPS)[0][0]
        return jnp.abs(jax.nn.sigmoid(logits) - best).max()

    return np.asarray(jit_fast_compile(jax.vmap(fit))(jnp.array(KAPPAS)))
