"""Reference results: returns, seeds, steps and steps per second, beside others' own scripts.

``python -m benchmarks.reference [--jaxmarl CHECKOUT] [--purejaxrl CHECKOUT] [--json PATH]``

* ``spread``: cooperative navigation of three agents with five discrete actions, PPO with the
  parameters shared and the hyper-parameters of JaxMARL's ``ippo_ff_mpe.yaml``, in three forms:
  JaxMARL's script on JaxMARL's environment, our PPO on JaxMARL's environment, our PPO on ours.
* ``pendulum``: our PPO and SAC on our pendulum.
* ``gymnax``: gymnax's CartPole-v1, PureJaxRL's ``ppo.py`` and our PPO with its hyper-parameters.
* ``brax``: brax's inverted pendulum (positional physics), PureJaxRL's ``ppo_continuous_action.py``,
  our PPO with the same hyper-parameters, our SAC on a tenth of the steps.

Others' environments are used where they are installed, their scripts where a checkout of their
repository is given; a script is loaded and trained as it is (logging switched off). Random moves
earn the same in both navigation worlds, which is printed.

A return is one agent's reward summed over an episode, mean over agents and over the episodes that
ended in the last tenth of the training, while it still explores. Forms take turns, seed by seed;
a rate is the median over seeds, and compilation is apart.
"""
