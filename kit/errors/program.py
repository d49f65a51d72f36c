"""Exit codes 1, 2, 130: the program and its use."""

from kit.errors.base import StellaError


class InternalError(StellaError):
    """A bug: an exception that no rule of ours foresaw."""

    sentence = "The program failed in a way it does not know."
    next_step = "Keep the run directory and report this as a bug."


class UsageError(StellaError):
    """The command line, or a file that the operator wrote, asks for something that does not exist."""

    exit_code = 2
    sentence = "The command cannot be carried out as given."
    next_step = "See the command's --help."

    def __str__(self) -> str:
        """Return the detail as the sentence, for it says what is wrong; the other details follow it."""
        detail = self.details.get("detail")
        if not isinstance(detail, str) or not detail:
            return super().__str__()
        others = ", ".join(f"{name} {value}" for name, value in self.details.items() if name != "detail")
        return f"{detail.rstrip('.')}." + (f" ({others})" if others else "")


class NotSiteResults(StellaError):
    """A file that does not begin like one of site results was given as one; nothing of it was kept or is shown."""

    exit_code = 2
    sentence = "This is not a file of site results; nothing of it was kept."
    next_step = "Give the file that stella sync export wrote at the site, such as results.stella-sync."


class Interrupted(StellaError):
    """The operator or the system stopped the run."""

    exit_code = 130
    sentence = "Interrupted; nothing was finished."
    next_step = "Run the same command again; it is safe."
