"""Where things stand in TOML: lines of keys, tables and items, whatever the layout."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.policy import places

DOCUMENT = '''\
# a comment with = and [brackets]
name = "p" # and another
"quoted key" = 'x'
text = """
not = "a key"
[nor.a.table]
""" # end
literal = \'\'\'
''too = ""\'\'\'
numbers = [1, 2.5, # comment ]
  [3], {a = 1, b.c = "}"},
]

[table]
plain = 2026-01-01T00:00:00Z
[table."inner.name"]
deep.er = true

[[rules]]
id = "first"
match = {ids = ["a"], packages = [
  "b",
  {name = "c"},
]}

  [[ rules ]]
  id = "second"
  [rules.match]
  ids = []
  [[rules.nested]]
  x = 1
  [[rules.nested]]
  x = 2
'''

EXPECTED = {
    ("name",): 2,
    ("quoted key",): 3,
    ("text",): 4,
    ("literal",): 8,
    ("numbers",): 10,
    ("numbers", 1): 10,
    ("numbers", 2): 11,
    ("numbers", 2, 0): 11,
    ("numbers", 3, "b", "c"): 11,
    ("table",): 14,
    ("table", "plain"): 15,
    ("table", "inner.name"): 16,
    ("table", "inner.name", "deep", "er"): 17,
    ("rules",): 19,
    ("rules", 0): 19,
    ("rules", 0, "id"): 20,
    ("rules", 0, "match", "ids", 0): 21,
    ("rules", 0, "match", "packages", 0): 22,
    ("rules", 0, "match", "packages", 1, "name"): 23,
    ("rules", 1): 26,
    ("rules", 1, "id"): 27,
    ("rules", 1, "match"): 28,
    ("rules", 1, "match", "ids"): 29,
    ("rules", 1, "nested", 0, "x"): 31,
    ("rules", 1, "nested", 1): 32,
    ("rules", 1, "nested", 1, "x"): 33,
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_everything_has_its_line(ending: str) -> None:
    text = DOCUMENT.replace("\n", ending)
    tomllib.loads(text)
    found = places.lines(text)
    assert {path: found[path] for path in EXPECTED} == EXPECTED


def test_what_is_not_there_has_the_line_of_what_should_hold_it() -> None:
    found = places.lines(DOCUMENT)
    assert places.line_of(found, ("rules", 0, "reason")) == 19
    assert places.line_of(found, ("nowhere", "at", "all")) == 1


keys = st.sampled_from(["a", "b", '"c d"', "'e'", "f.g"])
scalars = st.sampled_from(['"x"', "'#'", "1", "true", "[]", "{}", '["y", 1]', "{h = 1}", '"""m\nn"""', "2026-01-01"])
statements = st.builds("{} = {}\n".format, keys, scalars) | st.sampled_from(
    ["[a]\n", "[[r]]\n", "[r.s]\n", "# c\n", "\n"]
)


def paths(value: object, path: tuple = ()) -> set[tuple]:
    found = {path}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths(inner, (*path, key))
    if isinstance(value, list):
        for place, inner in enumerate(value):
            found |= paths(inner, (*path, place))
    return found


@given(st.lists(statements, max_size=12).map("".join))
def test_every_place_of_a_valid_document_is_found_once(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = places.lines(text)
    assert set(found) == paths(document)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())


@given(st.lists(st.lists(st.sampled_from(["a", "b-1", '"c.d"', "'e f'"]), min_size=1, max_size=6), min_size=1))
def test_the_longest_key_is_the_deepest_table_of_plain_keys(keys):
    text = "".join(f"[t{at}]\n{' . '.join(key)} = 1.5 # x.y.z.w.v.u.t.s\n" for at, key in enumerate(keys))
    assert places.longest_key(text) == max(2, *map(len, keys))
    assert len(tomllib.loads(text)) == len(keys)
