"""Secret references, markers and the opaque environment (formats 1.2, 1.3, 4.3, 4.5)."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.home.digest import Digester
from openclaw_actors.home.dotenv import parse_dotenv
from openclaw_actors.home.facts import KeyForm
from openclaw_actors.home.guarded import is_blocked_in_cwd, is_guarded, portable_name
from openclaw_actors.home.opaque import OpaqueEnv, cleaned
from openclaw_actors.home.secrets import Resolver, SecretRules, secret_rules
from openclaw_actors.home.substitution import Substitution, with_config_env
from openclaw_actors.home.urls import public_url

DIGESTER = Digester(b"k" * 32)
ENV = OpaqueEnv(
    {
        "SET_KEY": "s3cret",
        "BLANK_KEY": " \n",
        "OPENAI_API_KEY": "o",
        "MARKER_KEY": "ollama-local",
        "NAME_KEY": "GROQ_API_KEY",
    }
)
RULES = secret_rules(
    {
        "defaults": {"file": "vault", "exec": "Not Valid"},
        "providers": {
            "shut": {"source": "env", "allowlist": ["OTHER"]},
            "open": {"source": "env", "allowlist": ["SET_KEY"]},
            "plain": {"source": "env"},
            "disk": {"source": "file", "path": "/x"},
            "Bad Alias": {"source": "env"},
            "odd": 3,
        },
    }
)
RESOLVER = Resolver(ENV, RULES, DIGESTER)


@pytest.mark.parametrize(
    ("value", "form", "resolved"),
    [
        (None, KeyForm.ABSENT, False),
        ("", KeyForm.BLANK, False),
        (" \t", KeyForm.BLANK, False),
        ("sk-1", KeyForm.LITERAL, True),
        ("${SET_KEY}", KeyForm.ENV_REF, True),
        ("$SET_KEY", KeyForm.ENV_REF, True),
        ("secretref-env:SET_KEY", KeyForm.ENV_REF, True),
        ("__env__:SET_KEY", KeyForm.ENV_REF, True),
        ("${UNSET_KEY}", KeyForm.ENV_REF, False),
        ("${BLANK_KEY}", KeyForm.ENV_REF, False),
        ("${lower}", KeyForm.LITERAL, True),
        ("$lower", KeyForm.LITERAL, True),
        ("OPENAI_API_KEY", KeyForm.ENV_NAME, True),
        ("GROQ_API_KEY", KeyForm.ENV_NAME, False),
        ("AZURE_API_KEY", KeyForm.ENV_NAME, False),
        ("MY_UNKNOWN_NAME", KeyForm.LITERAL, True),
        ("custom-local", KeyForm.MARKER, False),
        ("ollama-local", KeyForm.MARKER, False),
        ("secretref-managed", KeyForm.MARKER, False),
        ("lmstudio-local", KeyForm.LITERAL, True),
        ("minimax-oauth", KeyForm.LITERAL, True),
        ("gcp-vertex-credentials", KeyForm.LITERAL, True),
        ("ключ", KeyForm.BLANK, False),
        ("\u2028", KeyForm.BLANK, False),
        ("$MARKER_KEY", KeyForm.MARKER, False),
        ({"source": "env", "id": "MARKER_KEY"}, KeyForm.MARKER, False),
        ({"source": "env", "id": "NAME_KEY"}, KeyForm.ENV_NAME, False),
        ("oauth:whatever", KeyForm.MARKER, False),
        ("AWS_PROFILE", KeyForm.MARKER, False),
        ({"source": "env", "provider": "default", "id": "SET_KEY"}, KeyForm.ENV_REF, True),
        ({"source": "env", "id": "SET_KEY"}, KeyForm.ENV_REF, True),
        ({"source": "env", "provider": "open", "id": "SET_KEY"}, KeyForm.ENV_REF, True),
        ({"source": "env", "provider": "plain", "id": "SET_KEY"}, KeyForm.ENV_REF, True),
        ({"source": "env", "provider": "shut", "id": "SET_KEY"}, KeyForm.ENV_REF, False),
        ({"source": "env", "provider": "nobody", "id": "SET_KEY"}, KeyForm.ENV_REF, False),
        ({"source": "env", "provider": "disk", "id": "SET_KEY"}, KeyForm.ENV_REF, False),
        ({"source": "env", "id": "sk-pasted"}, KeyForm.ENV_REF, False),
        ({"source": "env", "provider": "No Alias", "id": "SET_KEY"}, KeyForm.MALFORMED, False),
        ({"source": "env", "id": "SET_KEY", "extra": 1}, KeyForm.MALFORMED, False),
        ({"source": "web", "id": "SET_KEY"}, KeyForm.MALFORMED, False),
        ({"source": "file", "id": "/a"}, KeyForm.FILE_REF, False),
        ({"source": "exec", "provider": "op", "id": "vault/item"}, KeyForm.EXEC_REF, False),
        (3, KeyForm.MALFORMED, False),
        (["x"], KeyForm.MALFORMED, False),
        (True, KeyForm.MALFORMED, False),
    ],
)
def test_a_key_is_read_by_the_rules_of_references_and_markers(value: object, form: KeyForm, resolved: bool) -> None:
    """Every form of formats 1.3 and 4.5 is told apart; only what yields a secret has a digest and no problem."""
    facts = RESOLVER.configured(value)
    assert (facts.form, facts.resolved) == (form, resolved)
    assert facts.is_text is isinstance(value, str)
    assert (facts.digest is not None) == resolved
    assert bool(facts.problem) != (resolved or form is KeyForm.ABSENT)
    assert "pasted" not in repr(facts)


def test_file_and_exec_references_name_their_alias_and_say_why_they_yield_nothing() -> None:
    """A reference without provider takes the default alias of its source; an invalid default alias is `default`."""
    by_file = RESOLVER.configured({"source": "file", "id": "/a"})
    by_exec = RESOLVER.configured({"source": "exec", "id": "a/../b"})
    assert (by_file.name, by_file.problem) == ("file:vault:/a", "the secrets provider vault is not declared")
    assert (by_exec.name, by_exec.problem) == ("", "exec references aren't run yet")


def test_a_reference_and_the_literal_it_stands_for_have_one_digest() -> None:
    """Digests are of the secret, not of how it is written."""
    assert RESOLVER.configured("$SET_KEY").digest == RESOLVER.configured(" s3cret ").digest


def test_markers_mean_nothing_in_a_store() -> None:
    """A stored key that looks like a marker is a key; a reference is still a reference."""
    resolver = Resolver(ENV, SecretRules(), DIGESTER)
    assert resolver.stored("OPENAI_API_KEY").form is KeyForm.LITERAL
    assert resolver.stored("$MARKER_KEY").form is KeyForm.ENV_REF
    assert resolver.stored("ключ").form is KeyForm.LITERAL
    assert resolver.stored("${SET_KEY}").form is KeyForm.ENV_REF


@pytest.mark.parametrize("holder", [ENV, ENV.raw_side, Resolver(ENV, RULES, DIGESTER)])
def test_what_holds_the_environment_shows_no_value(holder: object) -> None:
    """Not in repr or str, and it can't be pickled."""
    assert "s3cret" not in repr(holder) + str(holder)
    with pytest.raises(TypeError):
        pickle.dumps(holder)


def test_the_environment_iterates_names_and_copies_to_itself() -> None:
    """Names are no secret; a copy is the same object."""
    assert sorted(ENV) == ["BLANK_KEY", "MARKER_KEY", "NAME_KEY", "OPENAI_API_KEY", "SET_KEY"]
    assert len(ENV) == 5
    assert "SET_KEY" in ENV
    assert copy.deepcopy(ENV) is copy.copy(ENV) is ENV
    assert "s3cret" not in repr(list(ENV))


@pytest.mark.parametrize(
    ("value", "counts"), [("a\r\nb", "ab"), ("\u2028x\u2029", "x"), ("é€", "é"), (" \u4e2d ", ""), ("", "")]
)
def test_only_what_a_header_could_carry_counts(value: str, counts: str) -> None:
    """Line breaks and characters above U+00FF are removed, the rest is trimmed; nothing left means not set."""
    assert cleaned(value) == counts
    assert OpaqueEnv({"N": value}).get("N") == (counts or None)


def test_layers_fill_gaps_and_keep_their_origin() -> None:
    """A lower layer never overrides, not even a blank value, unless it is the config's."""
    env = OpaqueEnv({"A": "1", "B": " "}).with_layer({"A": "2", "B": "2", "C": "2"}, "/x/.env")
    assert [(env.raw(name), env.origin(name)) for name in "ABC"] == [
        ("1", "environment"),
        (" ", "environment"),
        ("2", "/x/.env"),
    ]
    assert env.with_layer({"B": "3"}, "config env", over_blank=True).raw("B") == "3"


def test_the_config_env_block_fills_blank_variables_only() -> None:
    """`env.NAME` and `env.vars.NAME` strings count, except over a value, with a `${`, or as shell settings."""
    block = {"A": "2", "B": "2", "C": "${A}", "D": 3, "shellEnv": {"enabled": True}, "vars": {"B": "1", "E": "5"}}
    env = with_config_env({"env": block}, OpaqueEnv({"A": "1"}))
    assert [env.raw(name) for name in "ABCDE"] == ["1", "2", None, None, "5"]
    assert env.origin("E") == "config env"
    assert with_config_env({"env": []}, ENV) is ENV


def test_substitution_reaches_every_string_and_reports_what_is_missing() -> None:
    """`${NAME}` is replaced, `$${NAME}` is an escape, a missing or empty variable stays and is reported."""
    substitution = Substitution(OpaqueEnv({"A": "1", "E": ""}))
    document = {"x": ["${A}-${A}", {"y": "$${A} ${lower} ${E}"}], "z": "${NOPE}", "n": 3}
    assert substitution.apply(document) == {"x": ["1-1", {"y": "${A} ${lower} ${E}"}], "z": "${NOPE}", "n": 3}
    assert substitution.unresolved == [("x[1].y", "E"), ("z", "NOPE")]


def test_dotenv_lines_are_read_as_dotenv_reads_them() -> None:
    """Quotes, export, comments, both separators and multi-line values; the last of a name wins; nothing is expanded."""
    text = (
        '\ufeff# head\r\nA=1 # c\nexport B = two words \nC=\'x # y\' # c\nD="l1\\nl2"\nE="m1\nm2"\nF: g\nG=\n'
        "H=a#b\nI='it\\'s'\nbroken line\nJ=`q\"'`\nK=$A\nA=9\nL='open\nM=\"x\" y\nN.x-y=1\n =2\n"
    )
    assert parse_dotenv(text) == {
        "A": "9",
        "B": "two words",
        "C": "x # y",
        "D": "l1\nl2",
        "E": "m1\nm2",
        "F": "g",
        "G": "",
        "H": "a",
        "I": "it\\'s",
        "J": "q\"'",
        "K": "$A",
        "L": "'open",
        "M": '"x" y',
        "N.x-y": "1",
    }


@given(st.text(max_size=200))
def test_any_text_is_a_dotenv_file(text: str) -> None:
    """Parsing never raises and yields texts only."""
    assert all(isinstance(value, str) for value in parse_dotenv(text).values())


@pytest.mark.parametrize(
    ("name", "in_config", "in_cwd"),
    [
        ("GH_TOKEN", True, True),
        ("github_token", True, True),
        ("AWS_ACCESS_KEY_ID", True, True),
        ("GOOGLE_APPLICATION_CREDENTIALS", True, True),
        ("LD_PRELOAD", True, True),
        ("OPENAI_API_KEY", False, True),
        ("OPENAI_API_KEYS", False, True),
        ("ANTHROPIC_API_KEY_2", False, True),
        ("ANTHROPIC_OAUTH_TOKEN", False, True),
        ("OPENCLAW_HOME", False, True),
        ("X_BASE_URL", False, True),
        ("X_API_HOST", False, True),
        ("GROQ_API_KEY", False, False),
        ("GEMINI_API_KEY", False, False),
        ("COPILOT_GITHUB_TOKEN", False, False),
        ("AWS_PROFILE", False, False),
        ("MY_OWN", False, False),
    ],
)
def test_files_may_not_set_guarded_variables(name: str, in_config: bool, in_cwd: bool) -> None:
    """A config may not set what steers other programs; a repository's `.env` no host and no key of two providers."""
    assert (is_guarded(name), is_blocked_in_cwd(name)) == (in_config, in_cwd)


@pytest.mark.parametrize(("text", "name"), [(" A_1 ", "A_1"), ("A.B", ""), ("A-B", ""), ("1A", ""), (" ", "")])
def test_a_variable_name_is_portable_or_none(text: str, name: str) -> None:
    """Letters, digits and underscores, no digit first; blanks around it don't count."""
    assert portable_name(text) == name


def test_the_config_env_block_leaves_out_blank_guarded_and_referring_values() -> None:
    """`env.NAME` wins over `env.vars.NAME` unless it is blank; an escaped reference is none."""
    block = {
        "vars": {"A": "1", "B": "2", " C ": "3", "GH_TOKEN": "x", "D.E": "4", "shellEnv": "5"},
        "A": " ",
        "B": "over",
        "F": "${A}",
        "G": "$${A}",
        "H": "${lower}",
        "SET": "no",
        "EMPTY": "yes",
        "shellEnv": {},
    }
    env = with_config_env({"env": block}, OpaqueEnv({"SET": "s", "EMPTY": " "}))
    assert {name: env.raw(name) for name in env} == {
        "SET": "s",
        "EMPTY": "yes",
        "A": "1",
        "B": "over",
        "C": "3",
        "G": "$${A}",
        "H": "${lower}",
    }


@pytest.mark.parametrize(
    ("url", "public"),
    [
        (" https://h:1/v1 ", "https://h:1/v1"),
        ("https://user:pw@h/v1?key=s#f", "https://h/v1"),
        ("https:u:p@h/x", "https:h/x"),
        ("u:p@h/x", "invalid:"),
        ("http://u:12/3@h/x", "http://u:12"),
        ("http://u:p/w@h/x", "invalid:"),
        ("http://u:p@ss@h/x", "http://h/x"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1"),
        ("http://[::1", "invalid:"),
        ("localhost:11434", "localhost:11434"),
        ("", ""),
        (3, ""),
        (None, ""),
    ],
)
def test_a_public_url_has_no_user_name_password_or_query(url: object, public: str) -> None:
    """What may be a secret is cut off; what can't be understood is `invalid:`."""
    assert public_url(url) == public
