"""Texts made from the templates of ``templates/``: one loader, one set of rules for foreign characters.

Values come from documents that others wrote. In ``*.html.j2`` they are escaped, and characters that a reader cannot see
(control, format, bidirectional, unassigned) are spelled out; everywhere else whatever is not printable ASCII is spelled
out, so that a terminal, a printer and a telephone all get the same text.
"""

import unicodedata
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import templates
from kit.errors import FileMissing

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from jinja2 import Environment, Template
    from jinja2.nodes import EvalContext
    from markupsafe import Markup

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def render(name: str, **values: object) -> str:
    """Return the text of a template; every variable that it uses must be given."""
    return _environment().get_template(name).render(values)


def module_of(name: str) -> str:
    """Return the module in which a frozen program has a template compiled (``builder.freeze_prepared``)."""
    return f"prepared.{name.replace('.', '_')}"


def compiled(name: str) -> str:
    """Return a template as the source of the Python module that a frozen program renders it from."""
    return _environment().compile(_source(name), name, f"templates/{name}", raw=True, defer_init=True)


def trusted(markup: str) -> "Markup":
    """Return text of our own, such as a style sheet, marked as not to be escaped."""
    from markupsafe import Markup

    return Markup(markup)  # noqa: S704 - only ever called with the text of a template without variables


def visible(text: str) -> str:
    r"""Return text with every character that cannot be seen written as ``\uXXXX``; letters of any script stay."""
    return "".join(_escape(sign) if unicodedata.category(sign) in _UNSEEN else sign for sign in text)


def printable(text: str) -> str:
    r"""Return text in printable ASCII, every other character written as ``\uXXXX``."""
    return "".join(sign if " " <= sign <= "~" else _escape(sign) for sign in text)


def grouped(digest: str, digits: int = 64) -> str:
    """Return the first hexadecimal digits of a digest or fingerprint in groups of four, as one reads them aloud."""
    value = digest.partition(":")[2] or digest
    return " ".join(value[start : min(start + 4, digits)] for start in range(0, min(digits, len(value)), 4))


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _source(name: str) -> str:
    """Return a template's source: a file beside the package's module, in a checkout as in a frozen program."""
    try:
        return (Path(templates.__file__).parent / name).read_text(encoding="utf-8")
    except OSError:
        raise FileMissing(path=f"templates/{name}") from None


@cache
def _environment() -> "Environment":
    """Return the one environment; made on first use, since most commands render nothing."""
    # From their modules: a frozen program has the package without its compiler (builder.frozen_contents).
    from jinja2.environment import Environment
    from jinja2.loaders import FunctionLoader
    from jinja2.runtime import StrictUndefined
    from jinja2.utils import pass_eval_context, select_autoescape
    from markupsafe import Markup

    class Loader(FunctionLoader):
        """Takes a template compiled where there is one, else compiles its source."""

        def load(
            self,
            environment: Environment,
            name: str,
            globals: "MutableMapping[str, object] | None" = None,  # noqa: A002
        ) -> "Template":
            try:
                module = import_module(module_of(name))
            except ModuleNotFoundError:
                return super().load(environment, name, globals)
            return environment.template_class.from_module_dict(environment, vars(module), globals or {})

    @pass_eval_context
    def shown(context: "EvalContext", value: object) -> object:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return visible(value) if context.autoescape else printable(value)

    environment = Environment(
        loader=Loader(_source),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["grouped"] = grouped
    return environment


NOT_CHECKED = "NOT CHECKED"
CHECK_IT = "Name the site whose key signed it: --site DIR"


def not_checked(verdict: str) -> str:
    """Say that a document's word is nobody's yet."""
    return f"It says {verdict}, but its signature was not checked here: anybody may have written it."
