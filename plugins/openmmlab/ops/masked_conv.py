"""The two halves of a convolution that is computed only where a mask is set."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(input: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, col: Tensor, *, kernel_h: int,
                          kernel_w: int, pad_h: int, pad_w: int) -> None:
    """Copy the neighbourhood of each output pixel into a column.

    Args:
        input: (1, C, H, W).
        mask_h_idx, mask_w_idx: (P,) int64, the rows and columns of the output pixels.
        col: (C * kernel_h * kernel_w, P).
    """
    padded = F.pad(input[0], (pad_w, pad_w, pad_h, pad_h))
    rows = torch.arange(kernel_h, device=input.device)[:, None, None] + mask_h_idx
    columns = torch.arange(kernel_w, device=input.device)[:, None] + mask_w_idx
    col.copy_(padded[:, rows, columns].view_as(col))


def masked_col2im_forward(col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, im: Tensor, *, height: int, width: int,
                          channels: int) -> None:
    """Write the columns (C, P) to their pixels of ``im`` (1, C, height, width)."""
    im[0, :, mask_h_idx, mask_w_idx] = col.to(im.dtype)


OPERATORS = (masked_im2col_forward, masked_col2im_forward)
