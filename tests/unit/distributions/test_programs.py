"""Programs of PyTorch's users, line by line the same, on the CPU and on an OpenCL device."""

from __future__ import annotations

import importlib

import pytest

from flambeau.plugins import BackendUnavailable, backend_for


@pytest.fixture(params=["cpu", "opencl"])
def device(request):
    try:
        backend_for(request.param)
    except BackendUnavailable as error:
        pytest.skip(f"no OpenCL device: {error.cause}")
    return request.param


def both(program, device):
    """The losses of a program with PyTorch, and with flambeau on a device."""
    pytest.importorskip("torch")
    results = []
    for name, where in (("torch", "cpu"), ("flambeau", device)):
        library = importlib.import_module(name)
        library.manual_seed(0)
        results.append(program(library, importlib.import_module(f"{name}.nn"), where))
    return results


def variational_autoencoder(torch, nn, device):
    normal = torch.distributions.Normal
    encoder, decoder = nn.Linear(12, 8).to(device), nn.Linear(4, 12).to(device)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
    data = torch.rand(32, 12).to(device)
    losses = []
    for _ in range(30):
        loc, raw = encoder(data).chunk(2, -1)
        posterior = normal(loc, nn.functional.softplus(raw) + 1e-3)
        prior = normal(torch.zeros_like(loc), torch.ones_like(loc))
        latent = posterior.rsample()
        likelihood = torch.distributions.Independent(
            torch.distributions.Bernoulli(logits=decoder(latent), validate_args=False), 1)
        divergence = torch.distributions.kl_divergence(posterior, prior).sum(-1)
        loss = (divergence - likelihood.log_prob(data)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def policy_gradient(torch, nn, device):
    policy = nn.Linear(3, 4).to(device)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.5)
    states = torch.rand(64, 3).to(device)
    rewards = []
    for _ in range(30):
        actions = torch.distributions.Categorical(logits=policy(states))
        action = actions.sample()
        reward = (action == 2).float()
        loss = -(actions.log_prob(action) * (reward - reward.mean())).mean()
        loss = loss - 0.01 * actions.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
    return rewards


def mixture_of_normals(torch, nn, device):
    D = torch.distributions
    data = torch.cat([torch.randn(60) - 3, torch.randn(40) * 0.5 + 2]).to(device)
    weights, loc, scale = (
        torch.tensor(values).to(device).requires_grad_()
        for values in ([0.0, 0.0], [-1.0, 1.0], [0.0, 0.0]))
    optimizer = torch.optim.Adam([weights, loc, scale], lr=0.1)
    losses = []
    for _ in range(30):
        mixture = D.MixtureSameFamily(D.Categorical(logits=weights), D.Normal(loc, scale.exp()))
        loss = -mixture.log_prob(data).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def dirichlet_fit(torch, nn, device):
    raw = torch.zeros(2, 3).to(device).requires_grad_()
    target = torch.tensor([0.2, 0.3, 0.5]).to(device)
    optimizer = torch.optim.Adam([raw], lr=0.1)
    losses = []
    for _ in range(25):
        drawn = torch.distributions.Dirichlet(raw.exp() + 0.5).rsample((16,))
        loss = (drawn - target).pow(2).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("program", "better"), [
    (variational_autoencoder, lambda losses: losses[-1] < 0.9 * losses[0]),
    (policy_gradient, lambda rewards: rewards[-1] > rewards[0] + 0.3),
    (mixture_of_normals, lambda losses: losses[-1] < losses[0] - 0.3),
    (dirichlet_fit, lambda losses: sum(losses[-5:]) < 0.7 * sum(losses[:5])),
], ids=["autoencoder", "policy", "mixture", "dirichlet"])
def test_a_program_learns_as_with_pytorch(program, better, device):
    want, got = both(program, device)
    assert better(got)
    assert got == pytest.approx(want, rel=2e-3, abs=2e-4)
