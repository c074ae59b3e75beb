"""Sizes of the step-DAPO experiment at the three scales, and the grid of its pilot."""

from dataclasses import dataclass

METHODS = {
    "base": "reference policy",
    "dpo": "DPO",
    "response": "response-level quadratic",
    "ppo": "PPO, co-trained critic",
    "step_dapo": "step-DAPO",
    "iterated": "step-DAPO, two iterations",
    "partition": "step-DAPO, fitted log-partition",
    "monte_carlo": "Monte-Carlo values, no critic",
    "shuffled": "shuffled critic",
    "uninformed": "shuffled critic and rewards",
    "oracle": "oracle critic",
}
"""Arms with their names in claims and figures."""

GRID = tuple((beta, lr) for beta in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0) for lr in (1e-3, 2e-3))
"""Settings, β and Adam's step size, that the pilot tried for each method that has both."""

PPO_GRID = tuple((lr,) for lr in (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3))
"""The same for PPO, which has no β."""

PILOT_SEEDS = (1000, 1001)
"""Base seeds of the pilot, none of them a seed of the claims."""


@dataclass(frozen=True)
class Config:
    """Sizes of the world, of the samples and of the learners."""

    terms: int = 5  # digits of a question; a solution has one line less
    demonstrations: int = 750  # questions with demonstrations, of each as many as rows
    mistakes: float = 0.9  # share of demonstrations with a slip
    width: int = 32  # width of policy and critic
    layers: int = 2  # their layers
    groups: int = 12  # questions of a batch of any method
    rows: int = 4  # responses of each of them
    sft_updates: int = 400  # gradient steps of supervised fine-tuning
    sft_lr: float = 5e-3  # Adam's step size in supervised fine-tuning
    questions: int = 288  # questions that methods learn from
    samples: int = 2  # responses to each question, from whose states completions start
    completions: int = 1  # completions of each state
    iterations: int = 2  # of the iterated arm, each with samples / iterations responses
    responses: int = 7  # responses to each question of the response-level methods, before the cut
    updates: int = 150  # gradient steps of each offline method
    critic_updates: int = 750  # gradient steps of the critic
    critic_lr: float = 1e-3  # Adam's step size of the critic
    step_dapo: tuple[float, float] = (0.03, 1e-3)  # β and Adam's step size, chosen by the pilot
    iterated: tuple[float, float] = (0.03, 1e-3)  # the same with two iterations, as step-DAPO
    partition: tuple[float, float] = (0.1, 1e-3)  # the same with fitted log-partition
    monte_carlo: tuple[float, float] = (0.03, 1e-3)  # the same with Monte-Carlo values
    oracle: tuple[float, float] = (0.03, 2e-3)  # the same with the oracle's values
    response: tuple[float, float] = (0.03, 2e-3)  # the same of response-level regression
    dpo: tuple[float, float] = (3.0, 1e-3)  # the same of DPO
    ppo: tuple[float] = (5e-4,)  # Adam's step size of PPO, chosen by the pilot
    ppo_updates: int = 5  # gradient steps on the responses of a round of PPO
    test_questions: int = 256  # held-out questions
    audit_questions: int = 48  # held-out questions whose states check critics
    audit_samples: int = 4  # responses to each of them
    compile_level: int = 2  # of XLA on CPUs; 0 compiles sooner and runs slower
    seeds: int = 8  # independent runs
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.audit_questions > self.test_questions:
            raise ValueError(
                f"audit_questions: expected at most test_questions={self.test_questions}, got "
                f"{self.audit_questions}"
            )
        step_rows = self.step_rows
        if self.samples % self.iterations or step_rows % self.rows or self.rows % 2:
            raise ValueError(
                f"samples, rows: expected a multiple of iterations={self.iterations} and an even "
                f"divisor of {step_rows} rows of a question, got {self.samples}, {self.rows}"
            )
        if self.groups % (step_rows // self.rows) or self.groups % 2:
            raise ValueError(
                f"groups: expected an even multiple of {step_rows // self.rows}, the batch rows of "
                f"a whole question, got {self.groups}"
            )

    @property
    def step_rows(self) -> int:
        """Rows of a question of the step-level methods: responses, completions of their states."""
        return self.samples * (1 + (self.terms - 2) * self.completions)


SCALES = {
    "smoke": Config(
        terms=3, demonstrations=12, width=8, layers=1, groups=4, rows=2, sft_updates=2,
        questions=4, samples=2, completions=1, responses=4, updates=2, critic_updates=2,
        ppo_updates=1, test_questions=6, audit_questions=4, audit_samples=2,
        compile_level=0, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        terms=7, demonstrations=2_000, width=64, sft_updates=1_500, questions=768, responses=8,
        updates=400, critic_updates=1_500, test_questions=512, audit_questions=96, seeds=6,
    ),
}  # fmt: skip
