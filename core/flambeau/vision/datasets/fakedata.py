"""Random images, for trying out a program without any data."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.vision.datasets.vision import Transform, VisionDataset
from flambeau.vision.transforms.functional import to_pil_image


class FakeData(VisionDataset):
    """Images of noise with random labels; sample ``i`` is always the same.

    Args:
        size: number of samples.
        image_size: channels, height, width.
        num_classes: labels are below it.
        transform: applied to the image.
        target_transform: applied to the label, a 0-d int64 tensor.
        random_offset: sample ``i`` comes from the seed ``i + random_offset``.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        generator = fb.Generator()
        generator.manual_seed(index + self.random_offset)
        noise = fb.randn(*self.image_size, generator=generator)
        target = fb.randint(0, self.num_classes, (1,), dtype=fb.int64, generator=generator)[0]
        image, label = self._transformed(to_pil_image(noise), target)
        return image, label.item()

    def __len__(self) -> int:
        return self.size
