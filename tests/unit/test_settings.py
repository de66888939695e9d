"""Settings, secrets and the log."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import structlog
from pydantic import BaseModel

from config import logs, settings
from config.errors import ConfigError, JingluoError
from config.secrets import NoSecret, Secret, Secrets, written_inline
from config.settings import ROOT, Settings, check_packages, load_settings


def site(folder: Path, text: str, **env: str) -> Settings:
    (folder / "jingluo.yaml").write_text(text, encoding="utf-8")
    return load_settings(folder, env)


def test_without_a_site_the_example_hospital_runs_with_the_embedded_broker() -> None:
    made = load_settings(env={})
    assert (made.site, made.systems, made.channels) == (
        ROOT,
        ROOT / "config" / "systems.yaml",
        ROOT / "channels",
    )
    assert made.broker == "embedded"
    assert made.database == f"sqlite:///{ROOT}/var/jingluo.db"
    assert made.maps == (ROOT / "transforms" / "maps",)


def test_the_embedded_default_says_what_the_defaults_are(tmp_path: Path) -> None:
    def chosen(made: Settings) -> object:
        return made.broker, made.http, made.limits, made.stop_within, made.log, made.secrets, made.var.name

    assert chosen(load_settings(env={})) == chosen(load_settings(tmp_path, {}))


def test_the_environment_names_the_site(tmp_path: Path) -> None:
    assert load_settings(env={"JINGLUO_SITE": str(tmp_path)}).site == tmp_path


def test_a_sites_own_maps_and_tables_come_before_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    made = load_settings(tmp_path, {})
    assert made.maps == (tmp_path / "maps", ROOT / "transforms" / "maps")
    assert made.tables == (ROOT / "schemas" / "tables",)


def test_relative_places_are_relative_to_the_site(tmp_path: Path) -> None:
    made = site(tmp_path, "var: data\ndatabase: sqlite:///data/rows.db\n")
    assert made.var == tmp_path / "data"
    assert made.database == f"sqlite:///{tmp_path}/data/rows.db"


def test_other_databases_are_left_as_they_are(tmp_path: Path) -> None:
    for url in ("sqlite:////var/lib/rows.db", "sqlite:///:memory:", "postgresql://h/jingluo"):
        assert site(tmp_path, f"database: '{url}'\n").database == url


def test_a_variable_overrides_the_file_and_is_checked_like_it(tmp_path: Path) -> None:
    made = site(tmp_path, "http: {port: 1}\n", JINGLUO_HTTP_PORT="0", JINGLUO_STOP_WITHIN="5s")
    assert (made.http.port, made.stop_within) == (0, 5.0)
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, "http: {port: 1}\n", JINGLUO_HTTP_PORT="many")
    assert str(caught.value.findings[0]).startswith(
        "JINGLUO_HTTP_PORT:1:1: JL-C012: port must be a whole number"
    )


def test_all_mistakes_of_the_file_show_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, "brokre: embedded\nhttp: {port: high}\nlimits: {body: 5}\nlog: {level: loud}\n")
    assert [(f.line, f.column, f.code) for f in caught.value.findings] == [
        (1, 1, "JL-C010"),
        (2, 14, "JL-C012"),
        (3, 16, "JL-C013"),
        (4, 14, "JL-C014"),
    ]
    assert caught.value.findings[0].hint == "did you mean 'broker'?"


def test_a_site_that_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JL-C001"):
        load_settings(tmp_path / "nowhere", {})


def test_a_package_that_comes_from_elsewhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PACKAGES", ("config", "json"))
    with pytest.raises(JingluoError, match="JL-C009"):
        check_packages()


def test_a_password_in_the_brokers_address_comes_from_the_secrets(tmp_path: Path) -> None:
    made = site(tmp_path, "broker: amqp://me:secret://mq-pw@host/\n", JINGLUO_SECRET_MQ_PW="p@ss/word")
    assert made.broker == "amqp://me:p%40ss%2Fword@host/"
    assert "p%40ss" not in repr(made)


def test_a_secret_that_nobody_answers_is_an_error_at_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, "var: v\nbroker: secret://mq\n")
    assert [(f.line, f.column, f.code) for f in caught.value.findings] == [(2, 9, "JL-C032")]


def test_secrets_come_from_a_file_a_folder_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("emr-token: 'abc'\n")
    (tmp_path / "emr-token").write_text("abc\n")
    for text, env in [
        ("secrets: {file: s.yaml}", {}),
        ("secrets: {dir: .}", {}),
        ("", {"JINGLUO_SECRET_EMR_TOKEN": "abc"}),
    ]:
        secrets = site(tmp_path, text, **env).open_secrets(env)
        assert secrets.fill("secret://emr-token") == "abc"
        with pytest.raises(NoSecret):
            secrets.get("no-such")


def test_a_secrets_name_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    (tmp_path / "in").mkdir()
    secrets = Secrets("in", folder=tmp_path / "in")
    assert secrets.fill("secret://../outside") == "secret://../outside"
    with pytest.raises(NoSecret):
        secrets.get("../outside")


def test_a_secret_does_not_show_itself_in_a_model_or_a_container() -> None:
    class Options(BaseModel):
        password: Secret

    made = Options(password=Secret("hunter2"))
    assert "hunter2" not in f"{made!r} {[made.password]}"
    assert made.password == "hunter2"


def test_passwords_in_the_text_are_recognised_by_their_key_or_in_an_address() -> None:
    assert written_inline("db_password", "x")
    assert written_inline("url", "https://a:b@host/")
    assert not written_inline("url", "https://host:8080/a@b")
    assert not written_inline("url", "amqp://a:secret://pw@host/")
    assert not written_inline("token_url", "https://host/token")


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_log_shows_events_and_hides_what_is_a_patients(form: str) -> None:
    out = io.StringIO()
    before = structlog.get_config()
    try:
        logs.setup("info", form, out)
        log = structlog.get_logger()
        log.debug("too quiet")
        log.info("accepted", channel="his-adt", patient="王小明", body=b"MSH|", more={"id_card": "999999"})
        quoted = "no date: 王小明 19800101"
        try:
            try:
                raise ValueError(quoted)
            except ValueError:
                None.boom  # type: ignore[attr-defined]  # noqa: B018
        except AttributeError as error:
            log.exception("failed", url=Secret("amqp://a:pw@h"))
            log.error("failed again", exc_info=error)
    finally:
        structlog.configure(**before)
    said = out.getvalue()
    assert "his-adt" in said
    assert said.count("has no attribute 'boom'") == 2
    assert said.count("raise ValueError(quoted)") == 2, "its cause, and where that happened"
    for hidden in ("王小明", "19800101", "MSH", "999999", "pw@h", "too quiet"):
        assert hidden not in said
    if form == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert lines[0]["more"] == {"id_card": "***"}
        assert lines[0]["level"] == "info"


def test_the_journals_keys_come_from_the_sites_secrets(tmp_path: Path) -> None:
    text = "journal: {key: 'secret://new', old_keys: ['secret://old']}\n"
    env = {"JINGLUO_SECRET_NEW": "a" * 32, "JINGLUO_SECRET_OLD": "b" * 32}
    made = site(tmp_path, text, **env)
    assert (made.journal.key, made.journal.old_keys) == ("a" * 32, ("b" * 32,))
    assert "aaaa" not in repr(made)
    assert load_settings(
        tmp_path, {**env, "JINGLUO_JOURNAL_OLD_KEYS": "secret://new, secret://old"}
    ).journal.old_keys


def test_a_role_without_the_journal_is_not_asked_for_its_keys(tmp_path: Path) -> None:
    text = "roles: [intake]\nbroker: amqp://mq.example/\njournal: {key: 'secret://nowhere'}\n"
    assert site(tmp_path, text).journal.key == ""
    with pytest.raises(ConfigError, match="JL-C032"):
        site(tmp_path, text.replace("intake", "journal"))


def test_tls_of_the_settings_can_be_set_from_outside_and_its_files_are_the_sites(tmp_path: Path) -> None:
    chosen = site(
        tmp_path,
        "http: {tls: {certificate: engine.pem, key: secret://engine}}\n",
        JINGLUO_SECRET_ENGINE="-----BEGIN PRIVATE KEY-----\n",
        JINGLUO_HTTP_TLS_CERTIFICATE="other.pem",
        JINGLUO_DATABASE_TLS_CA="/etc/ca.pem",
    )
    assert chosen.http.tls is not None
    assert chosen.http.tls.certificate == str(tmp_path / "other.pem")
    assert chosen.http.tls.key.startswith("-----BEGIN")
    assert "BEGIN" not in repr(chosen)
    assert chosen.database_tls is not None
    assert chosen.database_tls.ca == "/etc/ca.pem"
    wrong = {finding.code for finding in chosen.findings}
    assert wrong == {"JL-C060", "JL-C062"}, (
        "neither file is there, the key is none: told, and the engine starts"
    )


def test_a_password_of_a_key_in_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JL-C031"):
        site(tmp_path, "broker_tls: {certificate: a.pem, key_password: abc}\n")
