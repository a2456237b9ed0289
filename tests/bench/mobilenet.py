"""MobileNetV2 in torch, trained for a moment on scikit-learn's digits, scaled up.

The architecture is that of Sandler et al. 2018 (arXiv:1801.04381), table 2, at width 1.0. The
digits make it an easy problem with an accuracy that means something; what the network costs does
not depend on what it was trained on.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

CLASSES = 10
# Expansion, channels, blocks, stride of the first of them.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
SEED = 7
BATCH = 64


def convolution(entering: int, leaving: int, kernel: int, stride: int, groups: int) -> nn.Module:
    """A convolution with its normalisation and its bounded activation."""
    return nn.Sequential(
        nn.Conv2d(entering, leaving, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(leaving),
        nn.ReLU6(),
    )


class Block(nn.Module):
    """An inverted residual with a linear bottleneck."""

    def __init__(self, entering: int, leaving: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = entering * expansion
        layers = [convolution(entering, inner, 1, 1, 1)] if expansion > 1 else []
        layers.append(convolution(inner, inner, 3, stride, inner))
        layers += [nn.Conv2d(inner, leaving, 1, bias=False), nn.BatchNorm2d(leaving)]
        self.layers = nn.Sequential(*layers)
        self.is_residual = stride == 1 and entering == leaving

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Adds what the layers make of it, if the shapes are the same."""
        found = self.layers(x)
        return x + found if self.is_residual else found


class MobileNetV2(nn.Module):
    """The whole network, at width 1.0."""

    def __init__(self) -> None:
        super().__init__()
        layers = [convolution(3, 32, 3, 2, 1)]
        channels = 32
        for expansion, leaving, blocks, stride in STAGES:
            for index in range(blocks):
                layers.append(Block(channels, leaving, stride if index == 0 else 1, expansion))
                channels = leaving
        layers.append(convolution(channels, 1280, 1, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(1280, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the logits."""
        return self.classifier(self.features(x).mean((2, 3)))


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images, test images, and their labels: uint8, (rows, 8, 8), scaled up when used."""
    found = load_digits()
    return train_test_split(
        found.images.astype(np.uint8), found.target, test_size=0.3, random_state=SEED,
        stratify=found.target,
    )  # fmt: skip


def scaled(images: np.ndarray, pixels: int) -> torch.Tensor:
    """Images as the network takes them: three equal channels, about -1 to 1."""
    small = torch.from_numpy(images.astype(np.float32))[:, None] / 8 - 1
    large = nn.functional.interpolate(small, size=(pixels, pixels), mode="bilinear")
    return large.expand(-1, 3, -1, -1).contiguous()


def trained(pixels: int, epochs: int) -> nn.Module:
    """Trains it with a one-cycle rate."""
    torch.manual_seed(SEED)
    images, _, labels, _ = digits()
    targets = torch.from_numpy(labels)
    network = MobileNetV2()
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images)).split(BATCH):
            logits = network(scaled(images[chosen.numpy()], pixels))
            loss = nn.functional.cross_entropy(logits, targets[chosen], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(images):.3f}", flush=True)
    _normalise(network, images, pixels)
    return network.eval()


def _normalise(network: nn.Module, images: np.ndarray, pixels: int) -> None:
    """Takes the statistics of the normalisations anew, from the network as it is now.

    What they remember is of weights that have changed since.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean of all batches
    network.train()
    with torch.no_grad():
        for rows in np.array_split(images, -(-len(images) // BATCH)):
            network(scaled(rows, pixels))
