"""Reading the Markdown of the documentation: code blocks, shown output and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "broken_links", "same_output"]

FENCE = re.compile(
    r"(?:<!-- excerpt of (?P<excerpt>\S+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
SMALL = re.compile(r"\b\d+(?:\.\d+)?e-\d+\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block.

    Attributes:
        language: The word after the opening fence.
        text: The lines between the fences.
        line: The line number of the block, counted from 1.
        excerpt: The file that the block quotes, from a comment above it, or None.
    """

    language: str
    text: str
    line: int
    excerpt: str | None

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a console block with the output shown below it."""
        for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def blocks(page: str) -> list[Block]:
    """Return all fenced blocks of a page."""
    return [
        Block(language=m["language"], text=m["text"], line=page.count("\n", 0, m.start()) + 1, excerpt=m["excerpt"])
        for m in FENCE.finditer(page)
    ]


def same_output(printed: str, shown: str) -> bool:
    """Return whether output is as shown: ``...`` stands for anything, and tiny numbers (1e-7) may differ."""
    pattern = re.escape(_plain(shown)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, _plain(printed), re.DOTALL) is not None


def _plain(text: str) -> str:
    """Replace tiny numbers, and runs of spaces, whose length depends on the numbers."""
    return re.sub(r" +", " ", SMALL.sub("TINY", text)).strip()


def broken_links(page: Path, root: Path) -> list[str]:
    """Return the relative links of a page that lead to no file or heading, or outside of the repository."""
    text = page.read_text(encoding="utf-8")
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(root) and target.exists()
        if not inside or (anchor and anchor not in _anchors(target.read_text(encoding="utf-8"))):
            found.append(link)
    return found


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- :.]", "", h.lower()).replace(" ", "-") for h in headings}
