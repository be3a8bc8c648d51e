"""Muon: momentum made orthogonal, for every matrix and kernel; AdamW for the rest.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with the scale of Liu et al. 2025, "Muon
is scalable for LLM training" (arXiv:2502.16982, section 2.2, equation 4), under which AdamW's learning rate and weight
decay mean the same. torch.optim.Muon takes matrices alone; most of a UNet are kernels.
"""

from __future__ import annotations

from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_MATCHED_RMS = 0.2


class Muon(torch.optim.AdamW):
    """AdamW whose groups with `orthogonal` set are stepped by Muon; their `betas[0]` is the momentum.

    The arguments are AdamW's; every group holds a bool `orthogonal`.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step."""
        everything = self.param_groups
        self.param_groups = [group for group in everything if not group["orthogonal"]]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = everything
        for group in everything:
            if group["orthogonal"]:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._step_matrix(parameter, group)
        return loss

    def _step_matrix(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        state, momentum = self.state[parameter], group["betas"][0]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros(())  # AdamW looks for it in every state that it loads
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        ahead = parameter.grad.lerp(state["momentum"], momentum)  # Nesterov
        update = orthogonalised(ahead.flatten(1)).view_as(parameter)
        scale = _MATCHED_RMS * max(parameter.shape[0], parameter[0].numel()) ** 0.5
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(update.to(parameter.dtype), alpha=-group["lr"] * scale)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """Move the singular values of (m, n) to about 1 by Newton-Schulz iterations."""
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    x = _iterate_gram(x) if x.shape[1] > 2 * x.shape[0] else _iterate(x)
    return x.T if is_tall else x


def _iterate(x: torch.Tensor) -> torch.Tensor:
    a, b, c = _COEFFICIENTS
    x = x.bfloat16()
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def _iterate_gram(x: torch.Tensor) -> torch.Tensor:
    """The same for wide matrices, such as kernels with nine times as many columns as rows.

    Every iteration multiplies by a polynomial in the Gram matrix: the small squares are iterated and the wide matrix is
    multiplied twice in all. In float32, for an eigenvalue that rounding makes negative grows without end.
    """
    a, b, c = _COEFFICIENTS
    x = x.float()
    gram = x @ x.T
    identity = torch.eye(len(gram), device=x.device)
    product = identity
    for _ in range(_ITERATIONS):
        factor = a * identity + b * gram + c * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ x
