"""What Python, pydantic, typer, PyYAML and SciPy do that nobody promised: each test stands for a row of
README.md.
"""

import functools
import inspect
import subprocess
import sys
from typing import Annotated, Any

import numpy as np
import pytest
import typer
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from scipy.stats import qmc
from typer.models import ArgumentInfo, OptionInfo
from typer.testing import CliRunner

from study.errors import SpecError
from study.yaml_file import _Dumper, _Loader, read_value


def test_pydantic_keeps_the_error_that_a_check_raised() -> None:
    def refuse(value: Any) -> Any:
        raise SpecError("a sentence for a person")

    class Checked(BaseModel):
        value: Annotated[int, BeforeValidator(refuse)] = 0

    class Whole(BaseModel):
        def model_post_init(self, _: Any) -> None:
            raise SpecError("a sentence for a person")

    for model, tree in ((Checked, {"value": 1}), (Whole, {})):
        with pytest.raises(ValidationError) as refused:
            model.model_validate(tree)
        (problem,) = refused.value.errors()
        assert str(problem["ctx"]["error"]) == "a sentence for a person"
        assert isinstance(problem["ctx"]["error"], SpecError)


def test_pydantic_names_what_is_missing_and_what_is_too_much() -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")
        needed: int

    with pytest.raises(ValidationError) as refused:
        Strict.model_validate({"other": 1})
    assert {(problem["type"], problem["loc"]) for problem in refused.value.errors()} == {
        ("missing", ("needed",)),
        ("extra_forbidden", ("other",)),
    }


def test_typer_reads_a_signature_that_was_put_on_a_command() -> None:
    def command(name: Annotated[str, typer.Argument()]) -> None:
        print(name)

    @functools.wraps(command)
    def wider(*, address: str | None, **options: Any) -> None:
        print(address)
        command(**options)

    option = Annotated[str | None, typer.Option(help="Where.")]
    added = inspect.Parameter("address", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
    signature = inspect.signature(command)
    wider.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined]
    wider.__annotations__ = {**command.__annotations__, "address": option}
    app = typer.Typer()
    app.command()(wider)
    assert CliRunner().invoke(app, ["x", "--address", "there"]).output.split() == ["there", "x"]


def test_typer_tells_commands_and_options() -> None:
    app, below = typer.Typer(), typer.Typer()
    port = typer.Option("--port", "-p", help="Where.", min=1, max=9)
    place = typer.Argument(metavar="PLACE")

    @below.command("serve", hidden=True)
    def serve() -> None:
        pass

    app.add_typer(below, name="model")
    (group,) = app.registered_groups
    assert group.typer_instance is below
    assert group.name == "model"
    (command,) = below.registered_commands
    assert (command.name, command.callback, command.hidden) == ("serve", serve, True)
    assert isinstance(port, OptionInfo)
    assert (port.default, port.param_decls, port.help, port.min, port.max) == (
        "--port",
        ("-p",),
        "Where.",
        1,
        9,
    )
    assert isinstance(place, ArgumentInfo)
    assert place.metavar == "PLACE"


def test_yaml_reads_words_by_the_resolvers_of_the_class() -> None:
    assert set(_Loader.yaml_implicit_resolvers) >= set("-+.0123456789tTfF")
    assert [read_value(text) for text in ("1e-4", "no", "true", "2026-11-21")] == [
        1e-4,
        "no",
        True,
        "2026-11-21",
    ]
    assert yaml.safe_load("1e-4") == "1e-4", "YAML 1.1, as PyYAML has it"
    assert yaml.dump({"a": "1e-4"}, Dumper=_Dumper) == "a: '1e-4'\n"


def test_yaml_builds_documents_by_methods_that_may_be_replaced() -> None:
    assert {"compose_node", "construct_mapping", "peek_event"} <= set(dir(yaml.SafeLoader))
    for text in ("a: &x 1\nb: *x", "a: 1\na: 2", "1: 2"):
        with pytest.raises(SpecError):
            read_value(text)


def test_scipy_goes_on_with_a_sequence_where_it_was_told_to() -> None:
    whole = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(5)).random(8)
    for index in range(1, 8):
        sequence = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(5))
        sequence.fast_forward(index)
        assert np.array_equal(sequence.random(1)[0], whole[index])


ENDING = """
import atexit, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from cluster.fork_server import _end
atexit.register(print, "registered")
pool = ThreadPoolExecutor(1)
pool.submit(int).result()
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
_end(5)
"""


def test_python_ends_threads_and_calls_what_was_registered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDING], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (5, ["thread", "registered"], "")
