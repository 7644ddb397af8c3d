"""Masks of eight voxels a byte: growing and closing a hundred million voxels takes hundredths of a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A mask in bits along its last axis.

    Attributes
    ----------
    bits : ndarray of uint8, shape (n0, n1, ceil(n2 / 8))
        The first voxel in the highest bit; bits beyond the last voxel are 0.
    length : int
        n2.
    """

    bits: NDArray[np.uint8]
    length: int

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Packed:
        """From an array of bool, shape (n0, n1, n2)."""
        return cls(np.packbits(mask, axis=2), mask.shape[2])

    @classmethod
    def stacked(cls, parts: Sequence[Packed]) -> Packed:
        """Parts one behind the other along the first axis."""
        return cls(np.concatenate([part.bits for part in parts]), parts[0].length)

    def mask(self) -> NDArray[np.bool_]:
        """As an array of bool, shape (n0, n1, n2)."""
        return np.unpackbits(self.bits, axis=2, count=self.length).view(np.bool_)

    def repeated(self, times: int, count: int) -> Packed:
        """Each plane along the first axis so many times; `count` planes of that."""
        return Packed(np.repeat(self.bits, times, axis=0)[:count], self.length)

    def __or__(self, other: Packed) -> Packed:
        return Packed(self.bits | other.bits, self.length)

    def __and__(self, other: Packed) -> Packed:
        return Packed(self.bits & other.bits, self.length)

    def __sub__(self, other: Packed) -> Packed:
        return Packed(self.bits & ~other.bits, self.length)

    def __invert__(self) -> Packed:
        return _trimmed(~self.bits, self.length)

    def dilated(self, axes: Sequence[int] = (0, 1, 2)) -> Packed:
        """With the voxels that share a face with it, along the axes named."""
        bits = self.bits
        out = bits.copy()
        for axis in axes:
            if axis < 2:
                ahead, behind = [slice(None)] * 3, [slice(None)] * 3
                ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
                out[tuple(ahead)] |= bits[tuple(behind)]
                out[tuple(behind)] |= bits[tuple(ahead)]
            else:
                out |= bits >> 1
                out[..., 1:] |= bits[..., :-1] << 7
                out |= bits << 1
                out[..., :-1] |= bits[..., 1:] >> 7
        return _trimmed(out, self.length)

    def grown(self, through: Packed, steps: int, axes: Sequence[int] = (0, 1, 2)) -> Packed:
        """Grown by so many voxels through a mask, from face to face."""
        found = self & through
        for _ in range(steps):
            found = found.dilated(axes) & through
        return found

    def closed(self) -> Packed:
        """Gaps of one or two voxels filled, also towards the edge of the array."""
        return ~(~self.dilated()).dilated()


def _trimmed(bits: NDArray[np.uint8], length: int) -> Packed:
    """Mask of bits of our own, those beyond the last voxel cleared."""
    if length % 8:
        bits[..., -1] &= np.uint8(0xFF << (8 - length % 8) & 0xFF)
    return Packed(bits, length)
