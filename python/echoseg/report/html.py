"""Where the pages' templates lie, and how text gets into them: escaped."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

TEMPLATES = Environment(loader=PackageLoader("echoseg.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _code(line: str) -> Markup:
    """Text with its `code` and links marked up."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(line)))
    return Markup(re.sub(r"(https://[^\s<)]+[^\s<).,])", r'<a href="\1">\1</a>', text))


TEMPLATES.filters["code"] = _code
