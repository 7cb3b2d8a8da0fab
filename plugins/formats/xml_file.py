"""Reading untrusted XML: entities are not expanded, other files are not opened."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from sightsmith.plugin import Problem, read_bytes, relative_name

LINE = "line"
"""The attribute that holds the line where an element begins."""

MAX_DEPTH = 100


def read_xml(path: Path, root: Path) -> tuple[Element, None] | tuple[None, Problem]:
    """``(root element, None)``, every element with its line, or ``(None, problem)``.

    Files that declare entities are rejected: a few lines could expand to gigabytes.
    """
    content, problem = read_bytes(path, root)
    if content is None:
        return None, problem or Problem("cannot be read", file=relative_name(path, root))
    name = relative_name(path, root)
    parser, tree, depth = expat.ParserCreate(), TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"elements are nested more than {MAX_DEPTH} deep")
        tree.start(tag, {**attributes, LINE: str(parser.CurrentLineNumber)})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(tag)

    def reject(*declaration: object) -> None:
        raise ValueError("declares an entity, which is not allowed")

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, tree.data
    parser.EntityDeclHandler = reject
    try:
        parser.Parse(content, True)
        return tree.close(), None
    except expat.ExpatError as error:
        return None, Problem(f"is not XML: {expat.ErrorString(error.code)}", file=name, line=error.lineno)
    except ValueError as error:
        return None, Problem(str(error), file=name, line=parser.CurrentLineNumber)
    except LookupError as error:  # the declaration names no encoding that there is
        return None, Problem(f"is not XML: {error}", file=name, line=1, hint="save it as UTF-8")
