"""A GAN on a ring of eight Gaussians: spectral norm (Miyato et al. 2018), two optimizers with rates
that fall, detached samples, averaged weights."""

import copy
import math

import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm

torch.manual_seed(3)


def real(count):
    angle = torch.randint(0, 8, (count,)).float() * (2 * math.pi / 8)
    centre = torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
    return centre + 0.05 * torch.randn(count, 2)


generator = nn.Sequential(
    nn.Linear(8, 64), nn.BatchNorm1d(64), nn.ReLU(True),
    nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(True), nn.Linear(64, 2),
)  # fmt: skip
discriminator = nn.Sequential(
    spectral_norm(nn.Linear(2, 64)), nn.LeakyReLU(0.2, inplace=True), nn.Dropout(0.1),
    spectral_norm(nn.Linear(64, 64)), nn.LeakyReLU(0.2, inplace=True),
    spectral_norm(nn.Linear(64, 1)),
)  # fmt: skip


def weights_init(m):
    if type(m).__name__.find("Linear") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.1)
        nn.init.constant_(m.bias.data, 0)


generator.apply(weights_init)
discriminator.apply(weights_init)
average = copy.deepcopy(generator)
criterion = nn.BCEWithLogitsLoss()
opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
steps = 2000
falling = [
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for optimizer in (opt_d, opt_g)
]
fixed = torch.randn(64, 8)
size = 128
ones, zeros = torch.full((size, 1), 0.9), torch.zeros(size, 1)

for step in range(1, steps + 1):
    opt_d.zero_grad()
    loss_real = criterion(discriminator(real(size)), ones)
    loss_real.backward()
    fake = generator(torch.randn(size, 8))
    loss_fake = criterion(discriminator(fake.detach()), zeros)
    loss_fake.backward()
    opt_d.step()

    opt_g.zero_grad()
    loss_g = criterion(discriminator(fake), ones)
    loss_g.backward()
    opt_g.step()
    for schedule in falling:
        schedule.step()

    with torch.no_grad():
        for kept, now in zip(average.parameters(), generator.parameters()):
            kept.mul_(0.99).add_(now, alpha=0.01)
    if step % 200 == 0:
        d = loss_real.item() + loss_fake.item()
        print(f"step {step} D loss {d:.4f} G loss {loss_g.item():.4f}")

with torch.no_grad():
    points = average(fixed)
print(f"radius {points.norm(dim=1).mean().item():.4f}")
