"""Where the points of a frame lie in its anchor, at the latent's resolution.

Positions are in pixels or cells with x right, y down, the origin at the top-left corner, centres at
+0.5; a cell is `H / h` pixels high and as many wide.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def identity_map(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """The map (height, width, 2) under which everything stays where it is."""
    y = torch.arange(height, device=device, dtype=torch.float32) + 0.5
    x = torch.arange(width, device=device, dtype=torch.float32) + 0.5
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def map_to_cells(map_px: Tensor, visible: Tensor, cell_px: int = 8) -> tuple[Tensor, Tensor]:
    """A map and its visibility at picture size brought down to cells.

    A cell moves as the middle one (median) of its visible pixels does, or of all where none is
    visible. An average would send the cells along a silhouette to a place between the two surfaces,
    where neither ever was.

    Args:
        map_px: (H, W, 2) float, anchor position of the point seen in each pixel, in pixels.
        visible: (H, W) bool or 0/255, whether that point was visible in the anchor.

    Returns:
        cells (h, w, 2) in cells and the visible part (h, w) of each cell's area, 0..1.
    """
    seen = _blocks((visible > 0).float()[..., None], cell_px)  # -> (h, w, cell², 1)
    rows_px, columns_px, _ = map_px.shape
    moved_px = map_px - identity_map(rows_px, columns_px, map_px.device)
    moves = _blocks(moved_px, cell_px)  # -> (h, w, cell², 2)
    part = seen.mean(2)  # -> (h, w, 1)
    usable = (seen > 0) | (part == 0)[:, :, None]
    ordered = torch.where(usable, moves, torch.inf).sort(dim=2).values
    count = usable.sum(2, keepdim=True).expand(-1, -1, 1, 2)  # -> (h, w, 1, 2)
    middle = (ordered.gather(2, (count - 1) // 2) + ordered.gather(2, count // 2)) / 2
    rows, columns = part.shape[:2]
    cells = identity_map(rows, columns, map_px.device) + middle[:, :, 0] / cell_px
    return cells, part[..., 0]


def mask_to_cells(mask: Tensor, cell_px: int = 8) -> Tensor:
    """A mask (H, W), bool or 0/255, as the part (h, w) of each cell that it covers, 0..1."""
    return F.avg_pool2d((mask > 0).float()[None, None], cell_px)[0, 0]


def sample(latents: Tensor, cells: Tensor, mode: str = "bilinear") -> Tensor:
    """Backward warp: what `latents` (channels, h, w) hold at `cells` (h', w', 2) -> (channels, h',
    w').

    Beyond the border the border is repeated. `mode` is grid_sample's: nearest, bilinear, bicubic.
    """
    size = torch.tensor(
        [latents.shape[2], latents.shape[1]], device=cells.device, dtype=cells.dtype
    )
    grid = (cells * 2 / size - 1)[None].to(latents.dtype)
    return F.grid_sample(latents[None], grid, mode, padding_mode="border", align_corners=False)[0]


def neighbours(
    cells: Tensor, height: int, width: int, *, wraps: bool = False
) -> tuple[Tensor, Tensor]:
    """The four cells around each position of `cells` (h', w', 2) in a grid of height × width.

    Returns:
        index (4, h', w') int64 into the flattened grid, and bilinear weight (4, h', w'), 0 outside
        the grid, which has no outside if it `wraps` around.
    """
    limit = torch.tensor([width, height], device=cells.device, dtype=cells.dtype)
    place = (
        (cells - 0.5) % limit if wraps else torch.minimum((cells - 0.5).clamp_min(-2), limit + 1)
    )
    corner = place.floor()
    right, down = (place - corner).unbind(-1)  # the part of the way to the next neighbour
    index, weight = [], []
    for dy in (0, 1):
        for dx in (0, 1):
            x, y = corner[..., 0].long() + dx, corner[..., 1].long() + dy
            inside = ((x >= 0) & (x < width) & (y >= 0) & (y < height)) | wraps
            index.append(y % height * width + x % width)
            weight.append((right if dx else 1 - right) * (down if dy else 1 - down) * inside)
    return torch.stack(index), torch.stack(weight)


def _blocks(values: Tensor, cell_px: int) -> Tensor:
    """(H, W, n) cut into cells -> (h, w, cell_px², n)."""
    h, w, n = values.shape[0] // cell_px, values.shape[1] // cell_px, values.shape[2]
    cut = values[: h * cell_px, : w * cell_px].reshape(h, cell_px, w, cell_px, n)
    return cut.transpose(1, 2).reshape(h, w, cell_px * cell_px, n)
