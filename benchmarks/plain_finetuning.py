"""Plain fine-tuning in torch and torchvision alone, as a tutorial has it: the peer of classification's defaults.

MobileNetV2 with ImageNet weights and a new head, AdamW with a one-cycle schedule up to 0.001, batches of 16, crops and
flips, 30 epochs, each judged on the images held out; the best epoch counts, as it does for the other side.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import mobilenet_v2
from torchvision.transforms import v2

EPOCHS, BATCH, RATE = 30, 16, 1e-3
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def finetune(data: Path, weights: Path, size: int, seed: int, minutes: float | None) -> float:
    """The best accuracy on ``data/val`` of the network trained on ``data/train``, images of ``size`` pixels. Stops when
    ``minutes`` are over."""
    torch.manual_seed(seed)
    begun = time.perf_counter()
    tensor = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, DEVIATION)]
    training = ImageFolder(data / "train", v2.Compose([
        v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip(), *tensor]))
    held_out = ImageFolder(data / "val", v2.Compose([v2.Resize((size, size), antialias=True), *tensor]))
    batches = DataLoader(training, BATCH, shuffle=True, drop_last=len(training) % BATCH == 1)
    network = mobilenet_v2(weights=None)
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    own = network.state_dict()
    body = [name for name in own if not name.startswith("classifier.")]
    network.load_state_dict(own | dict(zip(body, stored.values(), strict=True)))
    network.classifier[1] = nn.Linear(network.last_channel, len(training.classes))
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs=EPOCHS, steps_per_epoch=len(batches))
    best = 0.0
    for _ in range(EPOCHS):
        network.train()
        for images, labels in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            right = sum(int((network(images).argmax(1) == labels).sum())
                        for images, labels in DataLoader(held_out, 100))
        best = max(best, right / len(held_out))
        if minutes is not None and time.perf_counter() - begun > 60 * minutes:
            break
    return best
