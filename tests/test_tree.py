"""The rules of the house that must never break, each as a sentence about the tree.

What ruff, pyright or import-linter can hold is held by them; here stands what needs the whole tree
at once. A rule collects everything that breaks it, so that one run names all there is to mend.
Nothing here judges taste: how long files and functions are is told after a run, not enforced.
"""

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from pathlib import Path

import pytest

from dispatch.step import Code

type Function = ast.FunctionDef | ast.AsyncFunctionDef
type LegalTable = Mapping[Enum, Mapping[type, Enum]]

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = ("requirements.txt", "requirements-dev.txt")

DEPTH_MAX = 3
PROSE_CHARACTERS_MIN = 40
SENTENCE_WORDS_MIN = 4
SHARED_BYTES_MIN = 512
VAGUE = frozenset({"base", "common", "core", "misc", "models", "types"})
NOT_OUR_WORDS = {
    "biker": "Courier",
    "driver": "Courier",
    "handler": "step",
    "helper": "the noun of what it knows",
    "manager": "the noun of what it keeps",
    "merchant": "Restaurant",
    "rider": "Courier",
    "tick": "Round",
    "util": "the noun of what it knows",
}
EMPTY_NAMES = frozenset({"data", "info", "obj"})
EMPTY_VERBS = ("handle_", "process_")
VENDORS = {
    "argon2": ("services/accounts/",),
    "h3": ("geo/", "benchmarks/", "tests/geo/"),
    "httpx": ("simulations/", "tests/"),
    "hypercorn": ("api/", "benchmarks/", "tests/api/"),
    "jwt": ("services/accounts/", "tests/"),
    "ortools": ("dispatch/matching/", "benchmarks/"),
    "osmium": ("streets/", "tests/streets/"),
    "picows": ("benchmarks/",),
    "pykka": ("benchmarks/",),
    "pyotp": ("services/accounts/", "tests/"),
    "pyroutingkit": ("streets/", "tests/streets/"),
    "pyvrp": ("benchmarks/",),
    "quart": ("api/", "benchmarks/", "tests/api/"),
    "quart_trio": ("api/", "benchmarks/", "tests/api/"),
    "rich": ("cli/", "simulations/", "tests/"),
    "shapely": ("geo/", "streets/", "benchmarks/", "tests/"),
    "structlog": ("api/log.py",),
    "thespian": ("benchmarks/",),
    "trio_websocket": ("benchmarks/", "simulations/", "tests/"),
    "typer": ("cli/", "tests/cli/"),
    "vroom": ("benchmarks/",),
    "websockets": ("benchmarks/", "simulations/load/", "wire/"),
    "werkzeug": ("api/", "tests/api/"),
}
# Each is written apart, so that this file does not break its own rule.
UNSPEAKABLE = {
    "the number of an issue": r"\bissues?\s+#?\d|\(#\d+\)",
    "a registry's host": r"\bpypi\.|python" + r"hosted\.|registry\.(npm|yarn)|crates\.io",
    "a path of one machine": r"(?<![\w.])/(work|root|home|Users)/",
}


def sources(*folders: str) -> dict[str, ast.Module]:
    """Every module of these folders, by its path in the repository."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def imports(module: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(module: ast.Module) -> Iterator[Function]:
    """The functions of a module, methods and inner ones included."""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@cache
def called_names(function: Function) -> set[str]:
    """The last part of each name that a function calls: `raises` for `pytest.raises(...)`."""
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    names = (getattr(call, "attr", None) or getattr(call, "id", None) for call in calls)
    return {name for name in names if name}


def defined_names(module: ast.Module) -> Iterator[str]:
    """The names that a module gives to classes, functions, parameters and fields."""
    for node in ast.walk(module):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def words(name: str) -> list[str]:
    """The words of an identifier, in lower case: `OfferClosed` and `offer_closed` are alike."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def catches_all(clause: ast.ExceptHandler) -> bool:
    """Whether an `except` clause catches whatever goes wrong."""
    if clause.type is None:
        return True
    caught = {node.id for node in ast.walk(clause.type) if isinstance(node, ast.Name)}
    return not caught.isdisjoint({"Exception", "BaseException"})


def reads_environment(node: ast.AST) -> bool:
    """Whether a node looks at the environment of the process."""
    match node:
        case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv"):
            return True
        case ast.ImportFrom(module="os", names=names):
            return any(alias.name in {"environ", "environb", "getenv"} for alias in names)
        case _:
            return False


def names_that_judge(modules: Iterable[ast.Module]) -> set[str]:
    """The functions that can fail a test: they assert, or call one that does."""
    judges = {"fail", "raises", "run_state_machine_as_test", "warns"}
    bodies = [function for module in modules for function in functions(module)]
    before = 0
    while len(judges) > before:
        before = len(judges)
        judges |= {body.name for body in bodies if judges_something(body, judges)}
    return judges


@cache
def asserts_something(function: Function) -> bool:
    """Whether a function asserts by itself."""
    return any(isinstance(node, ast.Assert) for node in ast.walk(function))


def judges_something(function: Function, judges: set[str]) -> bool:
    """Whether a function asserts, or calls a function that does."""
    return asserts_something(function) or not judges.isdisjoint(called_names(function))


HOUSE = sources(*ROOMS)
TESTS = sources("tests")
ALL = HOUSE | TESTS


@pytest.fixture(scope="session")
def owners() -> Mapping[str, list[str]]:
    """Which installed packages own which import names."""
    return importlib.metadata.packages_distributions()


@pytest.fixture(scope="session")
def kept_files() -> list[Path]:
    """The files that are in the repository, or would be after `git add`."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells what is kept")
    command = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="session")
def kept_texts(kept_files: list[Path]) -> dict[str, str]:
    """What a person can read of those files."""
    contents = {path: path.read_bytes() for path in kept_files}
    return {
        path.relative_to(ROOT).as_posix(): content.decode()
        for path, content in contents.items()
        if b"\0" not in content
    }


@pytest.fixture(scope="session")
def legal_tables() -> dict[str, LegalTable]:
    """Every table of legal changes that a module of `dispatch` defines, by module and name."""
    tables: dict[str, LegalTable] = {}
    for path, module in HOUSE.items():
        for node in module.body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name)) if name.endswith("LEGAL"):
                    dotted = path.removesuffix(".py").replace("/", ".")
                    tables[f"{dotted}.{name}"] = getattr(importlib.import_module(dotted), name)
                case _:
                    pass
    return tables


def test_every_module_opens_with_prose() -> None:
    silent = [
        path
        for path, module in ALL.items()
        if len(ast.get_docstring(module) or "") < PROSE_CHARACTERS_MIN
    ]

    assert silent == []


def test_no_room_shares_its_name_with_anything_installed(
    owners: Mapping[str, list[str]],
) -> None:
    ours = PROJECT["project"]["name"]

    strangers = {room: names for room in ROOMS if (names := set(owners.get(room, ())) - {ours})}

    assert strangers == {}
    assert sys.stdlib_module_names.isdisjoint(ROOMS)


def test_every_room_is_furnished() -> None:
    empty = [room for room in ROOMS if f"{room}/__init__.py" not in HOUSE]

    assert empty == []


def test_imports_are_absolute() -> None:
    relative = [
        f"{path}:{node.lineno}"
        for path, module in ALL.items()
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert relative == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [path for path in HOUSE if not VAGUE.isdisjoint(Path(path).with_suffix("").parts)]

    assert vague == []


def test_no_module_lies_deeper_than_three() -> None:
    deep = [path for path in HOUSE if len(Path(path).parts) > DEPTH_MAX]

    assert deep == []


def test_whatever_goes_wrong_is_caught_in_exactly_one_place() -> None:
    places = [
        f"{path}:{node.lineno}"
        for path, module in HOUSE.items()
        for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler) and catches_all(node)
    ]

    assert len(places) == 1, places
    assert places[0].startswith("actors/")


def test_only_the_configuration_reads_the_environment() -> None:
    readers = {
        path
        for path, module in HOUSE.items()
        if any(reads_environment(node) for node in ast.walk(module))
    }

    assert readers <= {"node/config.py"}


def test_each_vendor_is_met_only_where_it_belongs() -> None:
    strays = [
        f"{path} imports {name}"
        for path, module in ALL.items()
        for name in imports(module)
        if not path.startswith(VENDORS.get(name.partition(".")[0], ""))
    ]

    assert strays == []


def test_the_product_never_imports_what_only_its_makers_have() -> None:
    ours = {"tests", "pytest", "pytest_trio", "hypothesis"}

    strays = [
        f"{path} imports {name}"
        for path, module in HOUSE.items()
        for name in imports(module)
        if name.partition(".")[0] in ours
    ]

    assert strays == []


def test_nothing_is_mocked() -> None:
    mocked = [
        f"{path} imports {name}"
        for path, module in ALL.items()
        for name in imports(module)
        if name.startswith(("unittest.mock", "mock", "pytest_mock"))
    ]

    assert mocked == []


def test_every_test_is_named_by_a_sentence() -> None:
    terse = [
        f"{path}: {function.name}"
        for path, module in TESTS.items()
        for function in functions(module)
        if function.name.startswith("test_") and len(words(function.name)) < SENTENCE_WORDS_MIN
    ]

    assert terse == []


def test_every_test_can_fail() -> None:
    judges = names_that_judge(TESTS.values())

    harmless = [
        f"{path}: {function.name}"
        for path, module in TESTS.items()
        for function in functions(module)
        if function.name.startswith("test_") and not judges_something(function, judges)
    ]

    assert harmless == []


def test_every_name_uses_the_words_of_the_glossary() -> None:
    foreign = {
        f"{path}: {name} (say {NOT_OUR_WORDS[word]})"
        for path, module in HOUSE.items()
        for name in (*defined_names(module), *Path(path).with_suffix("").parts)
        for word in NOT_OUR_WORDS
        if not {word, f"{word}s"}.isdisjoint(words(name))
    }

    assert sorted(foreign) == []


def test_every_name_says_something() -> None:
    empty = {
        f"{path}: {name}"
        for path, module in HOUSE.items()
        for name in defined_names(module)
        if name in EMPTY_NAMES or name.lstrip("_").startswith(EMPTY_VERBS)
    }

    assert sorted(empty) == []


def test_every_stage_has_its_row_in_its_legal_table(legal_tables: dict[str, LegalTable]) -> None:
    partial = {
        name: missing
        for name, table in legal_tables.items()
        if (missing := set(type(next(iter(table)))) ^ set(table))
    }

    assert legal_tables
    assert partial == {}


def test_every_stage_but_the_first_can_be_reached(legal_tables: dict[str, LegalTable]) -> None:
    stranded = {
        f"{name}: {stage}"
        for name, table in legal_tables.items()
        for stage in list(table)[1:]
        if not any(stage in row.values() for before, row in table.items() if before != stage)
    }

    assert stranded == set()


def test_every_refusal_has_one_name_on_the_wire() -> None:
    spelled = {name: code.value for name, code in Code.__members__.items()}

    assert spelled == {name: name.lower().replace("_", "-") for name in spelled}
    assert len(spelled) == len(Code)


def test_nothing_kept_speaks_of_issues_registries_or_one_machine(
    kept_texts: dict[str, str],
) -> None:
    spoken = [
        f"{path}: {thing}: {found.group()}"
        for path, text in kept_texts.items()
        for thing, pattern in UNSPEAKABLE.items()
        if (found := re.search(pattern, text))
    ]

    assert spoken == []


def test_nothing_kept_is_a_map_or_a_day_of_somebody_elses_orders(kept_files: list[Path]) -> None:
    taken = [path for path in kept_files if path.suffix == ".pbf" or path.name == "orders.txt"]

    assert [path for path in taken if path.suffix == ".pbf" or _lines(path) > 100] == []


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def test_nothing_kept_was_copied_from_the_shared_folder(kept_files: list[Path]) -> None:
    if not SHARED.is_dir():
        pytest.skip("there is no ../shared to compare with")
    shared = [path for path in SHARED.rglob("*") if path.is_file()]
    by_size: dict[int, list[Path]] = {}
    for path in shared:
        by_size.setdefault(path.stat().st_size, []).append(path)

    copies = [
        path
        for path in kept_files
        if (size := path.stat().st_size) >= SHARED_BYTES_MIN
        for twin in by_size.get(size, ())
        if path.read_bytes() == twin.read_bytes()
    ]

    assert copies == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_hashes_and_no_place_to_fetch_from(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())

    unhashed = [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]

    assert unhashed == []
    assert not re.search(r"https?:|--(extra-)?index|--find-links|\bfile:|@ ", text)


def test_the_two_locks_agree() -> None:
    product, development = (_locked((ROOT / lock).read_text()) for lock in LOCKS)

    assert product.items() <= development.items()


def test_the_locks_hold_every_package_that_the_project_names() -> None:
    product, development = (_locked((ROOT / lock).read_text()) for lock in LOCKS)

    assert {_package(line) for line in PROJECT["project"]["dependencies"]} <= product.keys()
    assert {_package(line) for line in PROJECT["dependency-groups"]["dev"]} <= development.keys()


def test_every_package_is_accounted_for_in_the_decisions() -> None:
    lines = (*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"])
    accounts = (ROOT / "docs/decisions/0004-dependencies.md").read_text()

    missing = [name for name in map(_package, lines) if f"| {name} |" not in accounts]

    assert missing == []


def _locked(text: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))


def _package(requirement: str) -> str:
    return re.split(r"[^a-zA-Z0-9-]", requirement, maxsplit=1)[0].lower()


def test_the_glossary_has_each_word_once_and_points_at_files_that_exist() -> None:
    text = (ROOT / "docs/glossary.md").read_text()
    defined = Counter(re.findall(r"^- \*\*([^*]+)\*\*", text, flags=re.MULTILINE))
    places = set(re.findall(r"`([\w/]+\.\w+)`", text))

    assert defined
    assert [word for word, count in defined.items() if count > 1] == []
    assert [place for place in sorted(places) if not (ROOT / place).exists()] == []
