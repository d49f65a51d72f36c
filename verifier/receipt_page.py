"""The receipt as one page for paper: A5, in large letters what is read aloud, the slip as a code and as letters.

The page names no other file and holds no script; its style sheet is the only one that a browser will apply.
"""

import base64
import hashlib

from kit.receipt import check_number
from kit.result import Receipt
from verifier import receipt_code, texts
from verifier.receipt_code import Code
from verifier.render import receipt_digests, receipt_facts, receipt_next_step, slip_lines
from verifier.report import TONES


def render(receipt: Receipt, receipt_digest: str, slip: str | None, code: Code | None, *, is_checked: bool) -> bytes:
    """Return the page of a receipt: ASCII bytes of one HTML file.

    Unless ``is_checked``, its signature was not checked, and that stands in the place of the verdict.
    """
    digests = receipt_digests(receipt)
    in_full = {label for label, _ in digests}
    style = texts.render("receipt_page.css.j2").strip()
    page = texts.render(
        "receipt_page.html.j2",
        style=texts.trusted(style),
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        tone=TONES.get(receipt.verdict, "bad") if is_checked else "bad",
        verdict=receipt.verdict if is_checked else texts.NOT_CHECKED,
        receipt=receipt,
        number=check_number(receipt_digest),
        next_step=receipt_next_step(receipt)
        if is_checked
        else f"{texts.not_checked(receipt.verdict)} {texts.CHECK_IT}",
        facts=[(label, value) for label, value in receipt_facts(receipt) if label not in in_full],
        digests=digests,
        code=texts.trusted(receipt_code.svg(code, inline=True)) if code is not None else None,
        slip=slip_lines(slip) if slip else [],
    )
    return page.encode("ascii", "xmlcharrefreplace")
