"""Small data sets of every format, and what can go wrong with them: by a seed, one or two mutations of their files.

:func:`mutated` fills a folder and says what it did; the same seed does the same.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from every_format import CANARY, LINK_TARGETS, SETS, make
from hostile_images import SOURCES
from odd_names import NAMES

ODD_NUMBERS = ("nan", "1e999", "-1", str(10**30), '"1_0"', "1_0", "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}",
               "true", "null", "[1]", '{"a": 1}', "0x10", '""', "NaN", "Infinity", "9" * 5000)
NUMBER = re.compile(r"(?<![\w.#-])-?\d+(?:\.\d+)?(?![\w.])")
ODD_FILE_NAMES = (os.fsdecode(b"\xff\xfe.png"), os.fsdecode(b"caf\xe9.csv"), "a\nb.png", "\x1b[31mred.png", "a\rb.jpg",
                  "x" * 255, "ä" * 127, ".hidden", "a\u202eb.png", "e\u0301.png", "CON", "~", *NAMES)


@dataclass(frozen=True)
class Mutation:
    """``kind``, for the table, and the file; ``exact``: what is read afterwards must be what was read before, or be
    warned of. ``removes``: images may be fewer."""

    kind: str
    file: str
    exact: bool = False
    removes: bool = False


def mutated(seed: int, root: Path) -> tuple[str, str, Path, list[Mutation]]:
    """Fill ``root``: the name of the data set, its task and ``dataset.root``, and what was done to it."""
    random = Random(seed)
    name = list(SETS)[seed % len(SETS)]
    task, source = make(name, root)
    done = []
    for _ in range(random.choice((1, 1, 2))):
        files = sorted(path for path in root.rglob("*") if not path.is_symlink() and path.is_file())
        if files:
            done.append(_mutate(random, root, files))
        if done[-1:] and done[-1].kind == "unreadable":
            break  # only for root could more be done to it
    return name, task, source, done


def _mutate(random: Random, root: Path, files: list[Path]) -> Mutation:
    texts = [path for path in files if _is_text(path)]
    others = [path for path in files if path not in texts]
    if texts and random.random() < 0.6:
        path, change = random.choice(texts), random.choice(TEXT_MUTATIONS)
        kind = change(random, path)
        return Mutation(kind, path.relative_to(root).as_posix(), exact=change is odd_number, removes=True)
    path = random.choice(texts if texts and random.random() < 0.4 else others or texts)
    if path.suffix != ".zip" and random.random() < 0.5:
        if random.random() < 0.3 and path.parent != root:
            path = path.parent
        kind = random.choice(FILE_MUTATIONS)(random, path)
        return Mutation(kind, path.relative_to(root).as_posix(), removes=True)
    kind = random.choice((flip, cut, insert, swap))(random, path)
    return Mutation(kind, path.relative_to(root).as_posix())


def _is_text(path: Path) -> bool:
    return path.suffix in (".csv", ".json", ".jsonl", ".txt", ".xml", ".yaml")


def flip(random: Random, path: Path) -> str:
    content = bytearray(path.read_bytes())
    for _ in range(random.randrange(1, 6) if content else 0):
        content[random.randrange(len(content))] = random.randrange(256)
    path.write_bytes(content)
    return "bytes flipped"


def cut(random: Random, path: Path) -> str:
    content = path.read_bytes()
    begin, end = sorted(random.randrange(len(content) + 1) for _ in range(2))
    path.write_bytes(content[:begin] + (b"" if random.random() < 0.5 else content[end:]))
    return "bytes cut"


def insert(random: Random, path: Path) -> str:
    content = path.read_bytes()
    place = random.randrange(len(content) + 1)
    more = random.choice((b"\0", b"\xff", b'"', b"\r", b"{", b"]", b"<", b"&", b"\xef\xbb\xbf", random.randbytes(9),
                          content, b" " * 100_000))
    path.write_bytes(content[:place] + more + content[place:])
    return "bytes inserted"


def odd_number(random: Random, path: Path) -> str:
    def change(text: str) -> str:
        found = list(NUMBER.finditer(text))
        if not found:
            return text
        match = random.choice(found)
        return text[:match.start()] + random.choice(ODD_NUMBERS) + text[match.end():]
    return rewrite(path, change, "odd number")


def double_key(random: Random, path: Path) -> str:
    def change(text: str) -> str:
        keys = list(re.finditer(r'"[\w-]+": ?', text))
        if keys and random.random() < 0.8:
            place = random.choice(keys)
            return text[:place.start()] + place[0] + random.choice(("1, ", "null, ", "[], ")) + text[place.start():]
        lines = text.splitlines(keepends=True)
        number = random.randrange(len(lines) + 1)
        return "".join([*lines[:number + 1], *lines[number:]])
    return rewrite(path, change, "key or line twice")


def drop_key(random: Random, path: Path) -> str:
    def change(text: str) -> str:
        keys = list(re.finditer(r'"[\w-]+": ?("[^"]*"|[^\[\]{},"]+)(, )?|<(\w+)>[^<]*</\3>|[\w-]+="[^"]*"', text))
        if keys and random.random() < 0.8:
            place = random.choice(keys)
            return text[:place.start()] + text[place.end():]
        lines = text.splitlines(keepends=True)
        del lines[random.randrange(len(lines)):][:1]
        return "".join(lines)
    return rewrite(path, change, "key or line dropped")


def nest(random: Random, path: Path) -> str:
    depth = random.choice((50, 2_000, 100_000))
    begin, end = random.choice((("[", "]"), ('{"a":', "}"), ("<a>", "</a>"), ("(", ")"), ("- ", ""), ("&a [*a,", "]")))

    def change(text: str) -> str:
        places = [match.span() for match in NUMBER.finditer(text)] or [(len(text), len(text))]
        first, last = random.choice(places)
        return text[:first] + begin * depth + "1" + end * depth + text[last:]
    return rewrite(path, change, "nested deeply")


def encode(random: Random, path: Path) -> str:
    text = path.read_text(errors="replace").replace("cat", random.choice(("cat", "chät")))
    encoding = random.choice(("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp037", "utf-7", "cp1252"))
    path.write_bytes(text.encode(encoding, errors="replace"))
    return "another encoding"


def line_ends(random: Random, path: Path) -> str:
    end = random.choice(("\r", "\r\n", "\x85", "\u2028", "\n\n", "\f", "\n \t", "\v", " \n"))
    return rewrite(path, lambda text: text.replace("\n", end), "other line ends")


def rewrite(path: Path, change: Callable[[str], str], kind: str) -> str:
    with path.open(newline="", errors="surrogateescape") as file:
        text = file.read()
    with path.open("w", newline="", errors="surrogateescape") as file:
        file.write(change(text))
    return kind


def swap(random: Random, path: Path) -> str:
    """Another kind of image under the same name."""
    path.write_bytes(random.choice(list(SOURCES.values())))
    return "another kind of file"


def rename(random: Random, path: Path) -> str:
    target = path.with_name(random.choice((*ODD_FILE_NAMES, path.name.upper(), path.stem, f"{path.name}.bak")))
    if not target.exists():
        path.rename(target)
    return "renamed"


def remove(random: Random, path: Path) -> str:
    _remove(path)
    return "removed"


def replace(random: Random, path: Path) -> str:
    """By something that is no file."""
    kind = random.choice(("folder", "pipe", "socket", "empty file"))
    _remove(path)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            here = os.open(path.parent, os.O_RDONLY)  # the address of a socket has at most 107 bytes
            server.bind(f"/proc/self/fd/{here}/{path.name}")
            os.close(here)
    else:
        path.touch()
    return f"replaced by a {kind}" if kind != "empty file" else "replaced by an empty file"


def link(random: Random, path: Path) -> str:
    kind = random.choice(("loop", "outside", "outside", "nothing", "upwards"))
    folder = path.is_dir()
    root = path.parent
    while not (root / CANARY).exists():
        root = root.parent
    _remove(path)
    outside = CANARY if folder else random.choice(LINK_TARGETS)
    target = {"loop": path.name, "outside": root / outside, "nothing": "nothing", "upwards": ".."}[kind]
    path.symlink_to(target)
    return f"link: {kind}"


def forbid(random: Random, path: Path) -> str:
    path.chmod(0)
    return "unreadable"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


TEXT_MUTATIONS = (flip, cut, insert, odd_number, odd_number, odd_number, double_key, drop_key, nest, encode, line_ends)
FILE_MUTATIONS = (rename, rename, remove, replace, link, forbid) if sys.platform != "win32" else (rename, remove)
