"""Parameters: trained blobs that layers may share by name, as in ``param { name: "w" }``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Member", "Parameter"]


@dataclass(frozen=True, slots=True)
class Member:
    """The trained blob number `index` of the node `node`."""

    node: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A trained blob as one layer uses it.

    Attributes:
        shape: its shape in this layer. Layers that share a blob with ``share_mode: PERMISSIVE`` may use other shapes.
        owner: the blob that holds the values: the first one of that name, or the blob itself.
        name: the name by which it is shared; "" if it has none.
    """

    shape: tuple[int, ...]
    owner: Member
    name: str
