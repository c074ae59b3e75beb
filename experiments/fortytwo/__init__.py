"""Fortytwo: answers ranked by the swarm's own models, on questions easy and hard to verify.

The winner is the single strongest reply, as in the paper; strengths summed over equal answers are
reported beside it. Rotating a text is not hard to solve for these models: nodes err on it because
they were trained on wrong rules, and learn to judge from calibration questions with known answers.
Fine-tuning their answers on the same labels would mend the errors, so what is measured is the
aggregation of given replies and verdicts and not the best use of labels.

What was changed, and why; no threshold moved. In a first design each node judged two pairs per
question, where the paper makes up to three comparisons per node and reply: the largest of eight
noisy strengths was no better than the majority vote (0.7 points, interval -4.4 to 5.9), and
reputations of so few verdicts found no Byzantine judge. Now each node judges each pair of different
replies once in both orders; nodes that gave the same reply share the judgement, which a judge that
takes its most probable tokens would repeat, and all arms draw their comparisons from these tables.
Reputations forget more slowly (weight .98 on the past instead of .9). Models train in smaller
batches at less cost. Arms were added: replies with a text that addresses the judge, Sybil
identities with one node's compute among the models, and a majority vote of as many more replies as
judging costs generated tokens.

In pilots on base seed 1000 of that design six of eight nodes were to learn a shared wrong rule from
few demonstrations and followed it half of the time; their wrong answers scattered, 5.4 different
replies per question, and the majority vote was right on 83 % of the questions where the paper's is
on 69 %. So errors that nodes share now come from what they share, their base model: it answers
texts with three of eight first letters by the wrong rule, though it judges rightly. Nodes outside
the clique learn the right rule for them.

How long a base model needs to learn to judge depends on its seed. With at most 4,000 steps, five
pools of base seed 1000 had judges of .56 and peer ranking gained nothing (-.01, interval -.07 to
.06); a run on base seed 0 found judges of .50 to .70, stopped in a claim that met no admitted node
of one kind, and showed no verdict. With at most 8,000 steps (training ends as soon as .85 of the
verdicts on new pairs are right) the same five pools had judges of .66 and a gain of .11 (.04 to
.18). Nothing else was changed after that, and the recorded run followed. What remains open: copies
of the best models do as well as different ones, and reputation separates random from honest judges
less surely than the paper's (area under the curve .73 in the pilot).

The run was recorded three times on base seed 0, and all are reported because they differ. In the
first 16 of 32 claims held; then the run was made cheaper (the curves over comparisons decide by one
aggregator, further votes are drawn in full blocks, an arm without an attack is not measured twice)
and the transformer looks its rotary angles up, which changes last bits. That is enough for other
base models: judges of .75 instead of .72, and 22 claims held. No claim that held was lost; the six
more (TrueSkill, the control that is hard to verify, sleepers, inverters' reputations, injected
text, random judges) had intervals across their thresholds before. The third run has cheaper
programs again (of a prompt the transformer's last block computes one output, training prompts are
four tokens shorter, weights are updated as one vector), equal in exact arithmetic: judges of .75,
and 21 claims held. A swarm of different models is now more accurate than copies of the best ones
(.042, interval .014 to .069; before .004, -.026 to .034); inverters' reputations (.92) and injected
text (costs .085, interval .003 to .168) have intervals across their thresholds again. So these
three verdicts depend on the base models and are open; the others are as sure as the base models are
typical. On two idle cores it takes 107 seconds.

A shorter run was tried and given up: base models that see new demonstrations every 50 steps and
stop at .85, 120 steps of each node on answers and on verdicts, 128 questions. A base model of the
pilot then judged .88 after 3,000 steps, but the nodes' judges of base seed 0 had .61, below the
band of the claims, and 13 of 32 claims held (peer ranking above the majority vote by .10, interval
.05 to .16); it still took 218 CPU seconds. Which of these
changes cost the judges was not looked into.

At full scale, first with 400 steps of each node on verdicts, judges were right in .91 of the
admission tests, above the band that was wanted, and 20 of 32 claims held (three comparisons were
equal to the bit). With 120 steps, which a pilot on base seed 1000 chose for judges of .79, those of
base seed 0 are right in .87 (.74 to .96 by node), within the band, and 21 claims hold. Some node is
right on every question, the majority vote on .61 of them, peer ranking on .998: it gains .39 (.36
to .41), more than twice what the paper gains, and .37 over twelve replies of each node. So between
majority vote and the best reply there is all the room that one could want, and peer ranking takes
it. Between rankings there is hardly any: unweighted Bradley–Terry (.997) and TrueSkill (.998) are
as good, so reputation as a weight gains nothing, nor do rationales (judges of .875 instead of .838;
the swarm .999 and .998) or diversity (.997 with copies). That is due to the number of judges and
not to their accuracy: twenty judge in both orders, and one comparison of each node instead of 60
still gives .96; verdicts turned at random until judges of .65 remain give .98. A collapse below .7,
of which a note on the paper tells, is not found down to .57 (.90), only at chance. In the pilot,
where peer ranking was right on .95, unweighted Bradley–Terry was right on .96. Texts that address
the judge cost .15 (.03 to .27), more than with better judges (.09).

Pairs of equal answers are not judged: one win for each would pull popular answers to the middle of
the ranking. Base models are shared by all pools, so intervals are over the nodes' training,
questions and sampling, not over base models.

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
    "Transformers of up to 27 thousand parameters (57 thousand at full scale), trained here with "
    "shared and private systematic errors, replace the 35 large models and GPQA Diamond; they "
    "answer and judge with the same weights. Reputation constants and adversaries are ours."
)
CHANGES = (
    "No threshold moved. Full scale was recorded before with 400 gradient steps of each node on "
    "verdicts: its judges were right in .91 of the admission tests, above the wanted band of .65 "
    "to .9, peer ranking was right on every question, so that no comparison between rankings could "
    "tell them apart, and 20 of 32 claims held. A pilot on base seed 1000 with 120 steps had "
    "judges of .79; some node was right on every question, the majority vote on .64 and peer "
    "ranking on .95 of them. So full scale has 120 steps now; nothing else was changed. What "
    "changed before at small scale stands in the module's description."
)
