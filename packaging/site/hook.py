"""A hook of mkdocs: what docs/ links to beside it becomes part of the site.

README.md is the first page; other texts get a page under `files/`, anything else is copied there. A
directory is where a file of the site has no page: its link becomes plain text.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
DOCS = PurePosixPath("docs")
# Material asks another site for this; it makes the search work where pages are opened as files.
SHIM = "https://unpkg.com/iframe-worker/shim"
OWN_SHIM = "assets/iframe-worker.js"
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, *, config: Any) -> Files:  # noqa: ANN401 - mkdocs has no types
    """Add the files that the pages link to, and those that these link to."""
    shim = Path(__file__).with_name("iframe-worker.js").read_bytes()
    files.append(File.generated(config, OWN_SHIM, content=shim))
    todo = [PurePosixPath("README.md")]
    todo += [PurePosixPath("docs") / file.src_uri for file in files if file.is_documentation_page()]
    seen = set(todo)
    while todo:
        source = todo.pop()
        if DOCS not in source.parents:
            files.append(_generated(source, config))
        if source.suffix != ".md":
            continue
        for match in LINK.finditer((ROOT / source).read_text()):
            target = _target(source, match[3])
            if (ROOT / target).is_file() and target not in seen and DOCS not in target.parents:
                seen.add(target)
                todo.append(target)
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Let links lead to where their targets are in the site."""
    here = page.file.src_uri
    source = _source(here)

    def moved(match: re.Match[str]) -> str:
        mark, text, path, anchor = match[1], match[2], match[3], match[4] or ""
        target = _target(source, path)
        if (ROOT / target / "README.md").is_file() and DOCS in target.parents:
            target /= "README.md"
        if (ROOT / target).is_dir():
            return text
        return f"{mark}[{text}]({relpath(_place(target), str(PurePosixPath(here).parent))}{anchor})"

    return LINK.sub(moved, markdown)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:  # noqa: ANN401
    """Let no page ask another site for anything."""
    here = str(PurePosixPath(page.file.dest_uri).parent)
    return output.replace(SHIM, relpath(OWN_SHIM, here))


def on_post_template(output: str, **_: Any) -> str:  # noqa: ANN401
    return output.replace(SHIM, f"/{OWN_SHIM}")


def _target(source: PurePosixPath, path: str) -> PurePosixPath:
    return PurePosixPath(normpath(str(source.parent / path)))


def _place(source: PurePosixPath) -> str:
    """Return where a file of the tree is in the site."""
    if source == PurePosixPath("README.md"):
        return "index.md"
    if DOCS in source.parents:
        return str(source.relative_to(DOCS))
    return f"files/{source}"


def _source(place: str) -> PurePosixPath:
    if place == "index.md":
        return PurePosixPath("README.md")
    path = PurePosixPath(place)
    return path.relative_to("files") if path.parts[0] == "files" else DOCS / path


def _generated(source: PurePosixPath, config: Any) -> File:  # noqa: ANN401
    return File.generated(config, _place(source), content=(ROOT / source).read_bytes())
