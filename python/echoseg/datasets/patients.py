"""Who the patient of a file is: by a rule of the user, by the file's folder, or by the file's name.

A patient's images are always in the same split, so a wrong patient makes test results too good. Where a name can be
read in two ways, the way with fewer patients is taken: it may merge patients, but it rarely divides one.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from echoseg.datasets.recording import Dataset, Recording
from echoseg.datasets.split import SPLIT_WORDS
from echoseg.errors import DataError
from echoseg.io.description import DESCRIPTION, read_description

VIEWS = {"2ch": "A2C", "a2c": "A2C", "4ch": "A4C", "a4c": "A4C", "psax": "PSAX", "sax": "SAX"}
"""Views in the names of files and folders."""
BY_NAME, BY_FOLDER = "by the file's name", "by the folder"

Folder = tuple[str, ...]
"""The parts of a folder's path, without the folders of images, masks and splits."""

_LEADING = "|".join((*VIEWS, "ch2", "ch4", "3ch", "a3c", "ed", "es"))
_WORDS = (
    f"{_LEADING}|lax|sa|la|half_sequence|sequence|[234]d|systole|diastole|rest|stress|pre|post|left|right|apex|apical|"
    "base|basal|mid"
)
_WORD = re.compile(rf"(?:^(?:{_LEADING})|(?<=[_\- ])(?:{_WORDS}))(?:[_\- ]|$)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?<=.)[_\- ](?:frame|fr|slice|sl|time|phase|t|z)[_\- ]?\d+(?=[_\- ]|$)", re.IGNORECASE)
_VIEW_OR_PHASE = re.compile(
    rf"(?:^|[_\- ])(?:(?:ed|es)(?:[_\- ](?:t|time)[_\- ]?\d+)?|half_sequence|sequence|{_LEADING})(?=[_\- ]|$)",
    re.IGNORECASE,
)
_FRAME = re.compile(r"(?<=.)[_\- ](?:frame|fr|phase)[_\- ]?\d+(?=[_\- ]|$)", re.IGNORECASE)
_DETACHED_FRAME = re.compile(r"(_(?:ed|es))_\d\d?(?=[_\- ]|$)", re.IGNORECASE)
_MARK = rf"{'|'.join(VIEWS)}|ch2|ch4|3ch|a3c|ed|es|(?:frame|fr|slice|sl|time|phase)\d+"
_ATTACHED = re.compile(  # patient1ED, patient1A4C, case1frame2, pat1ES8
    rf"(?:^|(?<=[_\- ]))([^\W\d_]*\d+)((?:(?:{_MARK})(?:\d\d?)?)+)(?=[_\- ]|$)", re.IGNORECASE
)
_HEXADECIMAL = re.compile(r"(?![a-f]*\d+e[ds]$)[\da-fs]+", re.IGNORECASE)  # 1a4c, 0ed5; 0es5 as 0ed5
_IDENTIFIER = re.compile(  # UUIDs, and names of EchoNet-Pediatric and of M&Ms
    r"[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|CR[\da-f]{7}-CR[\da-f]{7}|^(?:[A-Z]\d){3}(?=_|$)", re.IGNORECASE
)
_PATIENT = r"(?:patient|pat|pt|p|subject|subj|sub|case|id)[-_ ]?\d+"  # a number that is said to be a patient's
_NAMED = re.compile(rf"(?:^|(?<=[_\- ])){_PATIENT}(?=[_\- ]|$)", re.IGNORECASE)
_VISIT_WORDS = "visit|ses|session|study|scan|series|exam|day|time|run"
_VISIT = re.compile(rf"(?:{_VISIT_WORDS})?[-_ ]?\d+", re.IGNORECASE)
_DATE = r"(?:19|20)\d\d(?P<mark>[-_. ]?)(?:0[1-9]|1[0-2])(?P=mark)(?:0[1-9]|[12]\d|3[01])(?:[-_ T]?\d{6})?"
_OCCASION = rf"(?:{_DATE}|(?:{_VISIT_WORDS})[-_ ]?\d+|(?:19|20)\d\d)"  # when or for what an image was taken
_NAME = re.compile(r"[^\W\d_]{2}")
_PATIENT_AND_IMAGE = re.compile(r"(.*\D|)(\d\d)(\d\d)")


def patient_of_name(stem: str) -> str:
    """The patient in the name of a file: a number that is said to be a patient's, or all up to the first part with a
    number.

    Words for view and phase, and numbers of frames and slices, do not count.

    Args:
        stem: The name without suffix, such as "patient001_frame01", "p1_4CH_ED", "anna_slice03" or "SC-HF-I-1_ED".
    """
    name = _without_words(stem)
    if named := _NAMED.search(name):
        return re.sub(rf"{_OCCASION}[_\- ]+", "", name[: named.start()], flags=re.IGNORECASE) + named[0]
    parts = re.split("([_ ])", name)
    numbers = [place for place, part in enumerate(parts) if re.search(r"\d", part)]
    name = "".join(parts[: numbers[0] + 1]) if numbers else name
    return re.sub(r"^([^-]*\d[^-]*)-\d+$", r"\1", name)  # patient01-001, but not TCGA-02-0006 or p-1


def _without_words(stem: str) -> str:
    """A name without views, phases, and numbers of frames and slices; the name itself if nothing else is in it."""
    return _WORD.sub("", _NUMBERED.sub("", detach_marks(stem))).strip("_- ") or stem


def detach_marks(stem: str) -> str:
    """A name with "_" before each view, phase or frame that is attached to a number: patient1ED3 → patient1_ED_3.

    What may be a part of a hexadecimal number, or an identifier that a data set has drawn, stays as it is.
    """

    def detach(match: re.Match[str]) -> str:
        if _HEXADECIMAL.fullmatch(match[0]):
            return match[0]
        return match[1] + re.sub(rf"{_MARK}|\d+", r"_\g<0>", match[2], flags=re.IGNORECASE)

    return stem if _IDENTIFIER.search(stem) else _ATTACHED.sub(detach, stem)


def examination(patient: str, name: str) -> str:
    """Whose images at ED and ES, and in both views, belong together.

    It is the patient and, if the name of a file has a view, a phase or the number of a frame, the name without them.

    Args:
        patient: The patient.
        name: The name of the file, such as "anna_visit1_4CH_ED"; its examination is that of "anna_visit1_2CH_ES".
    """
    marked = detach_marks(name)
    rest = marked if marked == name else _DETACHED_FRAME.sub(r"\1", marked)  # patient1ED3
    rest = _VIEW_OR_PHASE.sub("", _FRAME.sub("", rest))
    return patient if rest == marked else f"{patient}/{rest.strip('_- ')}"


def names_patient(stem: str) -> bool:
    """Whether a name says of a number that it is a patient's, as "patient01_ED" and "patient01ED" do."""
    return _NAMED.search(_without_words(stem)) is not None


def patients_of_names(stems: Collection[str]) -> dict[str, str]:
    """The patient of each file of a data set, by the names of all of them.

    A date, a year, a visit or the number of a study is not a patient's, nor is a number with which all names begin, if
    names stand beside it, as in 2021_anna and 2021_bert.

    Numbers such as 0800, 0801, 0900 and 0901 consist of the number of a patient and that of an image, if the images of
    each patient are counted from 0 or 1, with gaps between the patients.

    Source: https://github.com/MIC-DKFZ/nnUNet/issues/1871
    """
    patients = {stem: patient_of_name(stem) for stem in stems}
    if names := _names_beside_occasions(patients):
        return patients | names
    images: dict[str, list[int]] = defaultdict(list)
    for patient in set(patients.values()):
        if (match := _PATIENT_AND_IMAGE.fullmatch(patient)) is None:
            return patients
        images[match[1] + match[2]].append(int(match[3]))
    from_start = all(
        min(numbers) <= 1 and max(numbers) - min(numbers) + 1 == len(numbers) < 99 for numbers in images.values()
    )
    if not from_start or len(images) < 2 or max(map(len, images.values())) < 2:
        return patients
    return {stem: patient[:-2] for stem, patient in patients.items()}


def _names_beside_occasions(patients: Mapping[str, str]) -> dict[str, str]:
    """The patients of the files in whose names an occasion comes first, or follows words; empty if these are no names.

    Words may describe images of one patient instead, as in 2021_left, 2021_right, 2022_left and so on. They are taken
    for patients if there are at least as many as there are occasions; beside dates, also if each date has only one.

    Args:
        patients: The patient of each file by the other rules. If it is the same for all, it counts as an occasion.
    """
    distinct = set(patients.values())
    leads = (_OCCASION, *map(re.escape, distinct)) if len(distinct) == 1 else (_OCCASION,)
    occasion = rf"(?P<occasion>{'|'.join(leads)})(?P<separator>[_\- ]|$)"
    after = re.compile(rf"(?:{occasion}[_\- ]*)+(?P<rest>.+)", re.IGNORECASE)
    before = re.compile(rf"(?P<rest>\D+)[_\- ]{occasion}.*", re.IGNORECASE)
    found = {}
    for stem in patients:
        name = _without_words(stem)
        match = after.fullmatch(name) or before.fullmatch(name)
        if match and _NAME.search(match["rest"]) and not names_patient(stem):
            found[stem] = match
    names = {stem: _words(match["rest"], match["separator"]) for stem, match in found.items()}
    if len(set(names.values())) < 2 or "" in names.values():
        names = {stem: patient_of_name(match["rest"]) for stem, match in found.items()}
    pairs = {(match["occasion"], names[stem]) for stem, match in found.items()}
    occasions, count = {occasion for occasion, _ in pairs}, len(set(names.values()))
    are_dates = all(re.match(_DATE, occasion) for occasion in occasions)
    return names if count > 1 and (count >= len(occasions) or (are_dates and len(pairs) == len(occasions))) else {}


def _words(name: str, separator: str) -> str:
    """The parts of a name before the first one with a number; "" if it is the first, or if they name a split."""
    parts = re.split(rf"[_ {re.escape(separator)}]+", name)
    words = list(itertools.takewhile(lambda part: not re.search(r"\d", part), parts))
    return "" if all(word.lower() in SPLIT_WORDS for word in words) else "_".join(words)


def patients_of_folders(stems: Mapping[Folder, Collection[str]]) -> dict[Folder, str]:
    """The patient of each folder; empty if the folders are not those of patients.

    A folder named for a view, a phase or an occasion (a date, a year, visit1) is not a patient's. Neither are folders
    of which one has files that name several patients (p01_ED.png, p02_ED.png), as those of hospitals do. Folders of
    occasions with nothing but numbered files are taken for those of patients.

    Args:
        stems: The names of the files in each folder, without suffix.
    """
    parts = {folder: tuple(part for part in folder if not _WORD.fullmatch(part)) for folder in stems}
    for names in stems.values():
        if len({patient_of_name(stem) for stem in names if names_patient(stem)}) > 1:
            return {}
    if not all(parts.values()):
        return {}
    without_occasions = {folder: _without_occasions(part) for folder, part in parts.items()}
    if all(without_occasions.values()):
        parts = without_occasions
    elif not any(without_occasions.values()):
        joined = {"_".join((*parts[folder], stem)) for folder, names in stems.items() for stem in names}
        if _names_beside_occasions({name: patient_of_name(name) for name in joined}):
            return {}
    shared = 0  # leading folders that all files have in common, such as the name of the study
    while len({part[: shared + 1] for part in parts.values()}) == 1 and all(
        len(part) > shared + 1 and not _VISIT.fullmatch(part[shared + 1]) for part in parts.values()
    ):
        shared += 1
    return {folder: _patient_of_folder(part, shared) for folder, part in parts.items()}


def _without_occasions(parts: Folder) -> Folder:
    return tuple(part for part in parts if not re.fullmatch(_OCCASION, part, re.IGNORECASE))


def _patient_of_folder(parts: Folder, shared: int) -> str:
    """The first folder that is said to be a patient's, with those before it; else the first that is not shared."""
    said = [place for place, part in enumerate(parts) if _NAMED.match(part)]
    return "_".join(parts[: said[0] + 1] if said else parts[: shared + 1])


def apply_rule(dataset: Dataset, rule: str | None) -> Dataset:
    """Take the patients of a data set from a rule, if there is one.

    Args:
        dataset: The data set.
        rule: A regular expression with one group, the patient. It is searched in the name of each file, then in the
            file's path in the data set. None takes the rule of the key "patients" in `dataset.json`.

    Raises:
        DataError: The rule is no regular expression with one group, or does not match a file, or `dataset.json` is no
            valid JSON.
    """
    source = "--patients"
    if rule is None:
        rule, source = _described_rule(dataset.folder / DESCRIPTION), f"{DESCRIPTION}, key patients"
    if rule is None:
        return dataset
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise DataError(f"{source}: {rule!r} is not a regular expression ({error}); correct it") from None
    if pattern.groups != 1:
        raise DataError(f"{source}: {rule!r} has {pattern.groups} groups, expected one in parentheses, the patient")
    recordings = tuple(
        dataclasses.replace(recording, patient=_match(pattern, recording, dataset.folder, source))
        for recording in dataset.recordings
    )
    return dataclasses.replace(dataset, recordings=recordings, patients=f"by the rule {rule} ({source})")


def _match(pattern: re.Pattern[str], recording: Recording, folder: Path, source: str) -> str:
    path = recording.path.relative_to(folder).as_posix()
    match = pattern.search(recording.path.name) or pattern.search(path)
    if match is None or not match[1]:
        raise DataError(f"{path}: no patient by the rule {pattern.pattern} ({source}); correct the rule")
    return match[1]


def _described_rule(path: Path) -> str | None:
    """The rule in a `dataset.json`; None if there is none."""
    rule = read_description(path).get("patients")
    if rule is not None and not isinstance(rule, str):
        raise DataError(f'{path}: patients is no text; give a regular expression, as in {{"patients": "^(p[0-9]+)_"}}')
    return rule
