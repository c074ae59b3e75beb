"""The benchmark of language agents runs, counts its tokens, and its peers do the same work."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import language
from jaxswarm.models import transformer

TINY = language.Setting("2 agents × 2 × 2 × 4, d = 32", 2, 32, 2, 2, 2, 4)


@pytest.mark.slow
def test_rows_say_what_they_measured():
    report = language.run(["sampling"], quick=True, peers=False)
    row, batched = report["rows"]
    assert (row["impl"], row["section"]) == ("jaxswarm", "sampling")
    assert batched["impl"] == "jaxswarm-vmap"
    assert row["tokens_per_s"] == pytest.approx(2 * 2 * 2 * 4 / row["wall_s"])
    assert row["best_cpu_s"] <= row["cpu_s"]
    assert "tokens/s" in language.table([row])


def test_the_reference_round_has_the_published_size():
    assert language.REFERENCE.tokens == 8 * 8 * 8 * 24


def test_pytorch_computes_the_same_log_probs_and_gradients():
    torch = pytest.importorskip("torch")
    from benchmarks.language_torch import PEERS

    world = language.make_world(TINY)
    model = transformer.from_config(world.config)
    rng = np.random.default_rng(0)
    tokens = rng.integers(2, world.config.vocab_size, (2, 4, 4))
    mask = np.arange(4) < rng.integers(1, 5, (2, 4, 1))

    def loss(params, problems, tokens, mask):
        grouped = [jnp.asarray(x).reshape(2, 2, 4) for x in (tokens, mask)]
        prompts = problems.prompts, problems.prompt_mask
        found = transformer.completion_log_probs(model, params, *prompts, *grouped)
        return -jnp.sum(found) / jnp.sum(mask), found

    both = jax.jit(jax.vmap(jax.grad(loss, has_aux=True)))
    grads, log_probs = both(world.params, world.problems, tokens, mask)
    for make in PEERS:
        peer = make(language.torch_work(TINY))
        stacked = (torch.tensor(tokens), torch.tensor(mask))
        alone = len(peer.groups) > 1
        given = list(zip(*stacked, strict=True)) if alone else [stacked]
        for i, (group, (t, m)) in enumerate(zip(peer.groups, given, strict=True)):
            weights, _, prompts, prompt_mask, _ = group
            found = peer.log_probs(weights, prompts, prompt_mask, t, m)
            ours = log_probs[i] if alone else log_probs
            np.testing.assert_allclose(
                found.detach().numpy(), np.reshape(ours, found.shape), atol=2e-5
            )
            peer.loss(found, torch.ones(m.shape[:-1]), m).backward()
            for path, leaf in jax.tree_util.tree_leaves_with_path(grads):
                name = "/".join(part.key for part in path)
                np.testing.assert_allclose(
                    weights[name].grad.numpy(), leaf[i] if alone else leaf, atol=2e-5, err_msg=name
                )


def test_pytorch_rewards_and_samples_as_the_round_does():
    torch = pytest.importorskip("torch")
    from benchmarks.language_torch import Peer

    peer = Peer(language.torch_work(TINY))
    weights, _, prompts, mask, answers = peer.groups[0]
    tokens, alive = peer.sample(weights, prompts, mask)
    assert tokens.shape == alive.shape == (2, 4, 4)
    text = "1\n" + answers[0][0]
    row = [peer.work.tokenizer.token(piece) for piece in text] + [1]
    tokens = torch.zeros(2, 4, len(row), dtype=torch.long)
    tokens[0, 0] = torch.tensor(row)
    alive = torch.ones(tokens.shape, dtype=torch.bool)
    assert peer.rewards(answers, tokens, alive).sum() == peer.rewards(answers, tokens, alive)[0, 0]
    assert peer.rewards(answers, tokens, alive)[0, 0] == 1.0
