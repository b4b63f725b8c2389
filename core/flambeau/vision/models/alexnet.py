"""AlexNet, in the form with one column (Krizhevsky 2014)."""

from __future__ import annotations

from typing import Any

from flambeau import nn
from flambeau.tensor import Tensor
from flambeau.vision.models._api import published, register

__all__ = ["AlexNet", "AlexNet_Weights", "alexnet"]

AlexNet_Weights = published(
    "AlexNet_Weights", __name__, 61_100_840, IMAGENET1K_V1=("alexnet-owt-7be5be79.pth", 256, 224)
)


class AlexNet(nn.Module):
    """Five convolutions and three linear layers; images ``(N, 3, H, W)`` from 63 pixels."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scores ``(N, num_classes)``."""
        scores: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return scores


@register(AlexNet_Weights)
def alexnet(**kwargs: Any) -> AlexNet:
    """AlexNet."""
    return AlexNet(**kwargs)
