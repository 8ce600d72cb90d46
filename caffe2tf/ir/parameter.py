"""Trained blobs as the layers that share them see them: ``param { name: "w" }`` makes blobs of several layers one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Member", "Parameter"]


@dataclass(frozen=True, slots=True)
class Member:
    """Blob `index` of the node `node`."""

    node: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A trained blob as a layer sees it: its shape there, the blob that it is, and its name (empty: it has none)."""

    shape: tuple[int, ...]
    owner: Member
    name: str
