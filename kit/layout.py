"""Where things lie in a kit, in a scan directory and in the bundles (docs/format.md section 2)."""

KIT_FILE = "KIT.json"
KIT_ENVELOPE = "kit.dsse.json"
SUMS_FILE = "SHA256SUMS"
README_FILE = "README.txt"
ROOTPACK_DIRECTORY = "rootpack"
PROGRAM_DIRECTORY = "bin"
SCANS_DIRECTORY = "replay"
DELTA_FILE = "DELTA.json"
DELTA_ENVELOPE = "delta.dsse.json"
SEAL_FILE = "SEAL.json"
LOCKER_CHECKPOINT = "locker/checkpoint"
LOCKER_GROWTH = "locker/checkpoint.tlog-consistency"
LOCKER_ACKNOWLEDGED = "locker/acknowledged.json"
"""What a locker sends along: its audit log's checkpoint with what it extends, and which results came home."""

MANIFEST_FILE = "manifest.json"
MANIFEST_ENVELOPE = "manifest.dsse.json"
INPUT_BUNDLE = "inputbundle.tar.zst"
OUTPUT_BUNDLE = "outputbundle.tar.zst"
EVIDENCE_DIRECTORY = "evidence"
"""What others vouch for: proofs of transparency logs, beside the manifest."""

POLICY_MEMBER = "policy/policy.toml"
SCAN_MEMBER = "config/scan.json"
SEEDS_MEMBER = "seeds/random-seeds.json"
ENVIRONMENT_MEMBER = "env/env.json"

GRAPH_URI = "cas://reachability/graphs/"
TRACE_URI = "cas://reachability/runtime/"
"""How call graphs and runtime traces are named in the evidence store: this and their hash."""

OUTPUT_MEMBERS = {
    "sbom": "sbom.json",
    "findings": "findings.json",
    "vex": "vex.json",
    "verdict": "verdict.json",
    "log": "logs/replay.log",
}
"""The outputs that the manifest names, and the members that hold them."""


def scan_directory(scan_id: str) -> str:
    """Return the directory of one scan, relative to the kit."""
    return f"{SCANS_DIRECTORY}/{scan_id}"


def feed_prefix(name: str) -> str:
    """Return the prefix of a feed's members in the input bundle."""
    return f"feeds/{name}/"


def reachability_member(kind: str, name: str) -> str:
    """Return the member of the input bundle that holds a graph (``graphs``) or a trace (``runtime``)."""
    return f"reachability/{kind}/{name}.json"
