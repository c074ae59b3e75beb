"""Fortytwo: answers ranked by the swarm's own models, on questions easy and hard to verify.

The winner is the single strongest reply, as in the paper; strengths summed over equal answers are
reported beside it. Rotating a text is not hard to solve for these models: nodes err on it because
they were trained on wrong rules, and learn to judge from calibration questions with known answers.
Fine-tuning their answers on the same labels would mend the errors, so what is measured is the
aggregation of given replies and verdicts and not the best use of labels.

What changed after the pilot on base seed 1000; no threshold moved. In the pilot five of eight nodes
shared the wrong rule and followed it too seldom: the majority vote was right on 96 % of the
questions and left nothing to gain (the claim on the world failed), peer ranking on 82 %, and judges
on 67 % of the pairs. Now six of eight nodes share it, on three instead of two first letters,
sampling is cooler, base models train longer (1,800 instead of 1,200 steps), and training on answers
keeps verdicts in its data; a single pool trained so had judges of .77 with and .69 without a
rationale. Pairs of equal answers gave one win to each reply, which pulled popular answers to the
middle of the ranking (with random judges .49, a random reply .61); now judges abstain from them.

Base models are shared by all pools, so intervals are over the nodes' training, questions and
sampling, not over base models.

What did not hold at small scale. The strongest single reply is no better than the majority vote:
each reply gets few verdicts (two pairs of each judge, where the paper makes up to three per node
and reply) by judges of .73, and the largest of eight noisy strengths wins. Strengths summed over
equal answers do beat the vote. Reputation does not find Byzantine judges within 100 questions: with
so few verdicts the consensus ranking that it follows is itself uncertain, which a moving average
with weight .9 on the past does not smooth. Larger numbers of pairs were not tried.

References:
    V. Larin et al., Fortytwo: swarm inference with peer-ranked consensus, 2025.
"""

from experiments.harness.protocol import Paper

NAME = "fortytwo"
TITLE = "Fortytwo: peer-ranked consensus of small language models against votes and other rankings"
PAPER = Paper(
    author="V. Larin, I. Naumenko, A. Ivashov, I. Nikitin, A. Firsov",
    title="Fortytwo: Swarm Inference with Peer-Ranked Consensus",
    year=2025,
    venue="arXiv preprint",
    arxiv="2510.24801",
)
SUBSTITUTES = (
    "Transformers of up to 27 thousand parameters, trained here with shared and private systematic "
    "errors, replace the 35 large models and GPQA Diamond; they answer and judge with the same "
    "weights. Reputation constants and adversaries are ours."
)
