"""What goes into the frozen verifier and what must not: the choices behind ``build_bundle.spec``.

The spec and the tests read them from here, so that "the program would still import without these modules" is checked on
sources, long before anything is frozen.
"""

from pathlib import Path

ROOMS = ("kit", "scanner", "verifier", "templates")
"""Packages of ours that are frozen, whole: commands are imported by name, which no analysis of imports sees."""

UNSEEN = ("segno.encoder",)
"""Modules of others that are imported by name only (``verifier.receipt_code``)."""

DATA = (("kit/schemas", "*.json"), ("templates", "*.j2"))
"""Data files, by directory below the root and pattern; they keep their place."""

ENGINE_FILE = "scanner/engine.json"
"""Identity of the engine, made from the sources while freezing (``scanner.engine``)."""

NETWORK = (
    "_socket",
    "_ssl",
    "email",  # its utilities import socket; see STAND_INS
    "ftplib",
    "http",
    "imaplib",
    "multiprocessing",  # its connections import socket
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "urllib.request",
    "urllib3",
    "xmlrpc",
)
"""Left out so that a reader of the file list sees that there is nothing to speak to a network with."""

STAND_INS = {
    "email/__init__.py": '"""Stand-in: nothing here reads mail."""\n',
    "email/utils.py": '''"""Stand-in for the one function that X.509 names ask of it; the real module imports socket."""


def parseaddr(address):
    """Refuse: no certificate that counts is asked for a mail address."""
    raise ValueError(address)
''',
    "jinja2/__init__.py": '"""Stand-in: the package imports all of its modules, compiler included."""\n',
    "jinja2/compiler.py": '''"""Stand-in: templates were compiled while freezing."""


class CodeGenerator:
    """What an environment is told to compile with."""


def generate(*given):
    """Refuse: a template that was not compiled while freezing cannot be compiled at all."""
    raise NotImplementedError
''',
    "jinja2/lexer.py": '''"""Stand-in: see jinja2/compiler.py."""


class Lexer:
    """A name that the environment mentions."""


class TokenStream:
    """A name that the environment mentions."""


def get_lexer(environment):
    """Refuse to read a template."""
    raise NotImplementedError
''',
    "jinja2/nodes.py": '''"""Stand-in: of the syntax tree, only what a compiled template is rendered with."""


class Template:
    """A name that the environment mentions."""


class EvalContext:
    """Whether the values of a template are escaped."""

    def __init__(self, environment, template_name=None):
        chosen = environment.autoescape
        self.environment = environment
        self.autoescape = chosen(template_name) if callable(chosen) else chosen
        self.volatile = False
''',
    "jinja2/parser.py": '''"""Stand-in: see jinja2/compiler.py."""


class Parser:
    """Refuses to read a template."""

    def __init__(self, *given, **named):
        raise NotImplementedError
''',
    "platform.py": '''"""Stand-in for what libraries ask; the real module brings subprocess, which is rarely needed."""


def python_implementation():
    """Return the interpreter's kind."""
    return "CPython"


def system():
    """Return the operating system's name."""
    return "Linux"
''',
}
"""Modules that are frozen in other words than their own, by path: those would bring a network, or a slow start."""

CONNECTED_SIDE = ("builder", "locker", "obstore", "securesystemslib", "sqlalchemy", "tuf")
"""The rooms that stay outside, and what only they use."""

JINJA_COMPILER = tuple(
    f"jinja2.{name}"
    for name in (
        "_identifier",
        "bccache",
        "ext",
        "idtracking",
        "meta",
        "nativetypes",
        "optimizer",
        "sandbox",
        "visitor",
    )
)
"""Templates are compiled while freezing; what is left of their library only renders (see STAND_INS)."""

DEAD_WEIGHT = (
    "_bz2",  # the standard library asks for it in case somebody packs archives, as for _lzma
    "_codecs_cn",
    "_codecs_hk",
    "_codecs_iso2022",
    "_codecs_jp",
    "_codecs_kr",
    "_codecs_tw",
    "_csv",
    "_hashlib",  # a second OpenSSL; kit.bytes.sha256 uses the signature library's
    "_lzma",
    "_multibytecodec",
    "_pydecimal",  # the C extension is the one in use
    "_sqlite3",
    "_statistics",
    "_uuid",
    "asyncio",
    "bz2",
    "cProfile",
    "csv",
    "curses",
    "distutils",
    "doctest",
    "ensurepip",
    "html",
    "lib2to3",
    "lzma",
    "netrc",
    "pdb",
    "pickletools",
    "pkg_resources",
    "profile",
    "pydoc",
    "pygments",
    "readline",
    "rich",  # typer does without it when told so (verifier.cli._assemble)
    "setuptools",
    "sqlite3",
    "statistics",
    "test",
    "tkinter",
    "typing_extensions",  # msgspec does without it, and starts in half the time
    "unittest",
    "venv",
    "webbrowser",
    "xml",
    "zstandard._cffi",  # the C extension is the one in use
    "zstandard.backend_cffi",
)
"""Never used by the verifier, but dragged in by the analysis of imports, or costly at start-up."""

EXCLUDED = tuple(sorted((*NETWORK, *CONNECTED_SIDE, *JINJA_COMPILER, *DEAD_WEIGHT)))

INTERPRETER_OPTIONS = ("hash_seed=0", "X utf8_mode=1")
"""A frozen program ignores PYTHONHASHSEED and PYTHONUTF8; set order and text encoding must not vary all the same."""


def modules(root: Path) -> list[str]:
    """Return the dotted names of all modules of the frozen rooms below the root, sorted."""
    paths = (path.relative_to(root) for room in ROOMS for path in (root / room).rglob("*.py"))
    return sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths)


def data_files(root: Path) -> list[tuple[str, str]]:
    """Return (file, directory inside the program) of every data file below the root, sorted."""
    return sorted(
        (str(path), path.parent.relative_to(root).as_posix())
        for directory, pattern in DATA
        for path in (root / directory).rglob(pattern)
    )
