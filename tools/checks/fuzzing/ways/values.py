"""Values that no one expects: numbers at the edge, text in other scripts, names that mean something to a shell."""

from __future__ import annotations

NUMBERS = (
    "0", "-0", "-1", "1", "1e308", "1e999", "-1e999", "1e-320", "nan", "NaN", "inf", "-inf", "Infinity", "2147483648",
    "4294967296", "-2147483649", "65536", "99999999999999999999999999", "1,5", "1.234,5", "1'000", "1 000", "1_000",
    "0x10", "1e", ".5", "5.", "+5", "--5", "1.5e3.2", "١٢٣", "１２", "½", "²", "1\u00a0000", "1e5", "0.1", "1d3",
    "1/3", "5 %", "true", "None", "null", "", " ", "abc", "1\\2", "1\\2\\3\\4\\5\\6\\7", "\\", "1;2", "9" * 400,
)  # fmt: skip
"""Texts in place of a number."""

TEXTS = (
    "", " ", "\0", "\\", "liver [/x] a", "[bold red]x[/]", "[link=file:///etc/passwd]x[/link]", "=cmd|'/c calc'!A1",
    "@SUM(1)", "+1+1", "-1", "../../etc/passwd", "/dev/zero", "CON", "a" * 70_000, "Ünïcödé", "肝臓", "\u202eabc",
    "\ufeffx", "\u200b", "x\x1b[31my", "a\nb", "a\r\nb", "a\tb", "'; DROP TABLE", '"', "${HOME}", "%s%n",
    "{0.__class__}",
    "<script>alert(1)</script>", "&amp;&lt;", "\ud7ff", "😀", "NaN", "null", "PAT\\X", "^^^^", "^Name=^Name=^Name",
)  # fmt: skip
"""Texts in place of a name."""

DATES = (
    "", "20260230", "00000000", "99999999", "00010101", "18991231", "2026-01-01", "20260101.5", "250000", "235960",
    "126099", "24", "12:30:00", "1230", "12", "000000.000000", "120000.1234567", "20260101120000",
    "20260101120000+9900",
    "20260101120000-0000", "20260101-", "-20260101", "20260101-20260201", "yesterday", "99991231235959.999999+1400",
    "00010101000000+1400", "２０２６０１０１", "20260101\\20260102", "1" * 40,
)  # fmt: skip
"""Texts in place of a date or a time."""

UIDS = (
    "",
    "0",
    "1.2",
    "1.2.840.10008.1.2",
    "1..2",
    "a.b",
    "1." * 200,
    "1.2.3\\4.5.6",
    "1.2.840.10008.5.1.4.1.1.2",
    " 1.2",
)
"""Texts in place of a UID."""

CHARSETS = (
    "", "ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "ISO 2022 IR 87", "\\ISO 2022 IR 149", "ISO_IR 999", "utf8", "GB18030",
    "\\".join(["ISO 2022 IR 6"] * 40),
)  # fmt: skip
"""Values of SpecificCharacterSet."""
