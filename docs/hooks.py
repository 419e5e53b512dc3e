"""What MkDocs makes at build time: the Python API, the command-line reference, contributing, tables of benchmarks.

It also warns, and so fails a strict build, where a page names a command, a flag or a file that does not exist.
"""

from __future__ import annotations

import argparse
import functools
import logging
import re
import runpy
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import echoseg
from echoseg import cli, ops

ROOT = Path(__file__).parent.parent
LOG = logging.getLogger("mkdocs.hooks.echoseg")
TABLE = runpy.run_path(str(ROOT / "bench" / "table.py"))["markdown"]

API = """# Python API

Everything on this page is public: `echoseg.__all__` and `echoseg.ops.__all__` list it, and a version number promises it
(see [Versions](design.md#versions)). Other names may change in any release.

`import echoseg` does not import torch; the functions that need it import it when they are called.

"""
GROUPS = {
    "Data": ("read_clip", "Clip", "read_dataset", "Dataset", "prepare", "Store"),
    "Training and evaluation": ("train", "Run", "evaluate", "compare"),
    "Prediction": ("load", "Predictor", "Prediction", "measure", "Measurement", "predict_files"),
    "Errors": ("DataError",),
}
KERNELS = """## Kernels

[Kernels](kernels.md) shows what each of these draws. All of them work on batches. They return NumPy arrays for NumPy
arrays, and torch tensors on the same device for torch tensors.

"""
CLI = """# Command line

The option `--help` of a command prints the same text. Flags are written out: abbreviations are refused.

| exit code | meaning |
|---|---|
| 0 | The command is done. |
| 1 | It failed. One line on standard error names the file, the row and the cause. |
| 2 | The command line is wrong. |
| 130 | It was interrupted (Ctrl-C). |
| 143 | It was terminated (SIGTERM). |

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    pages = {
        "api.md": api_page(),
        "cli.md": cli_page(),
        "contributing.md": contributing.replace("](docs/", "]("),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Check the commands and files that a page names, and put in the tables of benchmarks."""
    for command, rest in re.findall(r"(?m)(?:^|&& |; |do |-m )echoseg (\w+)((?: [^\n#|&]*)?)", code(markdown)):
        if command not in commands():
            LOG.warning("%s: there is no command 'echoseg %s'", page.file.src_path, command)
            continue
        for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", rest):
            if flag not in commands()[command]._option_string_actions:
                LOG.warning("%s: 'echoseg %s' has no flag %s", page.file.src_path, command, flag)
    for path in re.findall(r"(?<![\w/.-])(?:bench|cpp|docs|examples|python|tests)/[\w/.-]*\.\w+", code(markdown)):
        if not (ROOT / path).exists() and "NAME" not in path:
            LOG.warning("%s: there is no file %s", page.file.src_path, path)
    return re.sub(r"<!-- table (\S+) -->", lambda mark: TABLE(mark[1]), markdown)


def code(markdown: str) -> str:
    """The code of a page, a line for each piece."""
    blocks = re.findall(r"(?s)```\w*\n(.*?)```", markdown)
    inline = re.findall(r"(?s)(?<!`)`([^`]+)`(?!`)", re.sub(r"(?s)```.*?```", "", markdown))
    return "\n".join([*blocks, *(" ".join(piece.split()) for piece in inline)])


def api_page() -> str:
    """The public names in groups; those that belong to no group come last."""
    public = [name for name in echoseg.__all__ if not name.startswith("__") and name != "ops"]
    groups = {title: [name for name in names if name in public] for title, names in GROUPS.items()}
    grouped = {name for names in groups.values() for name in names}
    groups["More"] = [name for name in public if name not in grouped]
    text = API
    for title, names in groups.items():
        if names:
            text += f"## {title}\n\n" + "".join(f"::: echoseg.{name}\n\n" for name in names)
    return text + KERNELS + "".join(f"::: echoseg.ops.{name}\n\n" for name in ops.__all__)


@functools.cache
def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    made = argparse.ArgumentParser(prog="echoseg").add_subparsers()
    parsers = {}
    for name, module in cli.COMMANDS.items():
        parsers[name] = made.add_parser(name, description=module.__doc__)
        module.add_arguments(parsers[name])
    return parsers


def cli_page() -> str:
    """A section for each command, with a table of its arguments and one for each group that has a title of its own."""
    text = CLI
    for name, command in commands().items():
        text += f"## `echoseg {name}`\n\n{escape(command.description or '')}\n\n```\n{usage(command)}\n```\n\n"
        tables: dict[str, list[argparse.Action]] = {}
        for group in command._action_groups:  # argparse has no public list of them
            title = "" if group.title in {"positional arguments", "options"} else group.title
            actions = [one for one in group._group_actions if not isinstance(one, argparse._HelpAction)]
            tables.setdefault(title, []).extend(actions)
        for title, actions in tables.items():
            if actions:
                text += f"**{escape(title.capitalize())}**\n\n" if title else ""
                text += "| argument | meaning |\n|---|---|\n" + "".join(row(one, command) for one in actions) + "\n"
    return text


def usage(command: argparse.ArgumentParser) -> str:
    """The command and what it must be given; the tables list the rest."""
    needed = [one for one in command._actions if one.required]
    optional = "[OPTION …] " if any(not one.required and one.dest != "help" for one in command._actions) else ""
    words = [f"{one.option_strings[0]} {values(one)}" if one.option_strings else values(one) for one in needed]
    return f"{command.prog} {optional}{' '.join(words)}".strip()


def values(action: argparse.Action) -> str:
    """What is written after the flag, or in a positional argument's place."""
    if action.nargs == 0:
        return ""
    if action.metavar is None:
        one = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    else:
        one = action.metavar if isinstance(action.metavar, str) else " ".join(action.metavar)
    return f"{one} …" if action.nargs in {"+", "*"} else one


def row(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    """A table's row."""
    flags = [f"{flag} {values(action)}".strip() for flag in action.option_strings] or [values(action)]
    if isinstance(action, argparse.BooleanOptionalAction):
        flags = list(action.option_strings)
    meaning = command._get_formatter()._expand_help(action) if action.help else ""
    return f"| {', '.join(f'`{flag}`' for flag in flags)} | {escape(meaning)} |\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", " ".join(text.split()))
