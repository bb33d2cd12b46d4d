"""The two networks that take sixteen frames, with the parameter names of their published weights.

`InceptionI3d` (Carreira and Zisserman 2017; weights `i3d_pretrained_400`, for FVD) and `ResNet3d` (Hara et al. 2018,
50 layers; weights `resnet-50-kinetics`, for FID-VID). No maintained library includes either.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

KINETICS_CLASSES = 400


class SamePadding(nn.Module):
    """Zero padding as TensorFlow's SAME: the output has ceil(side / stride) places, the odd one goes behind."""

    def __init__(self, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        sides: list[int] = []
        for side, k, s in zip(x.shape[2:], self.kernel, self.stride, strict=True):
            total = max(k - (side % s or s), 0)
            sides = [total // 2, total - total // 2, *sides]  # `pad` counts from the last axis
        return pad(x, sides)


def _pool(kernel: tuple[int, ...], stride: tuple[int, ...]) -> nn.Sequential:
    return nn.Sequential(SamePadding(kernel, stride), nn.MaxPool3d(kernel, stride))


class _Unit(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1) -> None:
        kernel, strides = (side,) * 3, (stride,) * 3
        super().__init__(
            OrderedDict(
                same=SamePadding(kernel, strides),
                conv3d=nn.Conv3d(inputs, outputs, kernel, strides, bias=False),
                bn=nn.BatchNorm3d(outputs, eps=1e-3),
                relu=nn.ReLU(inplace=True),
            )
        )


class _Mixed(nn.Module):
    """Four branches side by side: 1x1x1; 1x1x1 and 3x3x3, twice; pooled and 1x1x1."""

    def __init__(self, inputs: int, b0: int, b1a: int, b1b: int, b2a: int, b2b: int, b3b: int):
        super().__init__()
        self.b0 = _Unit(inputs, b0)
        self.b1a, self.b1b = _Unit(inputs, b1a), _Unit(b1a, b1b, 3)
        self.b2a, self.b2b = _Unit(inputs, b2a), _Unit(b2a, b2b, 3)
        self.b3a, self.b3b = _pool((3, 3, 3), (1, 1, 1)), _Unit(inputs, b3b)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)),
        ]  # fmt: skip
        return torch.cat(branches, dim=1)


class InceptionI3d(nn.Sequential):
    """(n, 3, 16, 224, 224) in [-1, 1] -> logits (n, 400), the mean over time."""

    def __init__(self) -> None:
        super().__init__(
            OrderedDict(
                Conv3d_1a_7x7=_Unit(3, 64, 7, 2),
                MaxPool3d_2a_3x3=_pool((1, 3, 3), (1, 2, 2)),
                Conv3d_2b_1x1=_Unit(64, 64),
                Conv3d_2c_3x3=_Unit(64, 192, 3),
                MaxPool3d_3a_3x3=_pool((1, 3, 3), (1, 2, 2)),
                Mixed_3b=_Mixed(192, 64, 96, 128, 16, 32, 32),
                Mixed_3c=_Mixed(256, 128, 128, 192, 32, 96, 64),
                MaxPool3d_4a_3x3=_pool((3, 3, 3), (2, 2, 2)),
                Mixed_4b=_Mixed(480, 192, 96, 208, 16, 48, 64),
                Mixed_4c=_Mixed(512, 160, 112, 224, 24, 64, 64),
                Mixed_4d=_Mixed(512, 128, 128, 256, 24, 64, 64),
                Mixed_4e=_Mixed(512, 112, 144, 288, 32, 64, 64),
                Mixed_4f=_Mixed(528, 256, 160, 320, 32, 128, 128),
                MaxPool3d_5a_2x2=_pool((2, 2, 2), (2, 2, 2)),
                Mixed_5b=_Mixed(832, 256, 160, 320, 32, 128, 128),
                Mixed_5c=_Mixed(832, 384, 192, 384, 48, 128, 128),
                avg_pool=nn.AvgPool3d((2, 7, 7), 1),
                logits=nn.Sequential(OrderedDict(conv3d=nn.Conv3d(1024, KINETICS_CLASSES, 1))),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(dim=(2, 3, 4))


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * planes
        self.conv1, self.bn1 = nn.Conv3d(inputs, planes, 1, bias=False), nn.BatchNorm3d(planes)
        self.conv2 = nn.Conv3d(planes, planes, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(planes)
        self.conv3, self.bn3 = nn.Conv3d(planes, outputs, 1, bias=False), nn.BatchNorm3d(outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        return (self.bn3(self.conv3(y)) + self.downsample(x)).relu()


class ResNet3d(nn.Sequential):
    """(n, 3, 16, 112, 112) in grey levels less their mean -> features (n, 2048); 50 layers.

    The classifier `fc` of the published weights is kept out: FID-VID takes what comes before it.
    """

    def __init__(self) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv3d(3, 64, 7, (1, 2, 2), padding=3, bias=False),
            bn1=nn.BatchNorm3d(64),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool3d(3, 2, padding=1),
        )
        inputs = 64
        for i, (planes, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            made = []
            for j in range(blocks):
                made.append(_Bottleneck(inputs, planes, 2 if i and not j else 1))
                inputs = 4 * planes
            layers[f"layer{i + 1}"] = nn.Sequential(*made)
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(dim=(2, 3, 4))
