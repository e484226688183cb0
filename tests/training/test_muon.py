from __future__ import annotations

import torch
from torch import nn
from torch.optim import AdamW

from napari_tumorseg.models.efficientnet_unet import EfficientNetUNet
from napari_tumorseg.models.unet import UNet
from napari_tumorseg.training.muon import Muon, orthogonal, split_parameters


def test_orthogonalisation_keeps_directions_and_evens_lengths() -> None:
    torch.manual_seed(0)
    for shape in ((6, 20), (20, 6)):
        matrix = torch.randn(shape)
        found = orthogonal(matrix, 8)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        ours = left.T @ found @ right.T
        assert (torch.diagonal(ours) > 0.6).all() and (torch.diagonal(ours) < 1.3).all()
        assert (ours - torch.diag(torch.diagonal(ours))).abs().max() < 0.05


def test_rest_moves_as_adamw() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    other.load_state_dict(one.state_dict())
    muon = Muon([], one.parameters(), rest_lr=1e-2, weight_decay=0.1)
    groups = [{"params": [other.weight], "weight_decay": 0.1}, {"params": [other.bias], "weight_decay": 0.0}]
    adamw = AdamW(groups, lr=1e-2, betas=(0.9, 0.99))
    for _ in range(5):
        x = torch.randn(8, 4)
        for net, optimiser in ((one, muon), (other, adamw)):
            optimiser.zero_grad()
            net(x).square().sum().backward()
            optimiser.step()
    torch.testing.assert_close(one.weight, other.weight)
    torch.testing.assert_close(one.bias, other.bias)


def test_convolutions_learn_and_keep_their_length() -> None:
    torch.manual_seed(0)
    net = UNet(1, 1, [4], 8)
    convolutions, rest, encoder = split_parameters(net)
    assert len(convolutions) == 6 and len(convolutions) + len(rest) == len(list(net.parameters()))
    assert not encoder
    optimiser = Muon(convolutions, rest, lr=0.05)
    x = torch.randn(4, 1, 8, 8)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (net(x) - x).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    for weight in convolutions:
        assert abs(weight.norm().item() / len(weight) ** 0.5 - 1) < 0.2


def test_an_encoder_from_trained_weights_is_not_rotated() -> None:
    torch.manual_seed(0)
    net = EfficientNetUNet(1, 1, [4, 4])
    convolutions, rest, encoder = split_parameters(net)
    assert len(convolutions) == 5  # two of each decoder level, and the skip at full resolution
    assert {id(p) for p in encoder} == {id(p) for p in net.encoder.parameters()}
    assert len(convolutions) + len(rest) + len(encoder) == len(list(net.parameters()))
    before = [p.detach().clone() for p in encoder]
    optimiser = Muon(convolutions, rest, encoder, encoder_lr=1e-3)
    net(torch.randn(2, 1, 16, 16)).square().mean().backward()
    optimiser.step()
    for now, was in zip(encoder, before, strict=True):
        assert 0 < (now - was).abs().max() < 1.1e-3  # the first step of Adam is the rate itself
