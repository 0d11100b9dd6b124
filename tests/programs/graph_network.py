"""A graph network on a graph of communities: normalised messages along edges, masked classes."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
nodes, kinds, features = 240, 4, 16
label = torch.arange(nodes) % kinds
alike = label[:, None] == label[None, :]
chance = torch.where(alike, 0.08, 0.01)
linked = (torch.rand(nodes, nodes) < chance).triu(1)
linked = linked | linked.t()
edges = linked.nonzero().t().contiguous()
x = torch.randn(nodes, features) + 0.5 * F.one_hot(label, features).float()
mask = torch.rand(nodes) < 0.2
print(edges.shape[1], "edges,", int(mask.sum()), "labels")


class Convolution(nn.Module):
    """Kipf and Welling's layer over an edge list."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, edges):
        loops = torch.arange(x.size(0)).repeat(2, 1)
        source, target = torch.cat([edges, loops], dim=1)
        degree = torch.zeros(x.size(0)).scatter_add_(0, target, torch.ones(target.size(0)))
        norm = degree[source].rsqrt() * degree[target].rsqrt()
        messages = (x @ self.weight)[source] * norm.unsqueeze(1)
        return torch.zeros_like(messages[: x.size(0)]).index_add_(0, target, messages) + self.bias


class Attention(nn.Module):
    """Velickovic and others' layer: a softmax over each node's incoming edges."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.lin = nn.Linear(inputs, outputs, bias=False)
        self.score = nn.Linear(2 * outputs, 1, bias=False)

    def forward(self, x, edges):
        h = self.lin(x)
        source, target = edges
        e = F.leaky_relu(self.score(torch.cat([h[source], h[target]], 1)).squeeze(1), 0.2)
        e = torch.exp(e - e.max())
        total = torch.zeros(x.size(0)).index_add(0, target, e) + 1e-9
        share = e / total[target]
        return torch.zeros(x.size(0), h.size(1)).index_add(0, target, share[:, None] * h[source])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Convolution(features, 32)
        self.second = Attention(32, 32)
        self.last = Convolution(32, kinds)

    def forward(self, x, edges):
        x = F.dropout(F.elu(self.first(x, edges)), 0.5, training=self.training)
        x = F.elu(self.second(x, edges)) + x
        return F.log_softmax(self.last(x, edges), dim=1)


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
for epoch in range(1, 101):
    model.train()
    optimizer.zero_grad()
    loss = F.nll_loss(model(x, edges)[mask], label[mask])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        model.eval()
        with torch.no_grad():
            right = (model(x, edges).argmax(1) == label)[~mask].float().mean()
        print(f"epoch {epoch} accuracy {right.item():.3f} loss {loss.item():.5f}")
