"""Checks every link, anchor and picture of a built site; exits with 1 where one leads nowhere.

    python docs/check_links.py site

Links to other sites are checked for their form alone: nothing is fetched. What a page itself loads must be in the site.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Links(HTMLParser):
    """The anchors of a page, where its links lead, and what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        if tag in ("script", "img", "iframe") and "src" in values:
            self.loaded.add(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon"):
            self.loaded.add(values["href"])


def problems(root: Path) -> Iterator[str]:
    """A line for each link that leads nowhere."""
    pages = {path.resolve(): Links(path) for path in sorted(root.rglob("*.html"))}
    if not pages:
        yield f"{root} has no page"
    for path, page in pages.items():
        for link in sorted(page.links | page.loaded):
            if cause := _cause(path, link, root.resolve(), pages, loaded=link in page.loaded):
                yield f"{path.relative_to(root.resolve())}: {link}: {cause}"


def _cause(path: Path, link: str, root: Path, pages: Mapping[Path, Links], *, loaded: bool) -> str | None:
    """Why ``link`` of the page ``path`` is wrong, or None."""
    parts = urlsplit(link)
    if parts.scheme == "data":
        return None
    if parts.scheme or parts.netloc:
        if loaded:
            return "is fetched from another site"
        whole = parts.scheme == "mailto" or parts.scheme in ("http", "https") and "." in parts.netloc
        return None if whole else "is no web address"
    start = root if parts.path.startswith("/") else path.parent
    target = (start / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file():
        return "there is no such file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "there is no such anchor"
    return None


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1])))
    print(*found, sep="\n", end="\n" * bool(found))
    sys.exit(bool(found))
