"""The second program: a small convolutional network on CIFAR-10.

    python examples/cifar10_cnn.py --device cpu --epochs 2

Written for PyTorch; only the imports are flambeau's.
"""

import argparse

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F
import flambeau.optim as optim
from flambeau.utils.data import DataLoader
from flambeau.vision import datasets, transforms


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def train(net, trainloader, epochs=2, lr=0.001, momentum=0.9, device="cpu", report=2000):
    """Train; returns the loss of every step."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=lr, momentum=momentum)
    losses = []
    for epoch in range(epochs):
        running_loss = 0.0
        for i, data in enumerate(trainloader, 0):
            inputs, labels = data[0].to(device), data[1].to(device)
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            running_loss += losses[-1]
            if i % report == report - 1:
                print(f"[{epoch + 1}, {i + 1:5d}] loss: {running_loss / report:.3f}")
                running_loss = 0.0
    return losses


def accuracy(net, loader, device="cpu"):
    """The fraction of images classified right."""
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            _, predicted = torch.max(net(images.to(device)).data, 1)
            total += labels.size(0)
            correct += (predicted.cpu() == labels).sum().item()
    return correct / total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="./data")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()

    torch.manual_seed(0)
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))])
    trainset = datasets.CIFAR10(root=args.data, train=True, download=True, transform=transform)
    trainloader = DataLoader(trainset, batch_size=4, shuffle=True, num_workers=args.workers)
    testset = datasets.CIFAR10(root=args.data, train=False, download=True, transform=transform)
    testloader = DataLoader(testset, batch_size=4, shuffle=False, num_workers=args.workers)

    net = Net().to(args.device)
    losses = train(net, trainloader, args.epochs, device=args.device)
    print(f"Finished Training: loss from {losses[0]:.4f} to {losses[-1]:.4f}")
    print(f"Accuracy on the test images: {100 * accuracy(net, testloader, args.device):.1f} %")


if __name__ == "__main__":
    main()
