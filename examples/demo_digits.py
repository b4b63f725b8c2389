"""Train a small CNN on real handwritten digits, on any device that is installed.

    python examples/demo_digits.py --device cpu

The digits are the 1,797 scans of 8 x 8 pixels that come with scikit-learn.  Saves a picture of
the loss and of some predictions, and prints where.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import flambeau as fb
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset, random_split

try:
    import matplotlib
    from sklearn.datasets import load_digits
    from tqdm import tqdm
except ImportError as error:
    sys.exit(f'{error}: the demo needs its extra, pip install "flambeau[demo]"')

EPOCHS = 12
GOAL = 0.97


class Digits(nn.Module):
    """Two convolutions with batch norm, a pooling between them, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.25), nn.Linear(32 * 4 * 4, 10))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Scores of the ten digits, (N, 10), for images (N, 1, 8, 8)."""
        return self.classifier(self.features(x))


def data() -> tuple[TensorDataset, TensorDataset]:
    """Training and test images with their labels: 1,437 and 360."""
    digits = load_digits()
    images = fb.from_numpy(digits.images).float().unsqueeze(1) / 16
    labels = fb.from_numpy(digits.target).long()
    return random_split(TensorDataset(images, labels), [1437, 360])


def train(model: Digits, loader: DataLoader, device: str) -> list[float]:
    """The loss of every step."""
    optimizer = fb.optim.Adam(model.parameters(), lr=3e-3)
    schedule = fb.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(loader))
    losses: list[float] = []
    with tqdm(total=EPOCHS * len(loader), desc=f"training on {device}", unit="step") as bar:
        for _ in range(EPOCHS):
            for images, labels in loader:
                optimizer.zero_grad()
                scores = model(images.to(device))
                loss = nn.functional.cross_entropy(scores, labels.to(device))
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
                bar.update()
            bar.set_postfix(loss=f"{sum(losses[-len(loader):]) / len(loader):.4f}")
    return losses


def test(model: Digits, dataset: TensorDataset, device: str) -> tuple[float, fb.Tensor]:
    """The accuracy, and the predicted digit of every image."""
    model.eval()
    images, labels = next(iter(DataLoader(dataset, batch_size=len(dataset))))
    with fb.no_grad():
        predicted = model(images.to(device)).argmax(1).cpu()
    return (predicted == labels).float().mean().item(), predicted


def draw(losses: list[float], dataset: TensorDataset, predicted: fb.Tensor, path: Path) -> None:
    """The loss curve above, sixteen test images with their predictions below."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(8, 6), layout="constrained")
    curve, pictures = figure.subfigures(2, 1, height_ratios=[2, 1])
    axes = curve.subplots()
    axes.semilogy(losses, linewidth=1)
    axes.set(xlabel="step", ylabel="cross entropy", title="Training loss")
    for i, cell in enumerate(pictures.subplots(2, 8).flat):
        image, label = dataset[i]
        guess = int(predicted[i])
        cell.imshow(image[0].numpy(), cmap="gray_r")
        cell.set_title(str(guess), color="green" if guess == int(label) else "red")
        cell.axis("off")
    figure.savefig(path, dpi=120)


def main() -> int:
    """Run the demo; exit code 0 if the accuracy is reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="a folder")
    args = parser.parse_args()

    fb.manual_seed(0)
    trainset, testset = data()
    loader = DataLoader(trainset, batch_size=64, shuffle=True)
    model = Digits().to(args.device)
    start = time.perf_counter()
    losses = train(model, loader, args.device)
    seconds = time.perf_counter() - start
    accuracy, predicted = test(model, testset, args.device)
    args.output.mkdir(parents=True, exist_ok=True)
    picture = args.output / f"digits_{args.device.replace(':', '_')}.png"
    draw(losses, testset, predicted, picture)
    print(f"trained {sum(p.numel() for p in model.parameters()):,} parameters on {args.device} "
          f"in {seconds:.1f} s; test accuracy {100 * accuracy:.2f} %")
    print(f"picture: {picture.resolve()}")
    if accuracy < GOAL:
        print(f"the accuracy is below {100 * GOAL:.0f} %", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
