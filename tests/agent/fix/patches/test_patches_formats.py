"""Patches as models write them, rambling included: applied exactly, or refused with a reason."""

from __future__ import annotations

import pytest

from agent.fix.patches.base import Answer, PatchError, Texts
from agent.fix.patches.registry import DeletingError, NoPatchError, check_kept, read_patch
from verifiers.repository import File, Snapshot

CART = '''"""A cart."""

import math


class Cart:
    """Holds prices."""

    def __init__(self):
        self.prices = []

    @property
    def total(self):
        """The sum.

        Of all prices.
        """
        result = 0
        for price in self.prices:
            result = price
        return result

    def mean(self):
        return self.total / len(self.prices)


def rounded(amount):
    return math.floor(amount)
'''
FIXED = CART.replace("result = price", "result += price")


def snapshot(**files: str | bytes) -> Snapshot:
    given = {"shop/cart.py": CART, "test_cart.py": "def test_total():\n    assert 0\n", **files}
    return Snapshot(
        files={
            path.replace("__", "/"): File(content=one.encode() if isinstance(one, str) else one)
            for path, one in given.items()
        }
    )


def patched(answer: str, tree: Snapshot | None = None, *, cut: bool = False) -> dict[str, str]:
    tree = tree or snapshot()
    sources = [path for path in tree.files if not path.startswith("test")]
    made = dict(read_patch(Answer(answer, cut=cut), Texts(tree, sources)).texts)
    check_kept(made, tree)
    return made


def refused(answer: str, tree: Snapshot | None = None, *, cut: bool = False) -> str:
    with pytest.raises(PatchError) as caught:
        patched(answer, tree, cut=cut)
    assert "\n" not in str(caught.value)
    return str(caught.value)


BLOCK = """<<<<<<< SEARCH
            result = price
=======
            result += price
>>>>>>> REPLACE"""


@pytest.mark.parametrize(
    "answer",
    [
        f"shop/cart.py\n{BLOCK}",
        f"Sure! The fault is here.\n\n### `shop/cart.py`\n\n```python\n{BLOCK}\n```\nDone.",
        f"**cart.py**:\n```\n{BLOCK}\n```",
        f"```python shop/cart.py\n{BLOCK}\n```\nAgain:\n```python\n{BLOCK}\n```",
        f"<think>\nshop/cart.py\n{BLOCK.replace('+=', '-=')}\n</think>\n{BLOCK}",
        BLOCK.replace("SEARCH", "OLD").replace("REPLACE", "UPDATED").replace("            ", ""),
        BLOCK.replace("            result = price", " 19|             result = price"),
        BLOCK.replace("SEARCH\n", "SEARCH\n\n").replace("=======\n", "\n=======\n\n"),
        f"a/shop/cart.py\n{BLOCK}".replace(" = price", " = price  ").replace("\n", "\r\n"),
        """```diff
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -1,1 +1,99 @@ class Cart:
         for price in self.prices:
-            result = price
+            result += price
         return result
```""",
        """--- shop/cart.py
+++ shop/cart.py
@@ ... @@
-            result = price
+            result += price

Explanation: it adds.""",
        """Here is the method:

```python
    @property
    def total(self):
        \"\"\"The sum.

        Of all prices.
        \"\"\"
        result = 0
        for price in self.prices:
            result += price
        return result
```
It can be tried so: `Cart().total`.
```console
$ python -m pytest
```""",
        """```py
def total(self):
    \"\"\"The sum.

    Of all prices.
    \"\"\"
    result = 0
    for price in self.prices:
        result += price
    return result
```""",
        """```python
class Cart:
    ...

    def total(self):
        \"\"\"The sum.

        Of all prices.
        \"\"\"
        result = 0
        for price in self.prices:
            result += price
        return result
```""",
        f"shop/cart.py\n```python\n{FIXED}```",
        f"```python\n{FIXED}",
    ],
    ids=[
        "block", "rambling", "by the end of the path", "twice", "thought before", "other words",
        "numbered", "blank ends", "trailing blanks and line ends", "diff with wrong counts",
        "diff without numbers", "method", "method without its class", "class with one method",
        "whole file", "whole file without a path or an end",
    ],
)  # fmt: skip
def test_one_change_in_many_ways_of_writing(answer: str) -> None:
    assert patched(answer) == {"shop/cart.py": FIXED}


@pytest.mark.parametrize(
    "content",
    [
        CART.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + CART.encode(),
        CART.replace("    ", "\t").encode(),
        CART.rstrip("\n").encode(),
        CART.replace("import math\n", "import math\r\n").encode(),
    ],
    ids=["crlf", "mark", "tabs", "no last end", "mixed ends"],
)
@pytest.mark.parametrize("answer", [BLOCK, f"```python\n{FIXED}```", "diff", "function"])
def test_all_but_the_change_stays_byte_for_byte(content: bytes, answer: str) -> None:
    if answer == "diff":
        answer = (
            "--- a/cart.py\n+++ b/cart.py\n@@ -18,3 +18,3 @@\n         for price in self.prices:\n"
            "-            result = price\n+            result += price\n         return result\n"
        )
    if answer == "function":
        body = FIXED[FIXED.index("    def total") : FIXED.index("    def mean")]
        answer = f"```python\n{body}```"
    if b"\t" in content and "math" in answer:
        return  # a whole file says itself what it is indented by
    made = patched(answer, snapshot(shop__cart_py=b"", **{"shop/cart.py": content}))
    assert made["shop/cart.py"].encode() == content.replace(b"result = price", b"result += price")


def test_several_changes_in_several_files() -> None:
    tree = snapshot(**{"shop/money.py": "RATE = 1\nRATE = 1\n\n\ndef tax(x):\n    return x\n"})
    answer = f"""First:

shop/cart.py
```
{BLOCK}
<<<<<<< SEARCH
    return math.floor(amount)
=======
    return round(amount, 2)
>>>>>>> REPLACE
```
and then:
`shop/money.py`
```
<<<<<<< SEARCH
    return x
=======
    return x * RATE
>>>>>>> REPLACE
```
"""
    made = patched(answer, tree)
    assert made["shop/cart.py"] == FIXED.replace("math.floor(amount)", "round(amount, 2)")
    assert made["shop/money.py"].endswith("return x * RATE\n")
    numbered = "--- a/shop/money.py\n+++ b/shop/money.py\n@@ -2 +2 @@\n-RATE = 1\n+RATE = 2\n"
    assert patched(numbered, tree)["shop/money.py"].startswith("RATE = 1\nRATE = 2\n")


def test_functions_bring_their_imports_and_helpers() -> None:
    made = patched(
        "```python\nimport math\nfrom decimal import Decimal\n\n\ndef _exact(amount):\n"
        "    return Decimal(str(amount))\n\n\ndef rounded(amount):\n"
        "    return float(round(_exact(amount), 2))\n```"
    )["shop/cart.py"]
    assert made.count("import math") == 1
    assert "import math\nfrom decimal import Decimal\n" in made
    namespace: dict[str, object] = {}
    exec(made, namespace)
    assert namespace["rounded"](1.005) == 1.0  # type: ignore[operator]
    assert made.index("def _exact") < made.index("def rounded")
    # what is in a string keeps its blanks, however the code around it is moved
    moved = patched('```python\ndef mean(self):\n    text = """\n  a\n"""\n    return text\n```')
    assert 'text = """\n  a\n"""\n        return text' in moved["shop/cart.py"]


def test_a_new_file() -> None:
    block = "shop/new.py\n```\n<<<<<<< SEARCH\n=======\nA = 1\n>>>>>>> REPLACE\n```"
    assert patched(block) == {"shop/new.py": "A = 1\n"}
    code = "shop/new.py\n```python\ndef f():\n    return 1\n\n\nA = f()\n```"
    assert patched(code) == {"shop/new.py": "def f():\n    return 1\n\n\nA = f()\n"}
    diff = "--- /dev/null\n+++ b/shop/new.py\n@@ -0,0 +1 @@\n+A = 1\n"
    assert patched(diff) == {"shop/new.py": "A = 1\n"}


TWICE = "a = 1\nif a:\n    b = 1\nb = 1\n"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "no patch"),
        ("The loop should add the price; change line 19 and it works.", "no patch"),
        ("```console\n$ pytest\n```", "no patch"),
        (BLOCK.replace("price\n=", "prise\n="), "in none of the files"),
        ("cart.py\n" + BLOCK.replace("price\n=", "prise\n="), "'result = prise' is not in"),
        (BLOCK.replace("+=", "="), "changes nothing"),
        (BLOCK.replace(">>>>>>> REPLACE", ""), "no >>>>>>> REPLACE"),
        (BLOCK.replace("=======", ""), "has 0 ======= lines"),
        ("shop/cart.py\n" + BLOCK.replace("            result = price\n=", "\n="), "is empty"),
        ("shop/basket.py\n" + BLOCK, "no file shop/basket.py"),
        ("shop/twice.py\n<<<<<<< SEARCH\nb = 1\n=======\nb = 2\n>>>>>>> REPLACE", ""),
        ("shop/twice.py\n<<<<<<< SEARCH\n  b = 1\n=======\n  b = 2\n>>>>>>> REPLACE", "2 times"),
        ("<<<<<<< SEARCH\nb = 1\n=======\nb = 2\n>>>>>>> REPLACE", ""),
        ("```python\ndef totally(x):\n    return 1\n```", "no function totally"),
        ("```python\ndef rounded(x:\n    return 1\n```", "no valid Python"),
        ("```python\ndef rounded(x):\n    return 1\n\nrounded(2)\n```", "more than functions"),
        ("--- a/shop/cart.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-import math\n", "removes"),
        ("--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1 +1 @@\n-import meth\n+x\n", "import meth"),
        ("--- a/shop/cart.py\n+++ b/shop/cart.py\n@@ -1,0 +1 @@\n+x = 1\n", "no line that is"),
        ("latin.py\n<<<<<<< SEARCH\nb = 1\n=======\nb = 2\n>>>>>>> REPLACE", "UTF-8"),
    ],
)  # fmt: skip
def test_what_does_not_apply_says_why(answer: str, said: str) -> None:
    files: dict[str, str | bytes] = {"shop/twice.py": TWICE, "latin.py": b"# \xe9\nb = 1\n"}
    tree = snapshot(**files)
    if said:
        assert said in refused(answer, tree)
    else:  # word for word it is there once, with the blanks before it
        assert patched(answer, tree) == {"shop/twice.py": TWICE[:-2] + "2\n"}


def test_words_only_and_deleting_are_told_apart() -> None:
    with pytest.raises(NoPatchError):
        patched("It is all right as it is.")
    gone = "shop/cart.py\n<<<<<<< SEARCH\ndef rounded(amount):\n    return math.floor(amount)\n=======\n>>>>>>> REPLACE"  # noqa: E501
    with pytest.raises(DeletingError, match="takes rounded out of"):
        patched(gone)
    with pytest.raises(DeletingError):
        patched("shop/cart.py\n```python\ndef rounded(x):\n    return 1\n\n\nA = 1\n```")


def test_what_was_cut_off_is_not_applied() -> None:
    assert "middle of its code" in refused(
        "```python\ndef rounded(amount):\n    return 1", cut=True
    )
    assert "give less" in refused(BLOCK.replace(">>>>>>> REPLACE", ""), cut=True)


def test_ambiguous_names_are_refused() -> None:
    tree = snapshot(
        **{
            "a/cart.py": "def f():\n    return 1\n\n\nclass A:\n    def g(self):\n        "
            "return 1\n\n\nclass B:\n    def g(self):\n        return 1\n",
            "b/f.py": "def f():\n    return 1\n",
        }
    )
    assert "may be" in refused("cart.py\n" + BLOCK, tree)
    assert "a/cart.py and b/f.py" in refused("```python\ndef f():\n    return 2\n```", tree)
    assert "A.g or B.g" in refused(
        "a/cart.py\n```python\n    def g(self):\n        return 2\n```", tree
    )
    given = "a/cart.py\n```python\nclass B:\n    def g(self):\n        return 2\n```"
    made = patched(given, tree)["a/cart.py"]
    assert made.endswith("class B:\n    def g(self):\n        return 2\n")
    assert made.count("return 1") == 2


@pytest.mark.parametrize("size", [200_000])
def test_hostile_answers_end_soon(size: int) -> None:
    for text in ("<" * size, "```\n" * (size // 4), "<<<<<<< SEARCH\n" * (size // 15), " " * size):
        refused(text)
    refused("```python\ndef rounded(amount):\n    return " + "(" * 1000 + "```")
