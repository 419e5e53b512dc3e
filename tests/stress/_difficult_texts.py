"""Cells, bytes and names that are difficult for readers; used by `tables.py` and `paths.py`."""

# fmt: off
CELLS = [
    "1e999", "-1e999", "nan", "NaN", "inf", "-Infinity", "0x1p3", "0x1F", "١٢", "１２", "1_000", "--5", "+-5", "1'000",
    "1.000.000", "1e", "1d5", "True", "1e-999", "9" * 20, "9" * 400, "9" * 5000, "-1", "2.5", "3e38", "1048577", "-0",
    "00002", "2.0", "1e5", "−5", "1j", "5%", "NA", "N/A", "NULL", "#REF!", "2020-01-01", "12,5", "1 000", "1\u00a0000",
    ".", "..", "../a", "a/../../b", "/etc/passwd", "C:\\x", "\\\\server\\x", "~", "%2e%2e", "CON", "NUL.avi", "aux.",
    "a.avi.avi", "a.avi:s", "b", "b.avi", "B", ".avi", "a.mp4", "x=cmd|'/c'!A0", "<b>", "${HOME}", "TRAIN", "7",
    "", " ", "  2 ", "a ", " a.avi", "no systolic", "\u202ea", "．．／a", "\ufeffa", "é", "心", "😀",
    "a" * 300, "心" * 100,
]

BYTES = [
    b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xed\xa0\x80", b"\x1a", b"\x85", b"\xe2\x80\xa8", b"\x0b", b"\x0c",
    b"\x1b[2J", b'"', b"'", b'""', b'",\n"', b"\r", b"\n", b"\r\n", b"\n\n", b",", b",,,,,", b";", b"\t", b"\\", b"#",
]

NAMES = [
    # parent folders and absolute paths
    "..", "../secret", "a/../../secret", "./a", "Videos/../../secret", "..\\secret", "....//secret", "..;/secret",
    "/etc/passwd", "//etc/passwd", "C:\\secret", "C:secret", "\\\\server\\share\\secret", "\\\\?\\C:\\secret",
    "file:///etc/passwd", "../" * 1000 + "secret",
    # encoded separators and dots, variables, options
    "%2e%2e%2fsecret", "..%2fsecret", "%252e%252e/secret", "..%c0%afsecret", "．．／secret", "‥/secret", "..∕secret",
    "..⁄secret", "~/secret", "~root", "$HOME/secret", "`id`", "$(id)", "-rf", "--out", "=1+1",
    # characters that are not printable or print as something else
    "a\0b", "a\0.avi/../../secret", "a\nb", "a\rb", "a\tb", "\x7f", "a\x1b[2Jb", "\u202eiva.a", "a\u200bb", "\ufeffa",
    "a\u2028b", "\ud800", "\udcff", "\xff", "é", "e\u0301", "😀",
    # names with a special meaning on Windows
    "CON", "NUL", "aux.", "COM1", "LPT¹", "con.txt", "x.avi:stream", "x::$DATA", "a.", "a ", " a", "a. .", "A", "aB",
    "a~1", "a*", "a?", "a|b", "<a>",
    # too long
    "x" * 4096, "x" * 251, "x" * 255, "x" * 240, "心" * 80, "心" * 84,
    # names that the commands use themselves, and separators of tables
    "results.csv", "results.parquet", "manifest-0.jsonl", "Manifest-1.JSONL", "results", ".x.part", ".", "...", "",
    "a,b", 'a"b', "a'b", "a.gz", "a.nii.gz",
]
# fmt: on
