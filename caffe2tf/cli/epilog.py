"""The end of every help text: examples, and what the exit status means."""

from __future__ import annotations

import sys

__all__ = ["EXIT_STATUSES", "epilog"]

EXIT_STATUSES = {
    0: "success, or all the same",
    1: "something differs (verify, alexnet)",
    2: "a mistake in the input or in the call",
    3: "valid Caffe that is not supported",
}


def epilog(*examples: str, exit_statuses: bool = True) -> str:
    """Return the text below the options of a command, laid out for a terminal or for a pipe."""
    blocks = [["Examples:", *(f"  {example}" for example in examples)]] if examples else []
    if exit_statuses:
        blocks.append(["Exit status:", *(f"  {status}  {meaning}" for status, meaning in EXIT_STATUSES.items())])
    if sys.stdout.isatty():  # rich joins the lines of a paragraph
        return "\n\n".join(line for block in blocks for line in block)
    return "\n\n".join("\b\n" + "\n".join(block) for block in blocks)  # \b: do not rewrap this paragraph
