"""The first program: one linear layer on MNIST.

    python examples/mnist_linear.py --device cpu

Written for PyTorch; only the imports are flambeau's.
"""

import argparse

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader
from flambeau.vision import datasets, transforms


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(784, 10)

    def forward(self, x):
        return self.linear(x.view(-1, 784))


def train(model, loader, epochs=1, lr=0.001, momentum=0.9, device="cpu"):
    """Train; returns the loss of every step."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)
    losses = []
    for _ in range(epochs):
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def accuracy(model, loader, device="cpu"):
    """The fraction of images classified right."""
    correct = total = 0
    with torch.no_grad():
        for images, labels in loader:
            predicted = model(images.to(device)).argmax(1).cpu()
            correct += (predicted == labels).sum().item()
            total += labels.size(0)
    return correct / total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="./data")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()

    torch.manual_seed(0)
    transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
    trainset = datasets.MNIST(args.data, train=True, download=True, transform=transform)
    testset = datasets.MNIST(args.data, train=False, download=True, transform=transform)
    trainloader = DataLoader(trainset, batch_size=args.batch_size, shuffle=True)
    testloader = DataLoader(testset, batch_size=1000)

    model = Classifier().to(args.device)
    losses = train(model, trainloader, args.epochs, device=args.device)
    print(f"loss of the first step {losses[0]:.4f}, of the last {losses[-1]:.4f}")
    print(f"test accuracy {accuracy(model, testloader, args.device):.4f}")


if __name__ == "__main__":
    main()
