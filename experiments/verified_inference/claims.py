"""Claims of the verified-inference experiment and their thresholds.

Those of completeness, soundness, cost, forged answers, detection, false alarms and inversion are
the pre-registered ones; that of the broken permutation was fixed before any run.

Shapes: ``S`` seeds, ``L`` cuts, ``F`` shares of Byzantine nodes, ``K`` sizes of committees.
"""

from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.verified_inference import NAME
from experiments.verified_inference.committee import (
    BITS,
    CHEAPER,
    FLATTENED,
    LABELS,
    SWAPPED,
    TOTAL,
)
from experiments.verified_inference.config import Config
from experiments.verified_inference.integrity import ELEMENT, SMALL_PRIME, TWO_ROWS
from experiments.verified_inference.permutation import CLIMB, OTHER, RANKS, SAME, WORDS
from experiments.verified_inference.splitting import NOISE, PENALTY, PLAIN
from jaxswarm import statistics

DROP = 0.01  # largest loss of accuracy by quantization
CONFIDENCE = 0.99  # of the binomial intervals
COST = 0.2  # largest share of the multiply-adds of re-execution, at WIDE and with MANY rows
WIDE = 1024  # least width for that
SAME_LAW = 0.01  # least p-value of the transcripts' comparison
FALSE_ALARMS = 0.01  # largest share of honest committees with an alarm
CONTROL_ALARMS = 0.5  # least such share where outputs must be equal to the bit (control)
FLAGGED = 0.1  # least gain of flagged members over a majority of labels
UNSEEN = 0.01  # largest share of flattened outputs that a majority of labels flags (control)
SLASHED = 0.01  # largest share of honest nodes that lose half of their stake
STAKES = 0.5  # largest share of wrong outputs with penalties, of that without, at the end
HIDDEN = 2.0  # least mean squared error at the deepest cut, over that at the shallowest
UTILITY = 0.01  # largest loss of accuracy by a defense
BROKEN = 0.9  # least share of a long text that is restored from its permuted tokens

ZK_STATEMENT = (
    "Zero-knowledge proofs verify a model's execution without its weights (Zhang et al. 2024, "
    "abstract; the linear layer is the example of the authors' documentation)"
)
PROOF_STATEMENT = "Model execution is verified (Zhang et al. 2024, abstract)"
COMMITTEE_STATEMENT = (
    "Consensus-based verification checks ensure consistent outputs across nodes (Zhang et al. "
    "2024, abstract)"
)
SPLIT_STATEMENT = (
    "Split learning preserves privacy by preventing full data access at any point (Zhang et al. "
    "2024, abstract)"
)
PERMUTED_STATEMENT = (
    "Labelled negative: permuted token ids hide a text (Nesa, Equivariant encryption for AI)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the measurements with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.verified_inference.arms.run`.
    """
    made = ClaimList(NAME)
    _integrity(made, config, results["integrity"])
    _knowledge(made, results["knowledge"])
    _committees(made, config, results["committee"])
    _split(made, results["split"])
    _permutation(made, config, results["permutation"])
    return made


def _integrity(made: ClaimList, config: Config, found: Results) -> None:
    checked, accepted = (int(number) for number in found["honest"])
    made.add(
        f"All {checked} honest claims of perceptrons and transformers are accepted",
        statement=PROOF_STATEMENT,
        measured="accepted honest claims / honest claims",
        metric="completeness", unit="fraction", arm="honest provers",
        value=accepted / checked, at_least=1.0, seeds=config.seeds,
    )  # fmt: skip
    for model, by_kind in found["accuracy"].items():
        made.add(
            f"Quantization costs the {model} at most {DROP:g} of its accuracy",
            statement="Own check: integers for the field leave the model as good",
            measured="accuracy in float32 - accuracy in integers",
            metric="test accuracy", unit="fraction", arm="float32", baseline="integers",
            value=statistics.compare(by_kind["float"], by_kind["quantized"]),
            at_most=DROP, judge="interval",
            note=f"accuracy {np.mean(by_kind['float']):.3f} in float32",
        )  # fmt: skip
    total = np.sum([np.asarray(value) for value in found["tampered"].values()], axis=0)
    kinds = "; ".join(f"{name} {int(value[0])}" for name, value in found["tampered"].items())
    made.add(
        f"None of {int(total[0])} tampered claims is accepted in the field of 2**31 - 1",
        statement=PROOF_STATEMENT,
        measured="accepted tampered claims",
        metric="soundness", unit="claims", arm="Freivalds, one repetition",
        value=float(total[1]), at_most=0.0, seeds=config.seeds,
        note=f"{kinds}; no verification accepts all of them, full re-execution none",
    )  # fmt: skip
    rough = {kind: np.asarray(value) for kind, value in found["tampered_small_prime"].items()}
    low, high = _binomial(rough[ELEMENT][0], 1.0 / SMALL_PRIME)
    rate = rough[ELEMENT][1] / rough[ELEMENT][0]
    for side, limit in (("at_least", low), ("at_most", high)):
        bound: dict[str, Any] = {side: limit}
        made.add(
            f"In the field of {SMALL_PRIME} one wrong element is accepted {side.replace('_', ' ')} "
            f"{limit:.4f} of the time, an end of the binomial {CONFIDENCE:.0%} interval of "
            f"1/{SMALL_PRIME}",
            statement="Own check: the verifier is probabilistic and compares no results",
            measured="accepted claims with one wrong element / such claims",
            metric="soundness", unit="fraction", arm="Freivalds, one repetition",
            value=float(rate), seeds=config.seeds, **bound,
            note=f"{int(rough[ELEMENT][1])} of {int(rough[ELEMENT][0])}",
        )  # fmt: skip
    rest = np.sum([value for kind, value in rough.items() if kind != ELEMENT], axis=0)
    made.add(
        f"In the field of {SMALL_PRIME} errors of higher rank or in several products are accepted "
        "less often than one wrong element",
        statement="Own check: errors of higher rank pass with the product of the probabilities",
        measured="accepted / claims with one wrong element - accepted / claims with other errors",
        metric="soundness", unit="fraction", arm=ELEMENT, baseline="all other errors",
        value=float(rate - rest[1] / rest[0]), at_least=0.5 / SMALL_PRIME, seeds=config.seeds,
        note="; ".join(
            f"{kind} {int(v[1])} of {int(v[0])}" for kind, v in rough.items() if kind != ELEMENT
        )
        + f"; {TWO_ROWS} have rank 2",
    )  # fmt: skip
    counts = np.asarray(found["multiply_adds"])
    ratio = counts[..., 0] / counts[..., 1]
    wide = np.array(config.costs) >= WIDE
    times = [float(number) for number in found["seconds"]]
    made.add(
        f"Checking products of width {WIDE} and more with {config.rows[-1]} rows takes at most "
        f"{COST:g} of the multiply-adds of computing them",
        statement="Own check: verification is cheaper than re-execution",
        measured="largest multiply-adds of the check / multiply-adds of the products",
        metric="cost", unit="ratio", arm="Freivalds, one repetition", baseline="full re-execution",
        value=float(ratio[wide, -1].max()), at_most=COST,
        note=(
            f"with {config.rows[0]} row(s) the ratio is {ratio[wide, 0].min():.2f}: one inference "
            "alone is not cheaper to check; processor seconds at 1,024 and 256 rows: check "
            f"{times[0]:.3f}, int32 {times[1]:.3f}, float32 {times[2]:.3f}"
        ),
    )  # fmt: skip


def _knowledge(made: ClaimList, found: Results) -> None:
    honest = np.asarray(found["honest"])
    made.add(
        f"All {int(honest[0])} honest answers of the committed linear layer are accepted",
        statement=ZK_STATEMENT, measured="accepted honest answers / honest answers",
        metric="completeness", unit="fraction", arm="Pedersen and Schnorr",
        value=float(honest[1] / honest[0]), at_least=1.0,
    )  # fmt: skip
    forged = np.sum([np.asarray(value) for value in found["forged"].values()], axis=0)
    made.add(
        f"None of {int(forged[0])} forged answers of the committed linear layer is accepted",
        statement=ZK_STATEMENT, measured="accepted forged answers",
        metric="soundness", unit="answers", arm="Pedersen and Schnorr",
        value=float(forged[1]), at_most=0.0,
        note="; ".join(f"{kind} {int(v[0])}" for kind, v in found["forged"].items()),
    )  # fmt: skip
    from scipy import stats

    values = {}
    for name, real in found["real"].items():  # tied values: the exact method may give up
        result = stats.ks_2samp(real, found["simulation"][name], method="asymp")
        values[name] = float(np.asarray(result)[1])
    made.add(
        "Transcripts that were simulated without the weights are distributed as real ones",
        statement=ZK_STATEMENT,
        measured="least of three p-values (Kolmogorov–Smirnov), times three",
        metric="p-value", unit="probability", arm="simulated transcripts",
        baseline="real transcripts", value=min(1.0, 3.0 * min(values.values())),
        at_least=SAME_LAW,
        note=(
            f"{len(found['real']['response'])} numbers each; keys are of the operating system, so "
            "repetitions differ; all simulated transcripts satisfy the verifier's equations: "
            f"{int(found['simulated'][1])} of {int(found['simulated'][0])}"
        ),
    )  # fmt: skip


def _committees(made: ClaimList, config: Config, found: Results) -> None:
    from scipy import stats

    law = np.asarray(found["law"])
    cells = law.size
    # Two-sided, over all cells at once.
    bound = float(stats.norm.isf((1.0 - CONFIDENCE) / (2 * cells)))
    requests = config.requests * config.seeds
    detected = np.asarray(found["detection"][SWAPPED][TOTAL]).mean(axis=-1)
    deviation = (detected - law) / np.sqrt(law * (1.0 - law) / requests)
    made.add(
        f"Detection of a coalition that swaps labels follows the hypergeometric law in all {cells} "
        "cells",
        statement=COMMITTEE_STATEMENT,
        measured="largest |detection - law| in binomial standard deviations",
        metric="detection", unit="standard deviations", arm=TOTAL, baseline="hypergeometric law",
        value=float(np.abs(deviation).max()), at_most=bound, seeds=config.seeds,
        note=(
            f"{requests} requests in a cell; detection {detected.min():.3f} to "
            f"{detected.max():.3f}, largest difference {np.abs(detected - law).max():.4f}; no "
            "verification detects nothing, full re-execution everything"
        ),
    )  # fmt: skip
    flagged = {
        attack: {rule: np.asarray(v).mean(axis=(0, 1)) for rule, v in by_rule.items()}
        for attack, by_rule in found["flagged"].items()
    }
    for attack in (CHEAPER, FLATTENED):
        shares = {rule: float(values.mean()) for rule, values in flagged[attack].items()}
        made.add(
            f"Medians of total variation flag more of a Byzantine minority ({attack}) than a "
            "majority of labels",
            statement=COMMITTEE_STATEMENT,
            measured="flagged Byzantine members / those in a minority, difference of the rules",
            metric="flagged members", unit="fraction", arm=TOTAL, baseline=LABELS,
            value=statistics.compare(flagged[attack][TOTAL], flagged[attack][LABELS]),
            at_least=FLAGGED, judge="interval",
            note="; ".join(f"{rule} {share:.3f}" for rule, share in shares.items())
            + f"; {np.mean(found['resolved'][attack]):.1%} of the outputs are beyond the tolerance",
        )  # fmt: skip
    alarms = {rule: np.asarray(values) for rule, values in found["false_alarms"].items()}
    worst = int(alarms[TOTAL].mean(axis=1).argmax())
    made.add(
        f"Committees of honest nodes on float32 and bfloat16 raise an alarm at most "
        f"{FALSE_ALARMS:g} of the time",
        statement=COMMITTEE_STATEMENT,
        measured="committees with a flagged member or no consensus, worst size",
        metric="false alarms", unit="fraction", arm=TOTAL,
        value=statistics.summarize(alarms[TOTAL][worst]), at_most=FALSE_ALARMS, judge="interval",
        note="; ".join(f"{rule} {values.mean():.4f}" for rule, values in alarms.items()),
    )  # fmt: skip
    made.add(
        "Where outputs must be equal to the bit, honest nodes raise alarms most of the time",
        statement="Control: agreement without a tolerance on real executions",
        measured="committees with a flagged member or no consensus, smallest size",
        metric="false alarms", unit="fraction", arm=BITS,
        value=statistics.summarize(alarms[BITS][0]), at_least=CONTROL_ALARMS, judge="interval",
        control=True,
    )  # fmt: skip
    made.add(
        "A majority of labels flags no flattened distribution",
        statement="Control: the baseline compares classes only",
        measured="flagged Byzantine members / those in a minority",
        metric="flagged members", unit="fraction", arm=LABELS,
        value=statistics.summarize(flagged[FLATTENED][LABELS]), at_most=UNSEEN,
        judge="interval", control=True,
    )  # fmt: skip
    stakes = found["stakes"]
    last = np.asarray(stakes["wrong"])[:, :, -max(1, config.stake_rounds // 4) :].mean(axis=2)
    made.add(
        "Penalties lower the share of wrong outputs that are accepted",
        statement="Deviating nodes are penalized (authors' documentation of the verification)",
        measured="wrong outputs with penalties / without, last quarter of the rounds",
        metric="wrong outputs accepted", unit="ratio", arm="penalties", baseline="no penalties",
        value=statistics.summarize(last[1] / np.maximum(last[0].mean(), 1e-9)), at_most=STAKES,
        judge="interval",
    )  # fmt: skip
    made.add(
        "Honest nodes keep their stakes",
        statement="Own check: penalties do not fall on honest nodes",
        measured="honest nodes below half of their first stake at the end",
        metric="stakes", unit="fraction of the honest nodes", arm="penalties",
        value=statistics.summarize(stakes["slashed"]), at_most=SLASHED, judge="interval",
    )  # fmt: skip


def _split(made: ClaimList, found: Results) -> None:
    mean = float(found["mean"])
    for attack, name in (("decoder", "black-box decoder"), ("white_box", "white-box search")):
        errors = np.asarray(found[attack][PLAIN])
        made.add(
            f"The {name} errs at least {HIDDEN:g} times as much at the deepest cut as at the "
            "shallowest",
            statement=SPLIT_STATEMENT,
            measured="mean squared error, deepest cut / mean over seeds of the shallowest",
            metric="inversion error", unit="ratio", arm="deepest cut", baseline="shallowest cut",
            value=statistics.summarize(errors[-1] / errors[0].mean()), at_least=HIDDEN,
            judge="interval",
            note=f"errors by cut {', '.join(f'{e:.4f}' for e in errors.mean(axis=1))}; mean image "
            f"{mean:.4f}",
        )  # fmt: skip
    best = np.minimum(found["decoder"][PLAIN], found["white_box"][PLAIN])
    made.add(
        f"The better attack errs at least {HIDDEN:g} times as much at the deepest cut as at the "
        "shallowest",
        statement=SPLIT_STATEMENT,
        measured="mean squared error, deepest cut / mean over seeds of the shallowest",
        metric="inversion error", unit="ratio", arm="deepest cut", baseline="shallowest cut",
        value=statistics.summarize(best[-1] / best[0].mean()), at_least=HIDDEN, judge="interval",
        note="of two attacks, the one with the smaller error for each cut and seed",
    )  # fmt: skip
    made.add(
        "The activation of the deepest cut hides images entirely",
        statement=SPLIT_STATEMENT,
        measured="error of the better attack / error of the mean image, deepest cut",
        metric="inversion error", unit="ratio", arm="deepest cut", baseline="mean image",
        value=statistics.summarize(best[-1] / mean), at_least=1.0, judge="interval",
        note=f"at the shallowest cut the better attack leaves {best[0].mean() / mean:.3f} of it",
    )  # fmt: skip
    plain = np.asarray(found["accuracy"][PLAIN])[0]
    for defense in (NOISE, PENALTY):
        accuracy = np.asarray(found["accuracy"][defense])
        errors = np.minimum(found["decoder"][defense], found["white_box"][defense])
        made.add(
            f"Defended by {defense}, no cut costs more than {UTILITY:g} of the accuracy",
            statement=SPLIT_STATEMENT,
            measured=f"accuracy with {PLAIN} - accuracy with {defense}, worst cut",
            metric="test accuracy", unit="fraction", arm=PLAIN, baseline=defense,
            value=statistics.compare(plain, accuracy[accuracy.mean(axis=1).argmin()]),
            at_most=UTILITY, judge="interval",
            note=f"accuracy {plain.mean():.3f} with {PLAIN}",
        )  # fmt: skip
        made.add(
            f"{defense.capitalize()} raises the error of the better attack at the shallowest cut",
            statement=SPLIT_STATEMENT,
            measured=f"error with {defense} - error with {PLAIN}",
            metric="inversion error", unit="squared brightness", arm=defense, baseline=PLAIN,
            value=statistics.compare(errors[0], best[0]), at_least=0.0, judge="interval",
            note=f"{errors[0].mean() / mean:.3f} of the mean image's error, was "
            f"{best[0].mean() / mean:.3f}",
        )  # fmt: skip


def _permutation(made: ClaimList, config: Config, found: Results) -> None:
    recovered = found["recovered"]
    for tier in (SAME, OTHER, WORDS):
        values = np.asarray(recovered[tier][CLIMB])
        means = zip(config.lengths, values.mean(axis=1), strict=True)
        made.add(
            f"From {config.lengths[-1]} permuted tokens ({tier}) the attack restores at least "
            f"{BROKEN:g} of the text",
            statement=PERMUTED_STATEMENT,
            measured="tokens that are restored / tokens",
            metric="restored text", unit="fraction", arm=CLIMB,
            value=statistics.summarize(values[-1]), at_least=BROKEN, judge="interval",
            control=True,
            note="; ".join(f"{n} tokens {v:.3f}" for n, v in means)
            + f"; {RANKS} alone {np.mean(recovered[tier][RANKS][-1]):.3f}; log-likelihood of "
            f"a pair under the secret less that found {np.mean(found['shortfall'][tier][-1]):.3f}",
        )  # fmt: skip


def _binomial(count: float, probability: float) -> tuple[float, float]:
    """Interval of the share of successes with probability :data:`CONFIDENCE`."""
    from scipy import stats

    low, high = stats.binom.interval(CONFIDENCE, int(count), probability)
    return float(low / count), float(high / count)
