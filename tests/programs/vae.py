"""A variational autoencoder on drawn rings: reparametrisation, two losses, a DataLoader."""

import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def rings(count):
    """Pictures [count, 1, 16, 16] of rings with random centres and radii."""
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    centre = 5 + 6 * torch.rand(count, 2)
    radius = 2 + 3 * torch.rand(count, 1, 1)
    distance = ((x - centre[:, :1, None]) ** 2 + (y - centre[:, 1:, None]) ** 2).sqrt()
    return torch.exp(-((distance - radius) ** 2)).unsqueeze(1).clamp(0, 1)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.mean = nn.Linear(256, 4)
        self.logvar = nn.Linear(256, 4)
        self.expand = nn.Linear(4, 256)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        )  # fmt: skip

    def encode(self, x):
        h = self.encoder(x)
        return self.mean(h), self.logvar(h)

    def reparameterize(self, mean, logvar):
        std = torch.exp(0.5 * logvar)
        return mean + torch.randn_like(std) * std

    def decode(self, z):
        return torch.sigmoid(self.decoder(F.relu(self.expand(z)).view(-1, 16, 4, 4)))

    def forward(self, x):
        mean, logvar = self.encode(x)
        return self.decode(self.reparameterize(mean, logvar)), mean, logvar


def loss_function(made, x, mean, logvar):
    bce = F.binary_cross_entropy(made, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())
    return bce + kld, bce, kld


train = DataLoader(TensorDataset(rings(640)), batch_size=32, shuffle=True)
test = DataLoader(TensorDataset(rings(128)), batch_size=64)
model = VAE()
optimizer = optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(1, 7):
    model.train()
    sums = torch.zeros(3)
    for (x,) in train:
        optimizer.zero_grad()
        losses = loss_function(*[(out := model(x))[0], x, *out[1:]])
        losses[0].backward()
        optimizer.step()
        sums += torch.stack([part.detach() for part in losses])
    loss, bce, kld = (sums / len(train.dataset)).tolist()
    model.eval()
    with torch.no_grad():
        held = sum(loss_function((out := model(x))[0], x, *out[1:])[0].item() for (x,) in test)
    print(f"epoch {epoch} bce {bce:.4f} kld {kld:.4f} test {held / 128:.4f} loss {loss:.4f}")
with torch.no_grad():
    samples = model.decode(torch.randn(8, 4))
print("samples", tuple(samples.shape), f"mean {samples.mean().item():.4f}")
