"""A residual network on pictures of CIFAR's shape: a Dataset with augmentation, SGD, a schedule."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(9)
np.random.seed(9)


class Pictures(Dataset):
    """Coloured stripes whose direction and colour make the class."""

    def __init__(self, count, train):
        rng = np.random.RandomState(0 if train else 1)
        self.labels = rng.randint(0, 10, count)
        y, x = np.mgrid[0:32, 0:32] / 32.0
        self.images = np.empty((count, 3, 32, 32), dtype=np.float32)
        for k, label in enumerate(self.labels):
            turn, colour = label % 5, label // 5
            wave = np.sin(2 * np.pi * (4 + colour) * (x * np.cos(turn) + y * np.sin(turn)))
            self.images[k] = 0.3 * rng.randn(3, 32, 32) + wave
        self.train = train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, k):
        image = self.images[k]
        if self.train and k % 2:
            image = image + 0.01
        return torch.from_numpy(image), int(self.labels[k])


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, width=8, classes=10):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.layer1 = BasicBlock(width, width)
        self.layer2 = BasicBlock(width, 2 * width, 2)
        self.layer3 = BasicBlock(2 * width, 4 * width, 2)
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(4 * width, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.pool(x), 1))


train = DataLoader(Pictures(512, True), batch_size=32, shuffle=True, drop_last=True)
test = DataLoader(Pictures(128, False), batch_size=64, shuffle=False)
model = ResNet()
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.SGD(
    model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True
)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3)
for epoch in range(1, 4):
    model.train()
    total, right, seen = 0.0, 0, 0
    for images, labels in train:
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * labels.size(0)
        right += outputs.max(1)[1].eq(labels).sum().item()
        seen += labels.size(0)
    scheduler.step()
    model.eval()
    held = 0
    with torch.no_grad():
        for images, labels in test:
            held += (model(images).argmax(dim=1) == labels).sum().item()
    print(f"epoch {epoch} train {right / seen:.3f} test {held / 128:.3f} loss {total / seen:.5f}")
