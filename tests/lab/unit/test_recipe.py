"""When the lab's trees are made again."""

from dataclasses import replace
from pathlib import Path

from tests.lab import recipe


def test_tree_is_rebuilt_when_its_recipe_changes() -> None:
    more = replace(recipe.SYSTEM, packages=(*recipe.SYSTEM_PACKAGES, "tcpdump2"))
    assert more.name != recipe.SYSTEM.name
    assert replace(more, packages=recipe.SYSTEM_PACKAGES).name == recipe.SYSTEM.name


def test_python_environment_is_rebuilt_when_dependencies_change(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(PYPROJECT)
    project = recipe.read_project(pyproject)
    assert project.dependencies == ("grpcio>=1.66", "pytest", "pytest-asyncio>=0.24")
    assert project.scripts == (("controller", "controller.__main__:main"),)

    pyproject.write_text(PYPROJECT.replace("1.66", "1.67"))
    assert recipe.read_project(pyproject).venv_name != project.venv_name


PYPROJECT = """
[project]
dependencies = ["grpcio>=1.66"]
[project.optional-dependencies]
dev = ["mypy>=1.13", "pytest-asyncio>=0.24", "ruff", "types-PyYAML"]
[project.scripts]
controller = "controller.__main__:main"
"""
