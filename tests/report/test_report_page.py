"""The report page and the model card: what they show, what they must not show, and which files may be missing."""

from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from echoseg.cli import main
from echoseg.errors import DataError
from echoseg.report.card import model_card
from echoseg.report.case_files import read_cases, write_cases
from echoseg.report.case_tables import volume_tables
from echoseg.report.charts import dice_bins, training_curves
from echoseg.report.page import write_report
from echoseg.report.run_summary import last_part, read_run_summary
from echoseg.training.config import Config
from echoseg.utils.checksum import add_checksum

PATIENT = "Erika <b>Mustermann</b>"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(HTMLParser):
    """The text, tags and addresses of a page; fails if a tag is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.tags, self.addresses, self.open = "", [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"] and self.open[-1:] != ["script"]:
            self.text += data


def read_page(path: Path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def metrics(images: int, **more) -> dict:
    values = {"images": images, "patients": images // 2, "dice": 0.9123, "dice_ci95": [0.9, 0.93], "iou": 0.85}
    values |= {"dice_all_pixels": 0.98, "hd95_px": 2.5, "assd_px": 1.0, "empty_predictions": 0}
    return {**values, "all_black": {"dice": 0.0, "dice_all_pixels": 0.93}, "data": "/home/erika/stores/abc", **more}


def write_run(
    folder: Path, *splits: str, landmarks: int = 0, volumes: bool = False, count: int = 40, **settings
) -> Path:
    """Write a run folder with the files that the page reads, without weights."""
    approach = {"approach": "mask"}
    if landmarks:
        approach = {"approach": "landmark", "landmarks": landmarks, "scheme": "anatomical"}
    paths = {"data": "/home/erika/Sunnybrook", "corrections": "/home/erika/corrected"}
    (folder / "figures").mkdir(parents=True)
    Config(**{**paths, **approach, "epochs": 3, **settings}).save(folder / "config.yaml")
    environment = {"echoseg": {"threads": 2}, "command": ["/home/erika/bin/echoseg", "train", "--out=/home/erika/x"]}
    (folder / "environment.json").write_text(json.dumps(environment))
    (folder / "log.csv").write_text("epoch,train_loss,val_dice\n1,2.5,0.5\n2,1.5,0.8\n3,1.2,0.9\n")
    entries = {}
    for split in splits:
        random = np.random.default_rng(0)
        images = pd.DataFrame({"video": PATIENT, "frame": range(count), "patient": PATIENT, "phase": "ED"})
        images["dice"] = random.permutation(np.linspace(0.7, 0.95, count))
        images["hd95_px"] = random.uniform(1, 9, count)
        images.loc[3, "hd95_px"] = np.nan
        more: dict = {}
        if landmarks:
            for k in range(landmarks):
                images[f"error{k}_px"] = random.uniform(0, 4, count)
            images["landmark_error_px"], images["review"] = 1.9, [1] + [0] * (count - 1)
            shares = {"50": 0.52, "90": 0.91, "95": 0.94}
            more = {"landmark_error_px": 1.9, "calibration": {"landmarks": shares, "ef": shares}}
            more["review"] = {"marked": 1, "poor": 2, "poor_marked": 1}
        if volumes:
            ef = {"videos": 3, "mae": 4.25, "rmse": 5.5, "r2": 0.75, "bias": -1.25, "limits": [-11.5, 9.0]}
            more |= {"ef": ef, "ef_method": ef}
            table = {
                "video": PATIENT,
                "patient": PATIENT,
                "unit": "px3",
                "edv": [90.5, 80, 70],
                "esv": 40.0,
                "ef": 55.0,
            }
            stack = {
                "stacks": 2,
                "volume_dice": 0.87,
                "volume_ml": 120.5,
                "true_volume_ml": 118.0,
                "bias_ml": 2.5,
                "mae_ml": 3.5,
            }
            more["blanks"] = {"images": 20, "empty_predictions": 17, "dice_all": 0.9012}
            more["stacks"] = {"ED": stack, "ef": {"patients": 2, "mae": 3.25}}
            stacks = {"patient": PATIENT, "video": PATIENT, "phase": "ED", "slices": 10, "volume_ml": [120.5, 80]}
            pd.DataFrame(stacks).to_csv(folder / f"stacks_{split}.csv", index=False)
            pd.DataFrame(table | {"listed_ef": [54.0, np.nan, 60]}).to_csv(folder / f"volumes_{split}.csv", index=False)
        for figure in ("overlay", "bland_altman") if volumes else ("overlay",):
            cv2.imwrite(str(folder / "figures" / f"{figure}_{split}.png"), np.zeros((4, 4), np.uint8))
        images.to_csv(folder / f"images_{split}.csv", index=False)
        entries[split] = metrics(count, **more)
    (folder / "metrics.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.slow
def test_the_page_shows_everything_and_loads_nothing(tmp_path):
    run = write_run(tmp_path / "run <1>", "val", "test", landmarks=9, volumes=True)
    assert main(["report", str(run), "--out", str(tmp_path / "new" / "page.html")]) == 0
    page = read_page(tmp_path / "new" / "page.html")
    for word in (
        "run <1>",
        "0.9123 (0.9000–0.9300)",
        "Best, median and worst cases",
        "Error of each landmark",
        "Bland–Altman plot",
    ):
        assert word in page.text, word
    for word in (
        "4.25",
        "-11.5",
        "+9.0",
        "too few videos",
        "volumes in px³",
        "Calibration",
        "annulus",
        "Sunnybrook",
        "CC0",
        "Environment",
    ):
        assert word in page.text, word
    for word in ("17 of 20", "0.9012", "found something in 3 of 20 blank slices"):
        assert word in page.text, word
    for word in ("Stacks of slices", "118.0", "+2.5", "mean absolute error 3.2 percentage points"):
        assert word in page.text, word
    assert page.tags.count("table") == 1 + 2 * 6  # all measures; agreement, stacks, calibration, cases, videos, stacks
    inside = [address for address in page.addresses if not address.startswith("https://")]
    assert all(re.match(r"data:image/(png|svg\+xml);base64,|#", address) for address in inside)
    assert not {"link", "iframe", "object"} & set(page.tags)


@pytest.mark.slow
def test_times_of_training_testing_and_outputs_are_shown(tmp_path):
    run = write_run(tmp_path / "run", "val", "test")
    entries = json.loads((run / "metrics.json").read_text())
    entries["test"]["seconds"] = {
        **{"training": 550.25, "epoch": 183.4, "prediction": 3.21, "measures": 0.5},
        "outputs": {"images": 0.5, "overlay": 1.5},
    }
    (run / "metrics.json").write_text(json.dumps(entries))
    write_report(run, tmp_path / "page.html")
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td><td>(.*?)</td></tr>", (tmp_path / "page.html").read_text())
    assert [row for row in rows if row[0].startswith(("training", "testing", "tables"))] == [
        ("training", "550.2", "–"),
        ("training, mean of an epoch", "183.4", "–"),
        ("testing: prediction", "3.2", "–"),
        ("testing: measures", "0.5", "–"),
        ("tables and figures", "2.0", "–"),
    ]


def write_pictures(run: Path, count: int = 40) -> None:
    """Add the cases of the test split, whose traced contour is a square and whose predicted one a triangle."""
    square, triangle = (
        np.float32(points) for points in ([[2, 2], [9, 2], [9, 9], [2, 9]], [[2, 2], [9, 2], [9, 9.25]])
    )
    prediction = SimpleNamespace(contours=[triangle] * (count - 1) + [triangle[:0]], landmarks=None)
    images = pd.read_csv(run / "images_test.csv")
    frames = np.random.default_rng(0).integers(0, 255, (count, 12, 16), np.uint8)
    write_cases(
        SimpleNamespace(images=images, prediction=prediction), frames, [square] * count, run / "cases_test.json"
    )


def test_pictures_hold_each_frame_and_its_outlines(tmp_path):
    run = write_run(tmp_path / "run", "test")
    write_pictures(run)
    values = read_cases(run / "cases_test.json")
    assert values["size"] == [12, 16]
    order = [case["case"] - 1 for case in values["cases"]]
    assert order == pd.read_csv(run / "images_test.csv")["dice"].argsort(kind="stable").tolist()
    case = values["cases"][0]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(case["image"]), np.uint8), cv2.IMREAD_GRAYSCALE)
    expected = np.random.default_rng(0).integers(0, 255, (40, 12, 16), np.uint8)[order[0]]
    assert np.abs(decoded.astype(int) - expected).mean() < 15
    assert (case["true"], case["predicted"]) == ("2.0,2.0 9.0,2.0 9.0,9.0 2.0,9.0", "2.0,2.0 9.0,2.0 9.0,9.2")
    write_report(run, tmp_path / "page.html")
    page = read_page(tmp_path / "page.html")
    assert "Failures: 16 of 40" in page.text
    assert "Best, median and worst" not in page.text


@pytest.mark.parametrize("text", ["{", "[]", '{"size": [1, 2], "cases": []}', None])
def test_damaged_pictures_are_reported(tmp_path, text):
    run = write_run(tmp_path / "run", "test")
    hostile = {
        "size": [1, 2],
        "cases": [{"case": 1, "image": "</script>", "true": "", "predicted": "", "landmarks": ""}],
    }
    (run / "cases_test.json").write_text(text or json.dumps(add_checksum(hostile)))
    with pytest.raises(DataError, match=r"cases_test\.json: is damaged; run 'echoseg evaluate' again"):
        write_report(run, tmp_path / "page.html")


def test_volumes_in_ml_and_in_cubic_pixels_have_tables_of_their_own(tmp_path):
    run = write_run(tmp_path / "run", "test", volumes=True)
    table = pd.read_csv(run / "volumes_test.csv").assign(unit=["ml", "px3", np.nan])
    table.to_csv(run / "volumes_test.csv", index=False)
    write_report(run, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    heads = re.findall(r"<summary>Traced frames(.*?)</summary>.*?<thead>(.*?)</thead>", text, re.DOTALL)
    assert [title for title, _ in heads] == [" without a result", ", volumes in ml", ", volumes in px³"]
    assert "EDV, predicted, ml" in heads[1][1]
    assert "px³" not in heads[1][1]
    assert "EDV, predicted, px³" in heads[2][1]


def test_the_dice_of_videos_is_that_of_their_traced_frames(tmp_path):
    run = write_run(tmp_path / "run", "test", volumes=True)
    table = pd.read_csv(run / "volumes_test.csv").assign(dice=0.9)
    table.to_csv(run / "volumes_videos_test.csv", index=False)
    pd.read_csv(run / "stacks_test.csv").assign(dice=0.8).to_csv(run / "stacks_test.csv", index=False)
    tables = volume_tables(read_run_summary(run), "test", names=False)
    heads = {table.file: table.head for table in tables.values()}
    assert "Dice of its traced frames" in heads["volumes_videos_test.csv"]
    assert "Dice of its slices" in heads["stacks_test.csv"]


def test_post_processing_and_averaged_blank_slices_are_named(tmp_path):
    run = write_run(tmp_path / "run", "test")
    entries = json.loads((run / "metrics.json").read_text())
    for more, is_named in (({}, False), ({"postprocess": ["closing=9"], "blanks_averaged": True}, True)):
        (run / "metrics.json").write_text(json.dumps({"test": entries["test"] | {"both_empty": 2} | more}))
        write_report(run, tmp_path / "page.html")
        text = read_page(tmp_path / "page.html").text
        assert ("Post-processing, in this order: closing=9." in text) == is_named
        assert ("The means include blank slices" in text) == is_named
        assert ("both masks empty, with a Dice of 1" in text) == is_named
        assert ("not applicable: both masks empty" in text) != is_named


def test_words_that_stand_for_missing_values_may_be_names(tmp_path):
    run = write_run(tmp_path / "run", "test")
    images = pd.read_csv(run / "images_test.csv").assign(video="None", patient="NA")
    images.to_csv(run / "images_test.csv", index=False)
    table = read_run_summary(run).table("images_test.csv")
    assert set(table["video"]) == {"None"}
    assert set(table["patient"]) == {"NA"}
    assert table["hd95_px"].isna().sum() == 1


@pytest.mark.parametrize("names", [False, True])
def test_names_and_folders_stay_out_unless_asked_for(tmp_path, names):
    private = {"test_fold": "erika-7", "patients": "^(erika-[0-9])", "init": "/home/runs/erika"}
    run = write_run(tmp_path / "run", "test", volumes=True, **({} if names else private))
    assert main(["report", str(run), *(["--names"] if names else [])]) == 0
    page = read_page(run / "report.html")
    assert (PATIENT in page.text) == names
    assert "b" not in page.tags  # names are escaped
    for folder in ("/home", "erika"):
        assert folder not in (run / "report.html").read_text()
    assert ("--out=x" in page.text) == names


@pytest.mark.parametrize("lowest", [0.0, 0.05, 0.15, 0.5, 0.93, 1.0])
def test_histograms_of_dice_hold_all_values(lowest):
    edges = dice_bins(lowest)
    assert len(edges) > 10
    assert edges[-1] == 1
    assert np.histogram([lowest, 1.0, 1.0], edges)[0].sum() == 3


@pytest.mark.slow
@pytest.mark.parametrize("landmarks", [0, 5])
def test_the_page_of_a_run_with_parts_missing(tmp_path, landmarks):
    run = write_run(tmp_path / "run", "test", landmarks=landmarks)
    for name in ("images_test.csv", "log.csv", "environment.json", "figures/overlay_test.png"):
        (run / name).unlink()
        write_report(run, tmp_path / "page.html")
        assert "0.9123" in read_page(tmp_path / "page.html").text
    (run / "metrics.json").unlink()
    write_report(run, tmp_path / "page.html")
    assert "run echoseg evaluate run." in " ".join(read_page(tmp_path / "page.html").text.split())
    write_report(write_run(tmp_path / "all", test_fold="none"), tmp_path / "all.html")
    advice = "run echoseg evaluate all --data FOLDER --split all."
    assert advice in " ".join(read_page(tmp_path / "all.html").text.split())
    with pytest.raises(DataError, match="'val' was not evaluated"):
        write_report(run, tmp_path / "page.html", splits=["val"])
    (run / "metrics.json").write_text("[")
    with pytest.raises(DataError, match=r"metrics\.json: is damaged"):
        write_report(run, tmp_path / "page.html")
    with pytest.raises(DataError, match="is not a run folder"):
        write_report(tmp_path, tmp_path / "page.html")


@pytest.mark.slow
def test_the_page_of_a_run_whose_predictions_give_no_ef(tmp_path):
    run = write_run(tmp_path / "run", "test", volumes=True)
    entries = json.loads((run / "metrics.json").read_text())
    for name in ("ef", "ef_method"):
        entries["test"][name] |= {"videos": 0, "missing": 3, **dict.fromkeys(("mae", "rmse", "r2", "bias", "limits"))}
    (run / "metrics.json").write_text(json.dumps(entries))
    write_report(run, tmp_path / "page.html")
    assert "Mean absolute error of EF" not in read_page(tmp_path / "page.html").text


def test_only_the_given_splits_are_shown(tmp_path):
    run = write_run(tmp_path / "run", "val", "test", "all")
    write_report(run, tmp_path / "page.html", splits=["val"])
    text = read_page(tmp_path / "page.html").text
    assert "Cases: val" in text
    assert "Cases: test" not in text


def test_rows_come_worst_first_under_their_number_in_the_file(tmp_path):
    run = write_run(tmp_path / "run", "test")
    write_report(run, tmp_path / "page.html")
    rows = re.findall(
        r"<tr(?: class=\"poor\")?><td data-value=\"(\d+)\">.*?</tr>", (tmp_path / "page.html").read_text()
    )
    dice = pd.read_csv(run / "images_test.csv")["dice"]
    assert [int(row) - 1 for row in rows] == dice.argsort(kind="stable").tolist()
    assert (tmp_path / "page.html").read_text().count('class="poor"') == (dice < 0.8).sum()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.filterwarnings("ignore")
def test_sorting_opening_cases_and_a_phones_width_in_a_browser(tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    run = write_run(tmp_path / "run", "test", landmarks=9, volumes=True)
    write_pictures(run)
    write_report(run, tmp_path / "page.html")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, messages = browser.new_page(viewport={"width": 390, "height": 800}), []
        page.on("console", lambda message: messages.append(message.text))
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        worst = pd.read_csv(run / "images_test.csv")["dice"].argsort(kind="stable").to_numpy() + 1
        page.locator(".thumbs button").first.click()
        viewer = page.locator("#viewer")
        assert viewer.locator("strong").inner_text() == f"Case {worst[0]} of test"
        assert viewer.locator("polygon.true").get_attribute("points") == "2.0,2.0 9.0,2.0 9.0,9.0 2.0,9.0"
        page.keyboard.press("ArrowRight")
        assert viewer.locator("strong").inner_text() == f"Case {worst[1]} of test"
        assert "Dice 0.7" in viewer.locator(".facts").inner_text()
        viewer.locator("[data-outline=true]").uncheck()
        assert not viewer.locator("polygon.true").is_visible()
        page.keyboard.press("Escape")
        assert not viewer.is_visible()
        background = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(background)
        page.locator("#theme").click()
        assert page.evaluate(background) != light
        page.locator("summary", has_text="All 40 cases").click()
        table = page.locator("table.sortable").first
        titles = table.locator("th").all_inner_texts()
        column = next(i for i, title in enumerate(titles) if title.startswith("HD95"))
        expected = pd.read_csv(run / "images_test.csv")["hd95_px"].sort_values().map("{:.2f}".format).tolist()[:-1]
        for order in (1, -1):
            table.locator("th button").nth(column).focus()
            page.keyboard.press("Enter")
            *cells, last = table.locator(f"tbody td:nth-child({column + 1})").all_inner_texts()
            assert cells == expected[::order]
            assert last == "–"
        assert table.locator("th").nth(column).get_attribute("aria-sort") == "descending"
        table.locator("tbody td button").nth(2).click()
        assert viewer.is_visible()
        assert messages == []
        browser.close()


@pytest.mark.parametrize(
    ("data", "licence"),
    [
        ("/d/EchoNet-Dynamic", "echonet.github.io/dynamic"),
        ("/d/echonet_pediatric", "echonet.github.io/pediatric"),
        (None, "echoseg generated the data"),
        ("/d/erika`s\nheart", "Ask the owner of the data"),
    ],
)
def test_the_card_has_licence_limits_and_a_header_for_the_hub(tmp_path, data, licence):
    run = write_run(tmp_path / "run: 1", "test", landmarks=5, data=data, count=28)
    card = model_card(run)
    _, header, text = card.split("---\n", 2)
    facts = yaml.safe_load(header)
    assert facts["model-index"][0]["name"] == "run: 1"
    assert facts["model-index"][0]["results"][0]["metrics"][0] == {"type": "dice", "value": 0.9123}
    assert licence in text
    assert "there are only 14 patients" in text
    assert "1 of 2 poor contours" in text
    assert ("say nothing about patients" in text) == (data is None)
    assert "/d/" not in card


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("/a/b c/d", "d"),
        ("/a/b/", "b"),
        (r"C:\Users\erika\data", "data"),
        ("--out=/a/b=c/d", "--out=d"),
        ("/a=b/c", "c"),
        ("2.13.0+cpu", "2.13.0+cpu"),
        ("", ""),
    ],
)
def test_the_last_part_of_a_path(text, part):
    assert last_part(text) == part


def test_the_charts_of_a_training_show_what_its_log_has():
    old = pd.DataFrame({"epoch": [1, 2], "train_loss": [2.5, 1.5], "val_dice": [0.5, 0.8]})
    curves = {label: sorted(found) for label, found in training_curves(old).items()}
    assert curves == {"loss": ["training"], "foreground Dice": ["validation"]}
    new = old.assign(train_dice=[0.4, 0.9], val_loss=np.nan)
    curves = {label: sorted(found) for label, found in training_curves(new).items()}
    assert curves == {"loss": ["training"], "foreground Dice": ["training", "validation"]}


def test_the_card_says_that_a_split_by_image_leaks(tmp_path):
    run = write_run(tmp_path / "run", "test", preset="rodriguez", split_by="image", split_shares=[0.8, 0.1, 0.1])
    card = model_card(run)
    assert "The data were split by image." in card
    assert "in the training and in the test split" in card
    assert "split by patient" in model_card(write_run(tmp_path / "other", "test"))
