"""Explaining a difference: what appeared, vanished or changed in the outputs, and why (docs/matching.md section 9).

A cause is found by undoing it: the inputs of both sides are mixed until the difference is gone. What follows from a
difference elsewhere in the tree is called a consequence; ``unexplained`` is left for what no input accounts for.
"""

from collections import Counter
from collections.abc import Mapping

from scanner import difference, outputs
from scanner.difference import Difference
from scanner.evaluate import EvaluationInput
from scanner.explain.inputs import Identity, Inputs
from scanner.explain.members import Explanation, typed
from scanner.outputs import VerdictDocument

__all__ = ["Difference", "explain", "explain_outputs"]


def explain(
    recorded: Mapping[str, bytes],
    replayed: Mapping[str, bytes],
    recorded_input: EvaluationInput,
    replayed_input: EvaluationInput,
    *,
    engine_changed: bool = False,
) -> Difference:
    """Return the tree of differences between two sets of output members, each with its cause.

    Members that cannot be read are differences too, not errors. Feeds are read again, for the packages concerned only.
    """
    before, after = Identity.of_input(recorded_input), Identity.of_input(replayed_input)
    inputs = Inputs(before, after, (recorded_input, replayed_input), engine_changed=engine_changed)
    return _tree(recorded, replayed, inputs)


def explain_outputs(
    recorded: Mapping[str, bytes], replayed: Mapping[str, bytes], *, engine_changed: bool = False
) -> Difference:
    """Return the tree of differences of outputs whose inputs are not at hand.

    Which inputs differ is read from both verdicts, so a cause is named only where exactly one of them differs.
    """
    verdicts = [typed(members.get(outputs.VERDICT), VerdictDocument) for members in (recorded, replayed)]
    before, after = (Identity.of_verdict(one) if one else None for one in verdicts)
    return _tree(recorded, replayed, Inputs(before, after, None, engine_changed=engine_changed))


def _tree(recorded: Mapping[str, bytes], replayed: Mapping[str, bytes], inputs: Inputs) -> Difference:
    members = sorted(Explanation(recorded, replayed, inputs).members(), key=lambda one: one.path)
    causes = Counter(one.cause for member in members for one in member.entries)
    return Difference(
        schema_version=difference.SCHEMA_VERSION,
        equal=all(member.state == "equal" for member in members),
        members=tuple(members),
        causes=dict(sorted(causes.items())),
    )
