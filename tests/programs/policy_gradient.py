"""REINFORCE with a baseline on a pole that has to be balanced; the physics is plain Python."""

import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

random.seed(5)
torch.manual_seed(5)


class Pole:
    def reset(self):
        self.state = [random.uniform(-0.05, 0.05) for _ in range(4)]
        self.steps = 0
        return self.state

    def step(self, action):
        x, v, angle, spin = self.state
        force = 10.0 if action else -10.0
        cos, sin = math.cos(angle), math.sin(angle)
        push = (force + 0.05 * spin**2 * sin) / 1.1
        turn = (9.8 * sin - cos * push) / (0.5 * (4.0 / 3.0 - 0.1 * cos**2 / 1.1))
        move = push - 0.05 * turn * cos / 1.1
        self.state = [x + 0.02 * v, v + 0.02 * move, angle + 0.02 * spin, spin + 0.02 * turn]
        self.steps += 1
        x, _, angle, _ = self.state
        done = abs(x) > 2.4 or abs(angle) > 0.2095 or self.steps >= 200
        return self.state, 1.0, done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 128)
        self.dropout = nn.Dropout(p=0.2)
        self.action_head = nn.Linear(128, 2)
        self.value_head = nn.Linear(128, 1)

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=3e-3)
eps = 1e-7
env = Pole()
running = 10.0
for episode in range(1, 41):
    state, done, saved, rewards = env.reset(), False, [], []
    while not done:
        probs, value = policy(torch.tensor(state))
        chance = Categorical(probs)
        action = chance.sample()
        state, reward, done = env.step(action.item())
        saved.append((chance.log_prob(action), value))
        rewards.append(reward)
    running = 0.05 * len(rewards) + 0.95 * running
    total, returns = 0.0, []
    for r in rewards[::-1]:
        total = r + 0.99 * total
        returns.insert(0, total)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_losses, value_losses = [], []
    for (log_prob, value), target in zip(saved, returns):
        policy_losses.append(-log_prob * (target - value.item()))
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([target])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    if episode % 10 == 0:
        print(f"episode {episode} length {len(rewards)} average {running:.3f} "
              f"loss {loss.item():.4f}")  # fmt: skip
