"""A policy trained by its episodes, as a user of PyTorch writes it. Runs under PyTorch and under
`gemel run`."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

from .networks_torch import start
from .workload import Job

DISCOUNT = 0.99
CHECKED = 3  # episodes whose losses are compared


class Pole:
    """A pole on a cart, which a force from left or right keeps upright (Barto, Sutton and Anderson
    1983). A new pole begins where the number of its episode says."""

    def reset(self, episode: int) -> list[float]:
        self.state = [0.02 * math.sin(3 * episode + k) for k in range(4)]
        return self.state

    def step(self, action: int) -> tuple[list[float], float]:
        x, v, angle, turn = self.state
        push = 10.0 if action else -10.0
        sine, cosine = math.sin(angle), math.cos(angle)
        pull = (push + 0.05 * turn * turn * sine) / 1.1
        bend = (9.8 * sine - cosine * pull) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
        speed = pull - 0.05 * bend * cosine / 1.1
        self.state = [x + 0.02 * v, v + 0.02 * speed, angle + 0.02 * turn, turn + 0.02 * bend]
        return self.state, 1.0 - abs(angle)


class Policy(nn.Module):
    """Chances of two actions in a state of four numbers."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 128)
        self.scores = nn.Linear(128, 2)

    def forward(self, state):
        return torch.softmax(self.scores(torch.relu(self.hidden(state))), dim=-1)


class Learner:
    """REINFORCE (Williams 1992): after each episode, actions that were followed by more reward than
    others become likelier."""

    def __init__(self, lengths: list[int]):
        torch.manual_seed(0)
        self.policy = start(Policy())
        self.optimizer = torch.optim.Adam(self.policy.parameters(), lr=1e-3)
        self.lengths = lengths
        self.world = Pole()
        self.episodes = 0

    def episode(self) -> torch.Tensor:
        """Play one and learn from it; its loss."""
        steps = self.lengths[self.episodes % len(self.lengths)]
        state = self.world.reset(self.episodes)
        self.episodes += 1
        chances, rewards = [], []
        for _ in range(steps):
            given = Categorical(self.policy(torch.tensor(state)))
            action = given.sample()
            chances.append(given.log_prob(action))
            state, reward = self.world.step(action.item())
            rewards.append(reward)
        later = 0.0
        returns: list[float] = []
        for reward in reversed(rewards):
            later = reward + DISCOUNT * later
            returns.insert(0, later)
        weights = torch.tensor(returns)
        weights = (weights - weights.mean()) / (weights.std() + 1e-6)
        loss = torch.stack([-chance * w for chance, w in zip(chances, weights)]).sum()  # noqa: B905
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss


def train_policy(lengths: list[int]) -> Job:
    """Episodes of these lengths, again and again; a step is one action."""
    learner = Learner(lengths)
    total = sum(lengths)

    def run(steps: int) -> None:
        for _ in range(steps // total):
            for _ in lengths:
                loss = learner.episode()
        loss.item()

    def results() -> list[np.ndarray]:
        return [np.array([learner.episode().item() for _ in range(CHECKED)])]

    return Job(run, results, unit=total)
