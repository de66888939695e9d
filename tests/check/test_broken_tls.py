"""What a check says of certificates, which are made here: a repository holds no keys, and what it holds grows old."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from authority import Authority

from channels.report import check_site

CHANNEL = "channel: a\nfrom: {mllp: {port: 2601, HOST tls: {certificate: a.crt, key: a.key, client: none}}}\n"
REST = "format: hl7v2\nto:\n  out: {send: {file: {folder: out}}}\n"
HTTP = "channel: a\nfrom: {http: {path: /v1/a, tls: {client: required}}}\n"


class Site:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "channels").mkdir()
        self.ca = Authority(folder)
        self.ca.issue("a", "a.hospital.local")
        self.write(CHANNEL.replace("HOST", ""))

    def write(self, text: str, name: str = "channels/a.yaml") -> None:
        (self.folder / name).write_text(
            text + (REST if name.startswith("channels") else ""), encoding="utf-8"
        )

    def found(self, **env: str) -> list[tuple[str, str, str]]:
        """Place, code and severity of every finding."""
        return [
            (f"{f.file}:{f.line}:{f.column}", f.code, f.severity) for f in check_site(self.folder, env=env)
        ]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def _missing(site: Site) -> None:
    (site.folder / "a.crt").unlink()


def _no_certificate(site: Site) -> None:
    (site.folder / "a.crt").write_text("no certificate")


def _no_key(site: Site) -> None:
    (site.folder / "a.key").write_text("no key")


def _locked(site: Site) -> None:
    site.ca.issue("a", "a.hospital.local", password="invented")


def _others_key(site: Site) -> None:
    (site.folder / "a.key").write_bytes(site.ca.issue("b").key.read_bytes())


def _expired(site: Site) -> None:
    site.ca.issue("a", "a.hospital.local", days=-1)


def _soon(site: Site) -> None:
    site.ca.issue("a", "a.hospital.local", days=29)


def _other_name(site: Site) -> None:
    site.write(CHANNEL.replace("HOST", "host: b.hospital.local,"))


def _open_key(site: Site) -> None:
    (site.folder / "a.key").chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "key", "code", "severity"),
    [
        (_missing, "certificate", "JL-C060", "error"),
        (_no_certificate, "certificate", "JL-C061", "error"),
        (_no_key, "key", "JL-C062", "error"),
        (_locked, "key", "JL-C062", "error"),
        (_others_key, "key", "JL-C063", "error"),
        (_expired, "certificate", "JL-C064", "warning"),
        (_soon, "certificate", "JL-C064", "warning"),
        (_other_name, "certificate", "JL-C065", "warning"),
        (_open_key, "key", "JL-C066", "warning"),
    ],
)
def test_each_mistake_is_found_where_its_file_is_named(
    site: Site, spoil: Callable[[Site], None], key: str, code: str, severity: str
) -> None:
    assert site.found() == []
    spoil(site)
    line = (site.folder / "channels/a.yaml").read_text().splitlines()[1]
    column = line.index(f"{key}: ") + len(f"{key}: ") + 1
    assert site.found() == [(f"channels/a.yaml:2:{column}", code, severity)]


def test_a_key_that_tls_finds_too_weak_is_found(site: Site) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    site.ca.issue("a", "a.hospital.local", key=rsa.generate_private_key(65537, 1024))
    assert [code for _, code, _ in site.found()] == ["JL-C067"]


def test_an_entry_of_systems_is_told_where_it_stands(site: Site) -> None:
    site.write("systems:\n  lis: {kind: mllp, host: lis, port: 2575, tls: {ca: gone.pem}}\n", "systems.yaml")
    channel = site.folder / "channels/a.yaml"
    channel.write_text(
        "channel: a\nfrom: {mllp: {port: 2601}}\nformat: hl7v2\nto:\n  lis: {send: {system: lis}}\n"
    )
    assert site.found() == [("systems.yaml:2:54", "JL-C060", "error")]


def test_the_engines_own_certificates_are_looked_at_and_the_engine_still_starts(site: Site) -> None:
    site.write(
        "http: {port: 0, tls: {certificate: gone.crt}}\n"
        "broker_tls: {ca: gone.pem}\ndatabase_tls: {ca: a.key}\n",
        "jingluo.yaml",
    )
    assert site.found() == [
        ("jingluo.yaml:1:36", "JL-C060", "error"),
        ("jingluo.yaml:2:18", "JL-C060", "error"),
        ("jingluo.yaml:3:20", "JL-C061", "error"),
    ]


def test_a_door_of_http_asks_for_what_the_engines_server_does_not(site: Site) -> None:
    site.write(HTTP)
    assert site.found() == [("channels/a.yaml:2:42", "JL-C068", "error")]
    site.write(
        "http: {tls: {certificate: a.crt, key: a.key, client: optional, ca: test-authority.pem}}\n",
        "jingluo.yaml",
    )
    assert site.found() == []


def test_an_operators_door_in_clear_on_the_network_is_told(site: Site) -> None:
    site.write("http: {host: 0.0.0.0}\n", "jingluo.yaml")
    assert site.found() == [("jingluo.yaml:1:14", "JL-C069", "warning")]


def test_a_key_in_the_text_is_a_secret_in_the_text(site: Site) -> None:
    site.write('http: {tls: {certificate: a.crt, key: "-----BEGIN PRIVATE KEY----- x"}}\n', "jingluo.yaml")
    assert [code for _, code, _ in site.found()] == ["JL-C031"]


def test_a_key_by_secret_is_read_with_its_password(site: Site) -> None:
    locked = site.ca.issue("a", "a.hospital.local", password="invented")
    text = CHANNEL.replace("HOST", "").replace("a.key", "secret://key, key_password: secret://lock")
    site.write(text)
    secrets = {"JINGLUO_SECRET_KEY": locked.key.read_text(), "JINGLUO_SECRET_LOCK": "invented"}
    assert site.found(**secrets) == []
    assert [c for _, c, _ in site.found(**secrets | {"JINGLUO_SECRET_LOCK": "wrong"})] == ["JL-C062"]


def test_the_manual_explains_every_code_of_tls() -> None:
    root = Path(__file__).resolve().parents[2]
    manual = (root / "channels" / "README.md").read_text(encoding="utf-8")
    sources = "".join(path.read_text(encoding="utf-8") for path in (root / "config").glob("*.py"))
    codes = set(re.findall(r"JL-C06\d", sources)) | {"JL-C068"}
    assert sorted(code for code in codes if f"`{code}`" not in manual) == []
