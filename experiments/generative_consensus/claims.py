"""Claims of the generative consensus experiment and their thresholds.

The thresholds of acceptance, false matches, agreement of decoders and of replicas were proposed
before any run here. Those that only the pilot on base seed 1000 could give are marked.
"""

import numpy as np

from experiments.generative_consensus import NAME
from experiments.generative_consensus.attacks import CONTRAST
from experiments.generative_consensus.comparisons import (
    BYTES,
    FLOATS,
    METHODS,
    PERCEPTUAL,
    PIXELS,
)
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.language import BEAM, FLOAT32, GREEDY
from experiments.generative_consensus.training import ARMS, CHEATS, ROUNDED
from experiments.generative_consensus.worlds import ATTACKS
from experiments.harness.claims import STRICTLY, Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics
from jaxswarm.trust import profiles

ACCEPTANCE = 0.99  # least share of honest claims that a majority accepts
FALSE_MATCH = 0.01  # largest share of impostors of the same digit that it accepts
LEAST_GAIN = 0.001  # least gain in acceptance over raw pixels
EXACT_GAIN = 0.1  # least gain in acceptance over exact bytes
EXACT_LOSS = 0.01  # largest share of equal outputs where an exact comparison fails
EXACT_HOLDS = 0.9  # least share of equal bytes between float32 profiles; by the pilot
DEPENDENCE = 2.0  # least ratio of the majority's errors to those of independent votes
ENCODED_GAIN = 0.5  # least gain in acceptance over raw pixels, images of lower contrast
ENCODED = 0.8  # that contrast
DETECTION = 0.9  # least share of attackers that are rejected
CLOSE_FAILURES = 0.9  # least share of failures at a narrow decision; by the pilot
SAMPLED = 0.5  # largest agreement of nodes that sample
REPLICAS = 0.95  # least agreement of synchronized replicas
UPDATES = 0.95  # least share of honest updates accepted, of cheaters' rejected

PAPER = "Kim et al. 2023, abstract"
MAJORITY_STATEMENT = (
    f"Majority votes of three detect perceptual collisions in 99.89 % of cases at .0267 % "
    f"intra-class collisions, over more than 10^9 comparisons ({PAPER})"
)
HASH_STATEMENT = (
    f"Locality-sensitive hashes with a tolerance verify outputs that are not reproduced bit by bit "
    f"({PAPER})"
)
LANGUAGE_STATEMENT = (
    f"Language models reach consensus of 100 % by greedy or n-way beam decoding ({PAPER})"
)
TRAINING_STATEMENT = (
    f"Synchronization and gossip keep training runs of several nodes comparable ({PAPER})"
)
ATTACK_STATEMENT = f"Nodes that serve something else than was asked for are detected ({PAPER})"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare votes, decoders and replicas with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.generative_consensus.arms.run`.
    """
    claim_list = ClaimList(NAME)
    for generator, found in results["images"].items():
        words = f" ({generator})" if len(results["images"]) > 1 else ""
        _vote_claims(claim_list, config, found, words)
        _method_claims(claim_list, found, words)
        _attack_claims(claim_list, found, words)
    _language_claims(claim_list, config, results["language"])
    _training_claims(claim_list, config, results["training"], results["updates"])
    return claim_list


def best_hash(found: Results) -> str:
    """Perceptual hash that the calibration half chose."""
    return PERCEPTUAL[int(found["best"])]


def exact_share(counts: np.ndarray, *, errors: bool, seeds: int) -> statistics.Summary:
    """Share of errors, or of what is right, with Clopper–Pearson bounds."""
    wrong, total = (int(x) for x in counts)
    hits = wrong if errors else total - wrong
    interval = statistics.clopper_pearson(hits, total)
    return statistics.Summary(hits / total, interval, seeds)


def _vote_claims(claim_list: ClaimList, config: Config, found: Results, words: str) -> None:
    best = best_hash(found)
    tolerance = int(found["tolerance"][METHODS.index(best)])
    note = (
        f"{best} at tolerance {tolerance} of 64 bits; Clopper-Pearson bounds over "
        f"{int(found['honest'][1])} honest and {int(found['impostor'][1])} impostor claims, three "
        f"verifiers each; {float(found['pairs']['comparisons']):.2g} hash comparisons in all, "
        "where the paper has more than 10^9, on images of Stable Diffusion and other graphics cards"
    )
    claim_list.add(
        f"A majority of three accepts at least {ACCEPTANCE:.0%} of honest claims{words}",
        statement=MAJORITY_STATEMENT,
        measured="accepted honest claims / honest claims",
        metric="acceptance",
        unit="fraction",
        arm="majority of three",
        value=exact_share(found["honest"], errors=False, seeds=config.seeds),
        at_least=ACCEPTANCE,
        judge="interval",
        note=note,
    )
    claim_list.add(
        f"It accepts at most {FALSE_MATCH:.0%} of impostors of the same digit{words}",
        statement=MAJORITY_STATEMENT,
        measured="accepted impostors / impostors",
        metric="intra-class false matches",
        unit="fraction",
        arm="majority of three",
        value=exact_share(found["impostor"], errors=True, seeds=config.seeds),
        at_most=FALSE_MATCH,
        judge="interval",
        note=note,
    )
    for name, text in (
        ("reject", "refuses fewer honest claims"),
        ("match", "accepts fewer impostors"),
    ):
        claim_list.add(
            f"A majority of three {text} than one verifier{words}",
            statement=MAJORITY_STATEMENT,
            measured="error over all committees, majority - one verifier",
            metric="honest claims refused" if name == "reject" else "intra-class false matches",
            unit="fraction",
            arm="majority of three",
            baseline="one verifier",
            value=statistics.compare(*(found["committees"][f"{k}{name}"] for k in ("", "single_"))),
            at_most=-STRICTLY,
            judge="interval",
        )
    for name, text in (("honest", "honest claims"), ("impostor", "impostors")):
        votes = found[f"{name}_votes"]
        expected = float(votes["expected"])
        ratio: statistics.Summary | float = 0.0  # no verifier erred
        if expected > 0:
            low, high = (float(x) / expected for x in votes["interval"])
            measured = float(votes["measured"]) / expected
            ratio = statistics.Summary(measured, (low, high), config.seeds)
        claim_list.add(
            f"On {text} the majority errs at least {DEPENDENCE:g} times as often as it would if "
            f"verifiers erred independently{words}",
            statement=(
                "Own check: the published single-verifier errors follow from those of the majority "
                "only if votes are independent"
            ),
            measured="errors of the majority / those of independent verifiers",
            metric="ratio of errors",
            unit="ratio",
            arm="majority of three",
            baseline="independent votes",
            value=ratio,
            at_least=DEPENDENCE,
            judge="interval" if expected > 0 else "effect",
            note=(
                f"mean correlation of errors {float(votes['correlation']):.2f}, p-value of "
                f"independence {float(votes['p_value']):.2g}; Clopper-Pearson bounds"
                if expected > 0
                else "no verifier erred: nothing to compare"
            ),
        )


def _method_claims(claim_list: ClaimList, found: Results, words: str) -> None:
    best = best_hash(found)
    acceptance = {method: 1.0 - found[method]["reject"] for method in METHODS}
    rows = ((BYTES, "exact bytes of the image", EXACT_GAIN), (PIXELS, "raw pixels", LEAST_GAIN))
    for method, text, least in rows:
        level = METHODS.index(method)
        claim_list.add(
            f"At the same calibrated rate of false matches, the best perceptual hash accepts more "
            f"honest claims than {text}{words}",
            statement=HASH_STATEMENT,
            measured=f"acceptance, {best} - {text}",
            metric="acceptance",
            unit="fraction",
            arm=best,
            baseline=text,
            value=statistics.compare(acceptance[best], acceptance[method]),
            at_least=least,
            judge="interval",
            note=f"tolerance of {text}: {float(found['tolerance'][level]):.3g}",
        )
    names = list(profiles.PROFILES)[: found["matrix"].shape[-1]]
    halves = [i for i, name in enumerate(names) if name in ("bfloat16", "float16")]
    batches = [i for i, name in enumerate(names) if name in ("batch 1", "batch 7")]
    floats = [i for i in range(len(names)) if i not in halves]
    across = found["equal"]
    claim_list.add(
        f"Exact comparison of floats fails between batch sizes{words}",
        statement="Control: bits of float32 outputs depend on the batch size",
        measured="largest share of equal outputs, float32 at other batch sizes and the reference",
        metric="equal outputs",
        unit="fraction",
        arm="batch 1, batch 7",
        baseline="float32",
        value=statistics.summarize(across[FLOATS][:, batches, 0].max(axis=1)),
        at_most=EXACT_LOSS,
        judge="interval",
        control=True,
    )
    pairs = [(p, q) for p in floats for q in floats if p < q]
    claim_list.add(
        f"Exact comparison of 8-bit images holds between float32 profiles{words}",
        statement="Own check: rounding to 8 bits hides differences between float32 profiles",
        measured="smallest share of equal images over pairs of float32 profiles",
        metric="equal images",
        unit="fraction",
        arm="float32 profiles",
        value=statistics.summarize(np.min([across[BYTES][:, p, q] for p, q in pairs], axis=0)),
        at_least=EXACT_HOLDS,
        judge="interval",
        control=True,
    )
    claim_list.add(
        f"Exact comparison of 8-bit images fails between precisions{words}",
        statement="Control: 8-bit images of float32, bfloat16 and float16 differ",
        measured="largest share of equal images, half precision and the reference",
        metric="equal images",
        unit="fraction",
        arm="bfloat16, float16",
        baseline="float32",
        value=statistics.summarize(across[BYTES][:, halves, 0].max(axis=1)),
        at_most=EXACT_LOSS,
        judge="interval",
        control=True,
    )
    at = CONTRAST.index(ENCODED)
    encoded = {m: found["sweep"]["contrast"][m][at] for m in (best, PIXELS)}
    claim_list.add(
        f"Of honest images whose contrast was lowered to {ENCODED:g} by hand, the best perceptual "
        f"hash accepts more than raw pixels{words}",
        statement=(
            "Own check: perceptual hashes tolerate what rounding does not do, a change of contrast"
        ),
        measured=f"acceptance, {best} - raw pixels",
        metric="acceptance",
        unit="fraction",
        arm=best,
        baseline="raw pixels",
        value=statistics.compare(encoded[best], encoded[PIXELS]),
        at_least=ENCODED_GAIN,
        judge="interval",
        control=True,
    )


def _attack_claims(claim_list: ClaimList, found: Results, words: str) -> None:
    best = best_hash(found)
    for attack in ATTACKS:
        rates = found["attacks"][attack]
        claim_list.add(
            f"At least {DETECTION:.0%} of attackers are rejected: {attack}{words}",
            statement=ATTACK_STATEMENT,
            measured="rejected attackers / attackers",
            metric="detection",
            unit="fraction",
            arm=best,
            value=statistics.summarize(rates[best]),
            at_least=DETECTION,
            judge="interval",
            note=f"raw pixels detect {float(np.mean(rates[PIXELS])):.1%}",
        )


def _language_claims(claim_list: ClaimList, config: Config, found: Results) -> None:
    agreement = found["agreement"]
    prompts = config.prompts * config.lm_seeds
    for decoder in (GREEDY, BEAM):
        own = [name for name in agreement[decoder] if name in FLOAT32 and name != "float32"]
        halves = [
            f"{name} {float(np.mean(agreement[decoder][name])):.2%}"
            for name in ("bfloat16", "float16")
            if name in agreement[decoder]
        ]
        claim_list.add(
            f"By {decoder} decoding, all tokens agree between float32 profiles",
            statement=LANGUAGE_STATEMENT,
            measured="smallest agreement over profiles and trainings",
            metric="prompts with equal tokens",
            unit="fraction",
            arm=", ".join(own),
            baseline="float32",
            value=float(np.min([agreement[decoder][name] for name in own])),
            at_least=1.0,
            seeds=config.lm_seeds,
            note=f"{prompts} prompts; in half precision {', '.join(halves)}",
        )
    claim_list.add(
        f"Nodes that sample with seeds of their own agree on at most {SAMPLED:.0%} of the prompts",
        statement=LANGUAGE_STATEMENT,
        measured="agreement of two nodes",
        metric="prompts with equal tokens",
        unit="fraction",
        arm="sampled",
        value=statistics.summarize(found["sampled"]),
        at_most=SAMPLED,
        judge="interval",
        control=True,
        note=f"greedy answers are right for {float(np.mean(found['right'])):.0%} of the prompts",
    )
    failures = {name: np.asarray(rows).reshape(-1, 4) for name, rows in found["failures"].items()}
    margins = np.concatenate([rows[:, 3] for rows in failures.values()])
    close = float(np.mean(margins <= float(found["margins"][1]))) if len(margins) else 1.0
    listed = "; ".join(
        f"{name}: " + (", ".join(f"{margin:.2g}" for margin in np.sort(rows[:, 3])[-12:]) or "none")
        for name, rows in failures.items()
    )
    claim_list.add(
        "Where greedy answers in half precision differ, the two best tokens were close: the margin "
        f"of at least {CLOSE_FAILURES:.0%} of the failures is in the lowest tenth of all margins",
        statement="Own check: answers in half precision differ where a decision is narrow",
        measured="failures with a top-2 logit margin in the lowest tenth / failures",
        metric="narrow failures",
        unit="fraction",
        arm="bfloat16, float16",
        value=close,
        at_least=CLOSE_FAILURES,
        seeds=config.lm_seeds,
        control=True,
        note=(
            f"failures: {', '.join(f'{k} {len(v)}' for k, v in failures.items())} of {prompts}; "
            f"their largest margins, in nats: {listed}"
        ),
    )


def _training_claims(
    claim_list: ClaimList, config: Config, found: Results, updates: Results
) -> None:
    last = int(found["steps"][-1])
    metric = "probes whose hash is within two bits of the first replica's"
    for arm in ARMS:
        value = statistics.summarize(found[arm]["close"][:, -1])
        free = arm == ARMS[0]
        apart = float(found[arm]["distance"][:, -1].mean())
        sentence = (
            f"After {last} steps without synchronization, fewer than {REPLICAS:.0%} of probes agree"
            if free
            else f"With {arm} every {config.every} steps, at least {REPLICAS:.0%} of probes agree "
            f"after {last} steps, just before an exchange"
        )
        claim_list.add(
            sentence,
            statement=TRAINING_STATEMENT,
            measured="mean over replicas and probes of matching perceptual hashes",
            metric=metric,
            unit="fraction",
            arm=arm,
            value=value,
            judge="interval",
            control=free,
            note=(
                f"relative distance of parameters {apart:.2g}; equal hashes: "
                f"{float(found[arm]['equal'][:, -1].mean()):.3f}"
            ),
            at_least=None if free else REPLICAS,
            at_most=REPLICAS if free else None,
        )
    for name in ("honest", *CHEATS, ROUNDED):
        honest = name == "honest"
        claim_list.add(
            f"A majority that runs {config.chunk} steps again accepts honest updates"
            if honest
            else f"It rejects updates of cheaters: {name}",
            statement=TRAINING_STATEMENT,
            measured="accepted updates / updates" if honest else "rejected updates / updates",
            metric="acceptance" if honest else "detection",
            unit="fraction",
            arm=name,
            value=statistics.summarize(updates[name]),
            at_least=UPDATES,
            judge="interval",
            note=(
                f"tolerance {float(updates['tolerance']):.2g} of the size of an update, honest "
                f"distances up to {float(found['honest'].max()):.2g}, here at least "
                f"{float(found[name].min()):.2g}"
            ),
        )
