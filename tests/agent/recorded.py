"""Recorded machines: a text file of lines `path = text`, `path : hex bytes` and `path -> link target`."""

from pathlib import Path

RECORDINGS = Path(__file__).parent / "recordings"


def plant(name: str, where: Path) -> Path:
    """Make the recorded tree under `where`; a line without a sign is an empty directory."""
    for line in (RECORDINGS / f"{name}.tree").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        path, sign, value = [*line.split(" ", 2), "", ""][:3]
        file = where / path
        if not sign:
            file.mkdir(parents=True, exist_ok=True)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        if sign == "=":
            file.write_text(value.replace("\\n", "\n") + "\n")
        elif sign == ":":
            file.write_bytes(bytes.fromhex(value))
        else:
            file.symlink_to(value)
    return where


def said(name: str) -> str:
    """What a recorded command printed."""
    return (RECORDINGS / name).read_text(encoding="utf-8")
