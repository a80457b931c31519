"""What the house asks of its tests."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def patched(tree: ast.AST) -> set[str]:
    """The names that are set on something from outside: `monkeypatch.setattr(x, "name", …)`,
    `setattr("a.b.name", …)` and `x.name = …` but for an object's own."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, (ast.Attribute, ast.Name)):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            said = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
            if called in ("setattr", "delattr") and said:
                found.add(str(said[-1]).rpartition(".")[2])
        if isinstance(node, ast.Assign):
            targets = [one for one in node.targets if isinstance(one, ast.Attribute)]
            found |= {one.attr for one in targets if ast.unparse(one.value) != "self"}
    return found


def private(tree: ast.AST) -> set[str]:
    return {name for name in patched(tree) if name.startswith("_") and not name.endswith("__")}


def test_no_test_patches_a_private_name():
    for file in TESTS.rglob("*.py"):
        assert not private(ast.parse(file.read_text("utf-8"))), file


def test_a_patched_private_name_would_be_seen():
    for code in (
        'monkeypatch.setattr(worker, "_make", do)',
        'monkeypatch.setattr("t2vz_core.worker._make", do)',
        "worker._make = do",
    ):
        assert private(ast.parse(code)) == {"_make"}
