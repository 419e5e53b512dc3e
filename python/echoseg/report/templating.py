"""The templates of the HTML pages; text that is put into them is escaped."""

from __future__ import annotations

import re

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

TEMPLATES = Environment(loader=PackageLoader("echoseg.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _mark_up(line: str) -> Markup:
    """Turn code in backticks and web addresses into HTML."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(line)))
    return Markup(re.sub(r"(https://[^\s<)]+[^\s<).,])", r'<a href="\1">\1</a>', text))


TEMPLATES.filters["mark_up"] = _mark_up
