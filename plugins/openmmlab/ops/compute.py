"""What the operators share: the precision they compute in, and gradients of a differentiable form."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def promote(*tensors: Tensor) -> list[Tensor]:
    """The tensors in the type to compute in: float64 where one of them is, else float32.

    Half precision is rounded once, when the result is written; torchvision's operators do the same under autocast, and
    have no half precision on the CPU.
    """
    dtype = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
    return [tensor.to(dtype) for tensor in tensors]


def gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], grad_output: Tensor) -> tuple[Tensor, ...]:
    """The gradient of ``function(*inputs)`` for each input, from a forward pass computed again.

    Args:
        function: differentiable in every input.
        inputs: tensors of one floating type.
        grad_output: the gradient of its result, of the same shape.
    """
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in inputs]
        output = function(*leaves)
    return torch.autograd.grad(output, leaves, grad_output.to(output.dtype))
