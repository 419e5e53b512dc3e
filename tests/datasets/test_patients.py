from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from _folders import write_folder
from echoseg.cli import main
from echoseg.datasets.formats import read_dataset
from echoseg.datasets.patients import examination, patient_of_name, patients_of_names
from echoseg.datasets.split import assign_splits
from echoseg.datasets.store import prepare
from echoseg.errors import DataError

MASK = (np.hypot(*np.mgrid[-20:20, -24:24]) < 12).astype(np.uint8)


def save_pair(folder, name):
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(MASK, 30, 120).astype(np.uint8)).save(path)
    Image.fromarray(MASK * 255).save(folder / f"{name}_mask.png")


def read_patients(folder, names, **options):
    for name in names:
        save_pair(folder, name)
    dataset = read_dataset(folder, **options)
    assert dataset.faults == ()
    return {rec.path.relative_to(folder).with_suffix("").as_posix(): rec.patient for rec in dataset.recordings}


@pytest.mark.parametrize(
    ("stem", "patient"),
    [
        ("patient01_001", "patient01"),
        ("patient01-001", "patient01"),
        ("patient 01 003", "patient 01"),
        ("p1_frame01", "p1"),
        ("patient001_frame01", "patient001"),  # ACDC
        ("patient001_4d", "patient001"),
        ("patient001_frame01_slice_3", "patient001"),  # ACDC as slices
        ("patient0001_4CH_half_sequence", "patient0001"),  # CAMUS
        ("patient0001_2CH_ES", "patient0001"),
        ("SC-HF-I-1_ED", "SC-HF-I-1"),  # Sunnybrook
        ("A0S9V9_0800", "A0S9V9"),  # M&Ms in nnU-Net
        ("001_SA_ED", "001"),  # M&Ms-2
        ("ES0001_4CH_1", "ES0001"),  # HMC-QU
        ("ES0001_CH2_1", "ES0001"),
        ("sub-01_ses-02_run-1", "sub-01"),  # BIDS
        ("LIDC-IDRI-0114_120_85_lung_CT", "LIDC-IDRI-0114"),
        ("TCGA-02-0006_17", "TCGA-02-0006"),
        ("TCGA-02-0006", "TCGA-02-0006"),
        ("train_001_a_1", "train_001"),  # CT-RATE
        ("CMB_CRC_MSB_09151_19591104154630", "CMB_CRC_MSB_09151"),
        ("0X100009310A3BD7FC", "0X100009310A3BD7FC"),  # EchoNet-Dynamic
        ("0X100009310A3BD7FC_46", "0X100009310A3BD7FC"),
        ("CR32a7555-CR32a7ad-000039", "CR32a7555-CR32a7ad-000039"),  # EchoNet-Pediatric
        ("1b9d6bcd-bbfd-4b2d-9b5d-112233445566", "1b9d6bcd-bbfd-4b2d-9b5d-112233445566"),
        ("1_3", "1"),
        ("BRATS_001", "BRATS_001"),
        ("la_003", "la_003"),  # Decathlon
        ("case_0012_slice_7", "case_0012"),
        ("site1_p07_3", "site1_p07"),
        ("ED_p07", "p07"),
        ("A4C_12", "12"),
        ("anna_4CH_ED", "anna"),
        ("anna_slice03", "anna"),
        ("anna", "anna"),
        ("patient1ED", "patient1"),
        ("patient1es_4CH", "patient1"),
        ("001ED", "001"),
        ("4CH_001ES", "001"),
        ("case1frame2", "case1"),
        ("p07slice12_1", "p07"),
        ("p1A4C", "p1"),
        ("p1psax", "p1"),
        ("p12CH", "p1"),
        ("p1A2CED", "p1"),
        ("patient01ED1", "patient01"),
        ("pat1ESframe8", "pat1"),
        ("anna1ED5", "anna1"),
        ("A1ED", "A1"),
        ("A1ES", "A1"),
        ("0X100009310A3BD7ED", "0X100009310A3BD7ED"),
        ("0X1ED5", "0X1ED5"),
        ("001ed5", "001ed5"),
        ("001es5", "001es5"),
        ("b1a4c", "b1a4c"),
        ("RED1", "RED1"),
        ("SPEED2", "SPEED2"),
        ("CR32ed450-CR32456ed-000039", "CR32ed450-CR32456ed-000039"),
        ("CR32ed45b-CR3a4c45d-000039", "CR32ed45b-CR3a4c45d-000039"),
        ("CR32ed450-CR32a4c4b-000039", "CR32ed450-CR32a4c4b-000039"),
        ("P3A4C6_sa", "P3A4C6"),
        ("MRN12ed450", "MRN12ed450"),
        ("1b9d6bcd-12ed-4b2d-9b5d-112233445566", "1b9d6bcd-12ed-4b2d-9b5d-112233445566"),
        ("frame_001", "frame_001"),
        ("ED", "ED"),
        ("EF_p01_3", "EF_p01"),
        ("20210304_p01_2", "p01"),
        ("visit2_p01", "p01"),
        ("anna_rest", "anna"),
    ],
)
def test_the_patient_is_found_in_names_as_tools_write_them(stem, patient):
    assert patient_of_name(stem) == patient


@pytest.mark.parametrize(
    ("stems", "patients"),
    [
        # https://github.com/MIC-DKFZ/nnUNet/issues/1871: patient 08 at three times, patient 09 at three times
        (
            ["genius_0800", "genius_0801", "genius_0802", "genius_0900", "genius_0901"],
            ["genius_08"] * 3 + ["genius_09"] * 2,
        ),
        (["case_0101", "case_0102", "case_0201"], ["case_01", "case_01", "case_02"]),
        (["case_0800", "case_0900"], ["case_0800", "case_0900"]),  # one image each
        (["case_0099", "case_0100", "case_0101"], ["case_0099", "case_0100", "case_0101"]),
        ([f"case_{i:04d}" for i in range(250)], [f"case_{i:04d}" for i in range(250)]),
        (["case_0803", "case_0917"], ["case_0803", "case_0917"]),
    ],
)
def test_a_number_may_hold_patient_and_image(stems, patients):
    assert [patients_of_names(stems)[stem] for stem in stems] == patients


@pytest.mark.parametrize(
    ("stems", "patients"),
    [
        ("2021_anna 2021_bert", "anna bert"),
        ("2021_anna_1 2021_anna_2 2021_bert_1", "anna anna bert"),
        ("2021-anna-1 2021-anna-2 2022-bert-1", "anna anna bert"),
        ("2021_anna 2021_bert 2022_anna 2022_carl", "anna bert anna carl"),
        ("7_anna_ED 7_anna_ES 7_bert_ED", "anna anna bert"),  # the number of the study
        ("study1_anna_frame3 study1_anna_frame4 study1_bert_frame3", "anna anna bert"),
        ("study7_2021_anna study7_2022_anna study7_2021_bert", "anna anna bert"),
        ("visit1_anna visit2_anna visit1_bert", "anna anna bert"),
        ("anna_visit1 anna_visit2 bert_visit1", "anna anna bert"),
        ("20210304_anna 20210305_bert 20210306_anna", "anna bert anna"),
        ("2021-03-04_anna 2021-03-05_bert", "anna bert"),
        ("2021_03_04_anna 2021_03_05_bert", "anna bert"),
        ("20210304_104512_anna 20210304_110000_bert 20210601_090000_anna", "anna bert anna"),
        ("anna_20210304 anna_20210601 bert_20210304", "anna anna bert"),
        ("20210304_p01 20210601_p01 20210601_p02", "p01 p01 p02"),
        ("2021_brats_001 2021_brats_002", "brats_001 brats_002"),
        ("2021_SC-HF-I-1 2021_SC-HF-NI-2", "SC-HF-I-1 SC-HF-NI-2"),
        ("2021_train_001 2021_val_001", "train_001 val_001"),
        ("2021_Łukasz 2021_Zoë", "Łukasz Zoë"),
        # numbers alone may be those of frames; words under every number are no names
        ("2021_001 2021_002", "2021 2021"),
        ("2021_ED 2021_ES", "2021 2021"),
        ("1_3 1_4", "1 1"),
        ("p01_first p01_second", "p01 p01"),
        ("train_001_a_1 train_001_b_1 train_002_a_1", "train_001 train_001 train_002"),
        ("2001_lv 2001_rv 2002_lv 2002_rv 2003_lv 2003_rv", "2001 2001 2002 2002 2003 2003"),
        ("20210304_lv 20210305_lv", "20210304 20210305"),
        ("scan_001_axial scan_002_axial scan_003_axial", "scan_001 scan_002 scan_003"),
        ("case_2001 case_2002", "case_2001 case_2002"),
        ("echo_20210304 echo_20210305", "echo_20210304 echo_20210305"),
        ("brats_001_2021 brats_002_2021 lidc_001_2021", "brats_001 brats_002 lidc_001"),
    ],
)
def test_a_date_a_year_or_a_number_that_all_share_is_not_the_patient(stems, patients):
    stems = stems.split()
    found = patients_of_names(stems)
    assert [found[stem] for stem in stems] == patients.split()


@given(
    st.lists(st.text("bcdfghjkmnpqrsvwxyz", min_size=3, max_size=9), min_size=2, max_size=9, unique=True),
    st.sampled_from(["2021", "7", "study1", "20210304", "2021-03-04", "site3", "visit2_2021", "v1"]),
    st.sampled_from("_- "),
    st.lists(st.sampled_from(["", "_frame3", "_ED", "_4CH_ES", "_slice_12", "_17", "_2_1"]), min_size=2, max_size=9),
)
def test_what_all_files_begin_with_is_never_the_patient_where_names_follow(names, lead, separator, ends):
    files = {f"{lead}{separator}{name}{end}": name for name in names for end in ends}
    found = patients_of_names(files)
    assert len(set(found.values())) == len(names)
    assert len({(found[file], name) for file, name in files.items()}) == len(names)


@pytest.mark.parametrize("names", [
    ("anna_visit1_4CH_ED", "anna_visit1_4CH_ES", "anna_visit1_2CH_ED"),
    ("patient0001_4CH_ED", "patient0001_4CH_half_sequence", "patient0001_2CH_sequence"),
    ("patient001_frame01", "patient001_frame12"),
    ("p1_ED_frame03", "p1_ES_frame11", "p1_fr_2"),
    ("p1_ED_t00", "p1_ES_t09"),
    ("p1_phase00", "p1_phase09"),
    ("pat1ED3", "pat1ES8", "pat1_ED"),
    ("p1A4C", "p1A2C_ES"),
    ("SC-HF-I-1_ED", "SC-HF-I-1_ES"),
])  # fmt: skip
def test_images_of_one_examination(names):
    assert len({examination("p", name) for name in names}) == 1


@pytest.mark.parametrize("names", [
    ("anna_visit1_4CH_ED", "anna_visit2_4CH_ES"),
    ("anna_rest_ED", "anna_stress_ES"),
    ("anna_t1_ED", "anna_t2_ES"),
    ("anna_visit1_frame01", "anna_visit2_frame12"),
    ("Jones_ED_1", "Jones_ES_2"),
])  # fmt: skip
def test_images_of_two_examinations(names):
    assert len({examination("p", name) for name in names}) == 2


@pytest.mark.parametrize("name", ["0X1A2B3C4D5E6F7A", "fred_1", "0ed5", "video 12"])
def test_a_name_without_view_phase_and_frame_says_nothing_of_the_examination(name):
    assert examination("p", name) == "p"


def test_a_folder_per_patient_is_the_patient_whatever_the_frames_are_called(tmp_path):
    names = [f"patient{k:02d}/frame_{number:03d}" for k in range(4) for number in (2 * k + 1, 100 + 3 * k)]
    assert read_patients(tmp_path, names) == {name: name.split("/")[0] for name in names}
    assert read_dataset(tmp_path).patients == "by the folder"


@pytest.mark.parametrize(
    ("names", "patients"),
    [
        (["anna/visit1/a", "anna/visit2/b", "bert/visit1/c"], ["anna", "anna", "bert"]),
        (["study/anna/1", "study/anna/2", "study/bert/7"], ["study_anna", "study_anna", "study_bert"]),
        (["site/p01/a", "site/p02/b"], ["site_p01", "site_p02"]),
        (["anna/1/a", "anna/2/b"], ["anna", "anna"]),  # one patient rather than two
        (["ED/p01", "ES/p01", "ED/p02", "ES/p02"], ["p01", "p01", "p02", "p02"]),
        (["A4C/7_1", "A2C/7_1", "A4C/8_1"], ["7", "7", "8"]),
        (["mayo/p01_ED", "mayo/p02_ED", "charite/p03_ED"], ["p01", "p02", "p03"]),  # a folder for each hospital
        (["mayo/p01ED", "mayo/p02ED", "charite/p03ED"], ["p01", "p02", "p03"]),
        (["train/p01/a", "train/p02/a", "test/p03/a"], ["p01", "p02", "p03"]),
        (["2021/anna/a", "2021/bert/b", "2022/anna/c"], ["anna", "bert", "anna"]),
        (["visit1/anna/a", "visit2/anna/b", "visit1/bert/c"], ["anna", "anna", "bert"]),
        (["2021/anna_1", "2021/bert_1", "2022/carl_1"], ["anna_1", "bert_1", "carl_1"]),
        (["20210304/frame_001", "20210304/frame_002", "20210305/frame_001"], ["20210304", "20210304", "20210305"]),
        (["train/001", "train/002", "test/001"], ["train_001", "002_x", "test_001"]),
    ],
)
def test_folders_are_patients_where_nothing_says_otherwise(tmp_path, names, patients):
    found = read_patients(tmp_path, names)
    assert [found[name] for name in names] == [patient.replace("002_x", "train_002") for patient in patients]


@pytest.mark.parametrize(
    "names", [["train/p01_1", "test/p01_2"], ["train/p01/a", "test/p01/b"], ["train/p01", "test/p01"]]
)
def test_a_patient_in_two_given_splits_is_refused_by_name(tmp_path, names, capsys):
    data = tmp_path / "data"
    found = read_patients(
        data, [*names, "val/p02_1" if "p01_1" in names[0] or names[0] == "train/p01" else "val/p02/a"]
    )
    assert set(found.values()) == {"p01", "p02"}
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run")]) == 1
    printed = capsys.readouterr()
    assert "in two splits, which training refuses: p01" in printed.out
    assert (
        "patient p01 is in 'train' and 'test'" in printed.err or "patient p01 is in 'test' and 'train'" in printed.err
    )
    assert not (tmp_path / "run").exists()


def test_videos_without_a_column_have_the_patient_of_their_name(tmp_path):
    folder = write_folder(tmp_path / "data", ("p1_A4C", "p1_A2C", "p2_A4C"))
    dataset = read_dataset(folder)
    assert [recording.patient for recording in dataset.recordings] == ["p1", "p1", "p2"]
    lines = (folder / "FileList.csv").read_text().splitlines()
    cells = [f"{line},{patient}" for line, patient in zip(lines[1:], ("x", "y", "y"), strict=True)]
    (folder / "FileList.csv").write_text("\n".join([f"{lines[0]},patient_id", *cells]))
    dataset = read_dataset(folder)
    assert [recording.patient for recording in dataset.recordings] == ["x", "y", "y"]
    assert dataset.patients == "by the column PatientId of FileList.csv"


def test_videos_of_a_list_without_a_column_are_named_for_their_patients(tmp_path):
    dataset = read_dataset(write_folder(tmp_path / "data", ("2021_anna", "2021_bert", "2022_anna")))
    assert [recording.patient for recording in dataset.recordings] == ["anna", "bert", "anna"]


def test_a_rule_tells_patients_of_names_of_ones_own(tmp_path):
    names = ["2021-anna-1", "2021-anna-2", "2022-bert-1"]
    assert set(read_patients(tmp_path, names, patients="-([a-z]+)-").values()) == {"anna", "bert"}
    (tmp_path / "dataset.json").write_text(json.dumps({"patients": "([a-z]+)-[0-9]"}))
    dataset = read_dataset(tmp_path)
    assert [recording.patient for recording in dataset.recordings] == ["anna", "anna", "bert"]
    assert dataset.patients == "by the rule ([a-z]+)-[0-9] (dataset.json, key patients)"
    assert sorted(set(prepare(tmp_path).samples["patient"])) == ["anna", "bert"]
    (tmp_path / "dataset.json").write_text(json.dumps({"patients": "^([0-9]+)"}))  # the cached store is made again
    assert sorted(set(prepare(tmp_path).samples["patient"])) == ["2021", "2022"]
    store = prepare(tmp_path, tmp_path / "store", patients="-([a-z]+)-")
    assert sorted(set(store.samples["patient"])) == ["anna", "bert"]
    assert prepare(store.path, patients="-([a-z]+)-").path == store.path
    with pytest.raises(DataError, match="without the rule"):
        prepare(store.path, patients="(b)")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("(", "is not a regular expression"),
        ("a", "has 0 groups"),
        ("(a)(b)", "has 2 groups"),
        ("(x+)", "a.png: no patient"),
    ],
)
def test_a_wrong_rule_is_refused(tmp_path, rule, reason):
    save_pair(tmp_path, "a")
    with pytest.raises(DataError) as caught:
        read_dataset(tmp_path, patients=rule)
    assert reason in str(caught.value)


def test_a_rule_that_cannot_be_read_is_not_ignored(tmp_path):
    save_pair(tmp_path, "a1-b")
    path = tmp_path / "dataset.json"
    path.write_text('{"patients": "^a([0-9])-"}', encoding="utf-8-sig")
    assert read_dataset(tmp_path).recordings[0].patient == "1"
    path.write_text('{"patients": "^a([0-9])-",}')
    with pytest.raises(DataError, match=r"dataset\.json:1:27: invalid JSON"):
        read_dataset(tmp_path)
    path.write_bytes(b'{"patients": "\xe4"}')
    with pytest.raises(DataError, match=r"dataset\.json: is no JSON in UTF-8"):
        read_dataset(tmp_path)


def test_the_statement_is_printed_and_kept(tmp_path, capsys):
    for name in ("train/p01/a", "train/p01/b", "test/p02/a"):
        save_pair(tmp_path / "data", name)
    (tmp_path / "data/test/p02/b.png").write_bytes((tmp_path / "data/test/p02/a.png").read_bytes())
    assert main(["prepare", str(tmp_path / "data"), "--out", str(tmp_path / "store")]) == 0
    lines = capsys.readouterr().out.split("\nstore")[0].splitlines()
    assert len(lines) <= 12
    assert "patients: 2, by the folder; for example p01 of train_p01_a, train_p01_b; p02 of test_p02_a" in lines[1]
    assert "--patients REGEX" in lines[1]
    assert "left out: 1: 1 × has no mask" in lines
    understood = json.loads((tmp_path / "store/manifest.json").read_text())["understood"]
    assert understood["format"] == "pairs"
    assert understood["patients"]["number"] == 2
    assert understood["splits"] == {"patients": {"test": 1, "train": 1}, "in_two": []}
    assert understood["left_out"] == {"has no mask": 1}
    assert main(["check", str(tmp_path / "store")]) == 0  # says the same of the store
    assert "patients: 2, by the folder" in capsys.readouterr().out


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8, 20])
def test_few_patients_get_all_three_splits(count):
    for start in range(200):
        patients = [f"heart{start}_{i}" for i in range(count)]
        sets = assign_splits([""] * count, patients)
        assert {"train", "val", "test"} == set(sets)
        assert set(assign_splits([""] * count, patients, validation=False)) == {"train", "test"}


def test_two_patients_get_two_splits_without_validation():
    for start in range(50):
        patients = [f"heart{start}_{i}" for i in range(2)]
        assert sorted(assign_splits(["", ""], patients, validation=False)) == ["test", "train"]
        assert sorted(assign_splits(["0", "0", "1"], [*patients, "c"])) == ["test", "train", "val"]
