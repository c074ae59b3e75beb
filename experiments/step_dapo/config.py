"""Sizes of the step-DAPO experiment at the three scales."""

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


@dataclass(frozen=True)
class Config:
    """Sizes of the world, of the samples and of the learners."""

    terms: int = 5  # digits of a question; a solution has one line less
    demonstrations: int = 3_000  # questions with demonstrations
    mistakes: float = 0.9  # share of demonstrations with a slip
    width: int = 32  # width of policy and critic
    sft_steps: int = 500  # gradient steps of supervised fine-tuning
    sft_batch: int = 32  # demonstrations of one of these steps
    sft_lr: float = 5e-3  # Adam's step size in supervised fine-tuning
    questions: int = 128  # questions that methods learn from
    samples: int = 6  # responses to each question, from whose states completions start
    completions: int = 1  # completions of each state
    iterations: int = 2  # of the iterated arm, each with samples / iterations responses
    responses: int = 16  # responses to each question of the response-level methods, before the cut
    updates: int = 200  # gradient steps of each offline method
    critic_updates: int = 400  # gradient steps of the critic
    group: int = 6  # rows of one question in a batch of step-DAPO; its critic takes single rows
    batch: int = 66  # responses of a gradient step of step-DAPO and of its critic
    partition_batch: int = 3  # questions, with all rows, of a step with fitted log-partition
    response_batch: int = 4  # questions of a gradient step of the response-level methods
    critic_lr: float = 2e-3  # Adam's step size of the critic
    step_dapo: tuple[float, float] = (0.03, 1e-3)  # β and Adam's step size, chosen by the pilot
    iterated: tuple[float, float] = (0.1, 1e-3)  # the same with two iterations
    partition: tuple[float, float] = (0.1, 1e-3)  # the same with fitted log-partition
    monte_carlo: tuple[float, float] = (0.03, 2e-3)  # the same with Monte-Carlo values
    response: tuple[float, float] = (0.01, 2e-3)  # the same of response-level regression
    dpo: tuple[float, float] = (1.0, 1e-3)  # the same of DPO
    ppo: tuple[float] = (1e-3,)  # Adam's step size of PPO, chosen by the pilot
    ppo_rounds: int = 36  # most rounds of PPO; it stops when the tokens are spent
    ppo_questions: int = 8  # questions of a round of PPO
    ppo_samples: int = 8  # responses to each question of a round of PPO
    ppo_updates: int = 5  # gradient steps on the responses of a round of PPO
    test_questions: int = 256  # held-out questions
    test_samples: int = 4  # responses to each held-out question
    audit_questions: int = 48  # held-out questions whose states check critics
    audit_completions: int = 12  # fresh completions of each of these states
    seeds: int = 5  # independent runs
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.audit_questions > self.test_questions:
            raise ValueError(
                f"audit_questions: expected at most test_questions={self.test_questions}, got "
                f"{self.audit_questions}"
            )
        if self.samples % self.iterations or self.rows % self.group or self.batch % self.group:
            raise ValueError(
                f"samples, group, batch: expected a multiple of iterations={self.iterations} and "
                f"divisors of {self.rows} rows and batch, got {self.samples}, {self.group}, "
                f"{self.batch}"
            )

    @property
    def rows(self) -> int:
        """Rows of a question: responses, and completions of their states."""
        return self.samples * (1 + (self.terms - 2) * self.completions)


SCALES = {
    "smoke": Config(
        terms=3, demonstrations=40, width=8, sft_steps=2, sft_batch=8, questions=4, samples=4,
        completions=1, responses=4, updates=2, critic_updates=2, group=2, batch=4,
        partition_batch=1, response_batch=2,
        ppo_rounds=2, ppo_questions=2, ppo_samples=2, ppo_updates=1,
        test_questions=6, test_samples=2, audit_questions=4, audit_completions=2, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        terms=7, demonstrations=8_000, width=64, sft_steps=2_000, questions=256, responses=24,
        updates=400, critic_updates=1_200, response_batch=4, ppo_rounds=100, ppo_questions=12,
        test_questions=512, audit_questions=96, audit_completions=16, seeds=6,
    ),
}  # fmt: skip
