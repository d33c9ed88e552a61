"""Which settings hold, and does every mistake name its place?"""

from __future__ import annotations

import json

import pytest

from hwb import config
from hwb.errors import ConfigError


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def project(root, text):
    (root / "pyproject.toml").write_text(text)
    return str(root)


def load(root, text="", environ=(), **options):
    return config.load(project(root, text), options=options, environ=dict(environ))


def refused(root, text="", environ=(), **options):
    with pytest.raises(ConfigError) as caught:
        load(root, text, environ, **options)
    return caught.value


# Layers


def test_nothing_anywhere_gives_the_defaults(root):
    settings = config.load(str(root), environ={})
    assert settings.jobs == "auto"
    assert settings.reuse_venv == "no"
    assert settings.keep_runs == 20
    assert settings.timeout is None
    assert {value.source for _, value in settings.items()} == {"default"}
    assert settings.warnings == []


def test_defaults_belong_to_nobody():
    config.Settings().get("sessions").append("x")
    assert config.Settings().sessions == []


def test_each_layer_overrides_the_one_below(root):
    (root / "config" / "hwb").mkdir(parents=True)
    org = root / "config" / "hwb" / "hwb.toml"
    org.write_text("# ours\njobs = 1\nretries = 1\nkeep-runs = 1\npython = '3.11'\n")
    text = "[project]\nname = 'x'\n[tool.hwb]\njobs = 2\nretries = 2\nkeep-runs = 2\n"
    settings = load(root, text, {"HWB_JOBS": "3", "HWB_RETRIES": "3"}, jobs=4)
    assert (settings.jobs, settings.source("jobs")) == (4, "--jobs")
    assert (settings.retries, settings.source("retries")) == (3, "HWB_RETRIES")
    assert (settings.keep_runs, settings.source("keep_runs")) == (2, "pyproject.toml:6")
    assert (settings.python, settings.source("python")) == ("3.11", f"{org}:5")


def test_the_organisations_settings_are_beside_its_recipes(root):
    other = root / "other"
    other.mkdir()
    (other / "hwb.toml").write_text("jobs = 7")
    assert load(root, environ={"HWB_ORG_FILE": str(other / "recipes.py")}).jobs == 7
    assert config.load(str(root), environ={}, org_file=str(other / "recipes.py")).jobs == 7


def test_org_file(root):
    assert config.org_file({}) is None
    usual = root / "config" / "hwb" / "recipes.py"
    usual.parent.mkdir(parents=True)
    usual.touch()
    assert config.org_file({}) == str(usual)
    assert config.org_file({"HWB_ORG_FILE": str(root / "gone.py")}) == str(root / "gone.py")


def test_options_that_were_not_given_do_not_count(root):
    assert load(root, "[tool.hwb]\njobs = 2", jobs=None).jobs == 2


def test_options_may_come_as_text(root):
    settings = load(root, jobs="3", sessions="a,b", stop_on_first_error=True)
    assert (settings.jobs, settings.sessions, settings.stop_on_first_error) == (3, ["a", "b"], True)


# Values


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HWB_JOBS", "auto", "auto"),
        ("HWB_TIMEOUT", "2.5", 2.5),
        ("HWB_TIMEOUT", "0", None),
        ("HWB_OFFLINE", "yes", True),
        ("HWB_OFFLINE", "Off", False),
        ("HWB_SESSIONS", " a, b,", ["a", "b"]),
        ("HWB_REUSE_VENV", "always", "always"),
        ("HWB_OUTPUT_DIR", "out", "out"),
    ],
)
def test_variables(root, name, text, value):
    settings = load(root, environ={name: text})
    assert settings.get(name[4:].lower()) == value
    assert settings.source(name[4:].lower()) == name


def test_an_empty_variable_is_none(root):
    assert load(root, environ={"HWB_JOBS": ""}).jobs == "auto"


@pytest.mark.parametrize(("given", "value"), [("true", "yes"), ("false", "no"), ("'never'", "never")])
def test_reuse_venv_may_be_a_bool(root, given, value):
    assert load(root, f"[tool.hwb]\nreuse-venv = {given}").reuse_venv == value


def test_tables(root):
    settings = load(
        root, "[tool.hwb]\ntest.command = 'pytest'\n[tool.hwb.publish]\npath = 'p'\n[tool.hwb.resources]\ndb = 2"
    )
    assert settings.test == {"command": "pytest", "requires": [], "resolutions": []}
    assert settings.publish == {"registry": "local", "path": "p"}
    assert settings.get("test.command") == "pytest"
    assert settings.source("publish.path") == "pyproject.toml:4"
    assert settings.resources == {"db": 2}


@pytest.mark.parametrize(
    "text",
    [
        "[tool.hwb]\njobs = 5",
        "[ tool . 'hwb' ]\njobs = 5",
        "[tool]\nhwb.jobs = 5",
        "tool.hwb.jobs = 5",
        "tool = {hwb = {jobs = 5}}",
    ],
)
def test_every_spelling_of_the_table_is_seen(root, text):
    assert load(root, text).jobs == 5


def test_a_file_that_does_not_mention_us_is_not_parsed(root):
    assert load(root, "[project]\nname = 'hwb-x'\n[tool.other\nthis is no TOML").jobs == "auto"


def test_crlf_and_a_byte_order_mark(root):
    (root / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.hwb]\r\njobs = 2\r\nretries = 3\r\n")
    settings = config.load(str(root), environ={})
    assert settings.source("retries") == "pyproject.toml:3"


# Mistakes


@pytest.mark.parametrize(
    ("text", "where", "what", "remedy"),
    [
        ("[tool.hwb]\n\njob = 2", 3, "unknown setting 'job'", "did you mean jobs?"),
        ("[tool.hwb]\nreuse_venv = 'no'", 2, "unknown setting 'reuse_venv'", "write reuse-venv"),
        ("[tool.hwb]\n[tool.hwb.test]\ncomand = 'x'", 3, "unknown setting 'test.comand'", "did you mean test.command?"),
        ("[tool.hwb]\n'test.command' = 'x'", 2, "unknown setting 'test.command'", "did you mean test.command?"),
        ("[tool.hwb]\nxxxxxx = 1", 2, "unknown setting 'xxxxxx'", "known keys: sessions, jobs"),
        ("[tool.hwb]\njobs = 0", 2, 'jobs must be a whole number, 1 or more, or "auto", not 0', ""),
        ("[tool.hwb]\njobs = 'atuo'", 2, "not 'atuo'", "did you mean auto?"),
        ("[tool.hwb]\njobs = true", 2, "not True", ""),
        ("[tool.hwb]\noffline = 1", 2, "offline must be true or false", ""),
        ("[tool.hwb]\npython = 3.12", 2, "python must be a text that is not empty, not 3.12", ""),
        ("[tool.hwb]\nsessions = 'build'", 2, "sessions must be a list of texts", ""),
        ("[tool.hwb]\nsessions = ['a', 1]", 2, "a list of texts", ""),
        ("[tool.hwb]\ntimeout = -1", 2, "a number of seconds", ""),
        ("[tool.hwb]\ntimeout = inf", 2, "a number of seconds", ""),
        ("[tool.hwb]\nisolation = 'dokcer'", 2, 'one of "auto", "venv", "docker", "none"', "did you mean docker?"),
        ("[tool.hwb]\nreuse-venv = 3", 2, "reuse-venv must be", ""),
        ("[tool.hwb]\ntest = 3", 2, "test must be a table", ""),
        ("[tool.hwb.test]\nresolutions = ['newest']", 2, "test.resolutions must be a list of", ""),
        ("[tool.hwb.test]\nresolutions = ['lowest', 'lowest']", 2, '"highest", "lowest", "lowest-direct", not', ""),
        ("[tool.hwb.test]\nresolutions = 'lowest'", 2, "test.resolutions must be a list", ""),
        ("[tool.hwb]\ntest.command = []", 2, "a text or a list of texts", ""),
        ("[tool.hwb]\nresources = 3", 2, "a table of whole numbers", ""),
        ("[tool.hwb.resources]\ndb = 0", 1, "a table of whole numbers", ""),
        ("[tool]\nhwb = 3", 2, "tool.hwb must be a table", ""),
        ("[tool.hwb]\njobs = = 3", 2, "malformed TOML", ""),
        ("[tool.hwb]\njobs = ", 2, "malformed TOML", ""),
    ],
)
def test_a_mistake_in_the_file_names_its_line(root, text, where, what, remedy):
    error = refused(root, text)
    assert error.where == f"pyproject.toml:{where}"
    assert what in error.what
    assert remedy in error.remedy
    assert error.exit_code == 2


def test_a_long_wrong_value_is_cut(root):
    assert len(refused(root, f"[tool.hwb]\njobs = '{'x' * 500}'").what) < 150


def test_a_file_that_is_not_utf8(root):
    (root / "pyproject.toml").write_bytes(b"[tool.hwb]\n# \xff\n")
    with pytest.raises(ConfigError) as caught:
        config.load(str(root), environ={})
    assert caught.value.where == "pyproject.toml:2"


def test_a_file_that_cannot_be_read(root):
    (root / "pyproject.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot read"):
        config.load(str(root), environ={})


def test_a_mistake_in_a_variable_or_option_names_it(root):
    assert refused(root, environ={"HWB_JOBS": "many"}).where == "HWB_JOBS"
    assert refused(root, environ={"HWB_OFFLINE": "perhaps"}).where == "HWB_OFFLINE"
    assert refused(root, jobs="-1").where == "--jobs"


def test_a_mistake_in_the_organisations_file_names_it(root):
    (root / "config" / "hwb").mkdir(parents=True)
    org = root / "config" / "hwb" / "hwb.toml"
    org.write_text("\njbos = 1")
    assert refused(root).where == f"{org}:2"


def test_unknown_variables_warn(root):
    settings = load(root, environ={"HWB_JOB": "1", "HWB_ZZZZZZ": "1", "OTHER": "1"})
    assert settings.warnings == ["unknown variable HWB_JOB; did you mean HWB_JOBS?", "unknown variable HWB_ZZZZZZ"]


def test_reserved_variables_do_not(root):
    names = ("HWB_TEST_REQUIRE", "HWB_FRESH_CACHE", "HWB_RUN", "HWB_CACHE_DIR")
    assert load(root, environ=dict.fromkeys(names, "x")).warnings == []


# The object


def test_it_travels(root):
    settings = load(root, "[tool.hwb]\ntimeout = 1.5\ntest.command = ['a']", {"HWB_JOB": "1"}, jobs=2)
    again = config.Settings.from_json(json.loads(json.dumps(settings.to_json())))
    assert again == settings
    assert again.source("timeout") == "pyproject.toml:2"
    assert again != config.Settings()
    assert "timeout" in repr(again)


def test_the_matrix_is_a_table_that_other_processes_get_too(root):
    text = "[tool.hwb]\njobs = 2\n[tool.hwb.matrix]\npython = ['3.12']\n[tool.hwb.matrix.macos]\nuniversal2 = true\n[[tool.hwb.matrix.exclude]]\narch = 'arm64'\n"
    settings = load(root, text)
    assert settings.matrix == {"python": ["3.12"], "macos": {"universal2": True}, "exclude": [{"arch": "arm64"}]}
    assert settings.source("matrix") == "pyproject.toml:3"
    assert config.Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert config.KEYS["matrix"].env is None


@pytest.mark.parametrize("value", ["true", "['3.12']", "{ python = 2026-01-01 }", "{ a = { b = [12:00:00] } }"])
def test_a_matrix_of_anything_else_is_refused(root, value):
    error = refused(root, f"[tool.hwb]\nmatrix = {value}")
    assert "matrix must be a table" in error.what
    assert error.where == "pyproject.toml:2"


ISOLATION = """
[tool.hwb.isolation]
strategy = "docker"
[tool.hwb.isolation.venv]
use-uv = false
[tool.hwb.isolation.venv.windows]
env = { "XFORMERS_DISABLED" = "0" }
[tool.hwb.isolation.docker]
memory = "8g"
cpus = 4.0
gpu-devices = ["0", "1"]
"""


def test_isolation_is_a_table_of_tables(root):
    settings = load(root, ISOLATION)
    assert (settings.isolation, settings.source("isolation")) == ("docker", "pyproject.toml:3")
    assert settings.get("isolation.venv")["use-uv"] is False
    assert settings.get("isolation.venv").keys() == {"use-uv", "cache-envs", "python-path", "env"}
    assert settings.get("isolation.venv.windows") == {"env": {"XFORMERS_DISABLED": "0"}, "python-path": None}
    assert settings.get("isolation.docker")["cpus"] == 4.0
    assert settings.source("isolation.docker.memory") == "pyproject.toml:9"
    changed = [name for name, value in settings.items() if value.source != "default"]
    assert changed == [
        *("isolation", "isolation.venv.use-uv", "isolation.venv.windows.env"),
        *("isolation.docker.memory", "isolation.docker.cpus", "isolation.docker.gpu-devices"),
    ]
    assert config.Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_the_strategy_alone_may_be_a_text_and_a_variable(root):
    assert load(root, "[tool.hwb]\nisolation = 'docker'").isolation == "docker"
    assert load(root, "tool.hwb.isolation.strategy = 'none'").isolation == "none"
    settings = load(root, ISOLATION, {"HWB_ISOLATION": "venv"})
    assert (settings.isolation, settings.get("isolation.docker")["memory"]) == ("venv", "8g")
    assert load(root, ISOLATION, isolation="none").isolation == "none"


def test_the_organisations_tables_and_the_projects_are_one(root):
    (root / "config" / "hwb").mkdir(parents=True)
    (root / "config" / "hwb" / "hwb.toml").write_text("isolation = 'venv'\n")
    settings = load(root, "[tool.hwb.isolation.docker]\ngpu = true")
    assert (settings.isolation, settings.get("isolation.docker.gpu")) == ("venv", True)


@pytest.mark.parametrize(
    ("text", "where", "what", "remedy"),
    [
        ("[tool.hwb]\nisolation = 'vm'", 2, "isolation must be one of", "there are auto, venv, docker, none"),
        ("[tool.hwb.isolation]\nstrategy = 'noen'", 2, "isolation must be one of", "did you mean none?"),
        ("[tool.hwb.isolation]\nstrategy = 3", 2, "not 3", ""),
        ("[tool.hwb.isolation]\nstratgy = 'venv'", 2, "unknown setting 'isolation.stratgy'", "isolation.strategy"),
        ("[tool.hwb.isolation.venv]\nuse_uv = true", 2, "'isolation.venv.use_uv'", "write isolation.venv.use-uv"),
        ("[tool.hwb.isolation.venv]\nuse-uv = 1", 2, "isolation.venv.use-uv must be true or false", ""),
        ("[tool.hwb.isolation]\nvenv = 3", 2, "isolation.venv must be a table, not 3", ""),
        ("[tool.hwb.isolation.docker]\nmemroy = '8g'", 2, "'isolation.docker.memroy'", "isolation.docker.memory?"),
        ("[tool.hwb.isolation.docker]\nmemory = 'much'", 2, 'an amount such as "8g" or "512m"', ""),
        ("[tool.hwb.isolation.docker]\ncpus = 0", 2, "isolation.docker.cpus must be a number above 0", ""),
        ("[tool.hwb.isolation.docker]\nenv = { A = 1 }", 2, "isolation.docker.env must be a table of texts", ""),
        ("[tool.hwb.isolation.vm]\nhost = 'x'", 1, "unknown setting 'isolation.vm'", "no installed distribution"),
        ("[tool.hwb.isolation.dokcer]\ngpu = true", 1, "unknown setting 'isolation.dokcer'", "isolation.docker?"),
        ("[tool.hwb.isolation]\nothers = { vm = 'x' }", 2, "unknown setting 'isolation.others'", ""),
    ],
)
def test_mistakes_in_the_tables_of_isolation(root, text, where, what, remedy):
    error = refused(root, text)
    assert error.where == f"pyproject.toml:{where}"
    assert what in error.what
    assert remedy in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "[tool.hwb]\nisolation = 'docker'\n[tool.hwb.isolation.docker]\ngpu = true",
        "[tool.hwb]\nisolation = 'docker'\nisolation.docker.gpu = true",
        "[tool]\nhwb.isolation = 'docker'\n[tool.hwb.isolation]\nstrategy = 'docker'",
    ],
)
def test_a_text_and_a_table_at_once(root, text):
    assert refused(root, text).remedy == (
        "isolation is a text or a table, not both: write strategy = ... in [tool.hwb.isolation]"
    )


def test_unknown_names():
    with pytest.raises(AttributeError, match="no setting 'jobz'"):
        config.Settings().jobz  # noqa: B018
    with pytest.raises(KeyError):
        config.Settings().get("jobz")


def test_every_key_is_documented_and_its_default_valid():
    for key in config.KEYS.values():
        assert key.doc
        if key.default is not None and key.default != []:
            assert key.type.check(key.default) == key.default
    assert config.KEYS["reuse-venv"].env == "HWB_REUSE_VENV"
    assert config.KEYS["test.command"].env is None
    assert config.KEYS["resources"].env is None
