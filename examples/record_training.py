"""What layers return during one's own training step: modes and gradients are the user's own."""

import torch
from torch import nn

import netviz_core as nv

model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(288, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
images, labels = torch.rand(16, 1, 8, 8), torch.randint(10, (16,))

with nv.recording(model, "1") as captured:
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()

print(list(captured))  # ['1:0', '1:1', '1:2']: the norm ran three times
nv.histogram(captured, "1:2").save("norm-at-step-2.png")
