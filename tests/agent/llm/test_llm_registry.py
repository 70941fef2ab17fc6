"""Names of models: what is known, what is refused and how, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.llm.base import ModelConfigError
from agent.llm.openai import OpenAIModel
from agent.llm.registry import create_model, known_providers

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-x", "PROVIDER/NAME"),
        ("", "PROVIDER/NAME"),
        ("openai/", "PROVIDER/NAME"),
        ("nobody/x", "no provider is called 'nobody'"),
    ],
)
def test_an_unknown_name_lists_what_is_known(name: str, words: str) -> None:
    with pytest.raises(ModelConfigError) as caught:
        create_model(name)
    message = str(caught.value)
    assert words in message
    for provider in ("anthropic", "local", "openai", "replay"):
        assert provider in message
    assert "\n" not in message


def test_unknown_weights_list_what_is_known() -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(ModelConfigError, match=r"unknown weights 'huge'.*smollm2-135m.*hf:OWNER"):
        create_model("local/huge")


def test_a_bank_is_made_by_path(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    path.write_text('{"task_id": "a", "completion": "x"}\n')
    assert create_model(f"replay/{path}").name == f"replay/{path}"


def test_names_with_slashes_belong_to_the_model() -> None:
    model = create_model("openai/meta/x:7b", base_url="http://localhost:1/v1")
    assert isinstance(model, OpenAIModel)
    assert model.name == "openai/meta/x:7b"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_time_limit_must_be_positive(seconds: float) -> None:
    with pytest.raises(ModelConfigError, match="timeout_seconds"):
        create_model("openai/x", api_key=SecretStr("k"), timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("xllamacpp", "local/smollm2-135m", "local"), ("anthropic", "anthropic/x", "anthropic")],
)
def test_a_missing_package_says_how_to_install_it(package: str, name: str, extra: str) -> None:
    # A finder that hides the package, in a process of its own: as if it were not installed.
    code = f"""
import importlib.abc, importlib.util, sys
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == {package!r} else find_spec(name, *a)
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
from agent.llm.base import ModelConfigError
from agent.llm.registry import create_model
try:
    create_model({name!r})
except ModelConfigError as error:
    print(error)
"""
    done = run(code)
    assert f"pip install 'regreen[{extra}]'" in done


def test_a_provider_of_another_package(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(rest, options):\n    return rest, options\n")
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[regreen.models]\nmine = mine:build\nbad = absent:build\n"
    )
    done = run(f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from agent.llm.registry import create_model, known_providers
print(known_providers())
print(create_model("mine/a/b", base_url="u"))
try:
    create_model("bad/x")
except Exception as error:
    print(type(error).__name__, error)
""")
    assert "'mine'" in done
    assert "('a/b', ModelOptions(base_url='u'" in done
    assert (
        "ModelConfigError model 'bad/x': the provider 'bad' (absent:build) can't be loaded" in done
    )


def test_importing_the_registry_imports_no_client_package() -> None:
    done = run("""
import sys
import agent.llm.base, agent.llm.registry, agent.llm.replay, agent.llm.weights, agent.llm.prices
print(sorted({"openai", "anthropic", "xllamacpp"} & set(sys.modules)))
""")
    assert done.strip() == "[]"


def test_known_providers_are_sorted() -> None:
    assert known_providers() == sorted(known_providers())


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
