"""Handwritten digits with PyTorch: a 64-64-10 network, Adam, 20 epochs.

    python digits_torch.py          under PyTorch
    gemel run digits_torch.py       under Gemel
"""

import digits
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        return self.fc2(x)


def main():
    record = digits.Record("PyTorch")
    (train_images, train_labels), (test_images, test_labels) = digits.load()
    train_set = TensorDataset(torch.from_numpy(train_images), torch.from_numpy(train_labels))

    torch.manual_seed(0)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=digits.LEARNING_RATE)
    train_loader = DataLoader(train_set, batch_size=digits.BATCH, shuffle=True)

    record.start()
    for _ in range(digits.EPOCHS):
        total = 0.0
        for inputs, labels in train_loader:
            outputs = model(inputs)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * labels.size(0)
            record.step()
        record.epoch(total / len(train_set))

    with torch.no_grad():
        outputs = model(torch.from_numpy(test_images))
        predicted = torch.argmax(outputs, dim=1)
    record.finish(predicted.numpy(), test_labels)


if __name__ == "__main__":
    main()
