"""Environment and jingluo.yaml to one frozen `Settings`.

A site is a folder with `jingluo.yaml`, `systems.yaml`, `channels/`, `maps/`, `tables/`; without one the
example hospital of this repository runs. Every setting can be set from outside: `JINGLUO_BROKER`,
`JINGLUO_HTTP_PORT`, ... (the keys in capitals, joined by `_`).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from config.alert_settings import AlertSettings
from config.environment import laid_over
from config.errors import ConfigError, Finding, JingluoError, Problem
from config.insurance_settings import InsurancePlace, InsuranceSettings
from config.models import old_names, problems_of, successor
from config.replay_settings import ReplaySettings
from config.secrets import NoSecret, Secret, Secrets, inline_secrets
from config.text import At, Document, read
from config.tls import ClientTls, Identity, ServerTls
from config.tls_files import problems_of_files
from config.units import Seconds, Size

Role = Literal["intake", "delivery", "journal"]
ROLES: tuple[Role, ...] = get_args(Role)

Tls = TypeVar("Tls", bound=Identity)
THIS_MACHINE = ("127.0.0.1", "::1", "localhost")

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("config", "schemas", "transforms", "endpoints", "channels", "router")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Part):
    """The engine's one HTTP server: REST doors, operator API, health and metrics."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535, description="0 takes any free port")
    tls: ServerTls | None = Field(default=None, description="without it, plain HTTP")


class LimitSettings(_Part):
    """What one message and one process may take."""

    body: Size = Field(default=100_000_000, description="the largest message that is accepted")
    whole: Size = Field(
        default=10_000_000,
        description="the largest body that is held whole: for a map, or a condition on JSON or XML",
    )
    connections: int = Field(default=1000, ge=1, description="open connections at once, over all doors")


class LogSettings(_Part):
    """The engine's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "console"


class SecretSettings(_Part):
    """Where `secret://name` is answered: one of the two, else the environment's JINGLUO_SECRET_NAME."""

    file: str = Field(
        default="", description="a YAML file of `name: 'value'` lines, outside the site's repository"
    )
    folder: str = Field(
        default="", description="a folder with a file a secret, as Docker and Kubernetes mount them"
    )
    dir: str = Field(default="", description="its old name", json_schema_extra=successor("folder"))


def _listed(value: Any) -> Any:
    """`intake,delivery`, as a variable or an option says it."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class KeySettings(_Part):
    """The key that seals what lies on disk, and those before it."""

    key: Secret = Field(
        default=Secret(""),
        description="`secret://name` of 32 hexadecimal digits; without one, site.key in `var` is made and used",
    )
    old_keys: Annotated[tuple[Secret, ...], BeforeValidator(_listed)] = Field(
        default=(), description="keys before this one: what they sealed stays readable"
    )


class KeepSettings(_Part):
    """For how long after the end of its day (UTC) something is kept. Not said: for good."""

    body: Seconds | None = None
    rows: Seconds | None = None


class JournalSettings(KeySettings):
    """The journal's rows are sealed with the site's key."""

    keep: KeepSettings = Field(
        default=KeepSettings(), description="of channels that say nothing themselves, or are no more"
    )


class BlobSettings(KeySettings):
    """Where bodies over 1 MB lie, sealed. Processes that share the work share folder and key."""

    folder: str = Field(default="", description="a folder, or a share; by default blobs in `var`")
    free: Size = Field(default=1_000_000_000, description="of the disk, what large bodies leave to others")


K = TypeVar("K", bound=KeySettings)


class SettingsText(_Part):
    """jingluo.yaml. Every key is optional."""

    roles: Annotated[tuple[Role, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        default=ROLES, description="what this process does; several processes need RabbitMQ between them"
    )
    broker: Secret = Field(
        default=Secret("embedded"), description="`embedded`, or AMQP URLs with commas between"
    )
    broker_tls: ClientTls = Field(default=ClientTls(), description="of amqps:// addresses")
    database: Secret = Field(
        default=Secret(""), description="an SQLAlchemy URL; by default jingluo.db in `var`"
    )
    database_tls: Identity | None = Field(
        default=None, description="PostgreSQL only by TLS, its certificate and name verified"
    )
    var: str = Field(default="var", description="folder of what the engine writes, relative to the site")
    journal: JournalSettings = JournalSettings()
    insurance: InsuranceSettings = InsuranceSettings()
    blobs: BlobSettings = BlobSettings()
    replay: ReplaySettings = ReplaySettings()
    alerts: AlertSettings = Field(
        default=AlertSettings(), description="of channels, where their own `alert` says nothing"
    )
    http: HttpSettings = HttpSettings()
    limits: LimitSettings = LimitSettings()
    stop_within: Seconds = Field(
        default=30.0, description="how long a stop may take to finish what is in flight"
    )
    log: LogSettings = LogSettings()
    secrets: SecretSettings = SecretSettings()


class Settings(_Part):
    """What a process runs with. All paths are absolute; of `maps` and `tables` the site's own come first.

    `database` and the journal's keys are empty where the roles have no use for them: then nothing asks for their
    secrets either.
    """

    roles: tuple[Role, ...]
    site: Path
    channels: Path
    systems: Path
    maps: tuple[Path, ...]
    tables: tuple[Path, ...]
    schemas: Path  # what channels are validated by
    broker: Secret
    broker_tls: ClientTls
    database: Secret
    database_tls: Identity | None
    journal: JournalSettings
    insurance: InsurancePlace
    blobs: BlobSettings
    replay: ReplaySettings
    alerts: AlertSettings
    var: Path
    http: HttpSettings
    limits: LimitSettings
    stop_within: float  # seconds
    log: LogSettings
    secrets: SecretSettings
    findings: tuple[Finding, ...] = ()  # warnings about jingluo.yaml, and all about its certificates

    def open_secrets(self, env: Mapping[str, str] = os.environ) -> Secrets:
        """Raises ConfigError where the secrets' file cannot be read."""
        return _open_secrets(self.secrets, self.site, env)


def load_settings(site: Path | None = None, env: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a site: that of JINGLUO_SITE, else the example hospital. Raises ConfigError."""
    check_packages()
    if site is None and env.get("JINGLUO_SITE"):
        site = Path(env["JINGLUO_SITE"])
    base = site.resolve() if site else ROOT
    home = base if site else base / "config"
    if not base.is_dir():
        raise ConfigError([Finding(str(site), 1, 1, "JL-C001", "this site is no folder")])
    path = home / "jingluo.yaml"
    document = _read_settings(path, str(path.relative_to(base)), env)
    text, warnings = _settings_text(document, env)
    secrets = _open_secrets(text.secrets, base, env)
    var = base / text.var
    database, database_tls = text.database, text.database_tls
    if "journal" not in text.roles:
        database, database_tls = Secret(""), None
    tls = _Tls(base, document, secrets)
    http = text.http
    if http.tls is not None:
        http = http.model_copy(update={"tls": tls.ready(http.tls, ("http", "tls"), http.host)})
    if database_tls is not None:
        database_tls = tls.ready(database_tls, ("database_tls",))
    return Settings(
        roles=text.roles,
        site=base,
        channels=base / "channels",
        systems=home / "systems.yaml",
        maps=_with_own(site and base / "maps", ROOT / "transforms" / "maps"),
        tables=_with_own(site and base / "tables", ROOT / "schemas" / "tables"),
        schemas=base / "schemas",
        broker=_filled(text.broker, ("broker",), document, secrets),
        broker_tls=tls.ready(text.broker_tls, ("broker_tls",)),
        database=_database(_filled(database, ("database",), document, secrets), base, var),
        database_tls=database_tls,
        journal=_with_keys(text.journal, "journal", document, secrets)
        if "journal" in text.roles
        else JournalSettings(keep=text.journal.keep),
        insurance=_insurance(text, base, var, document, secrets),
        blobs=_blobs(text.blobs, base, var, document, secrets),
        replay=text.replay,
        alerts=text.alerts,
        var=var,
        http=http,
        limits=text.limits,
        stop_within=text.stop_within,
        log=text.log,
        secrets=text.secrets,
        findings=(*warnings, *document.findings(tls.problems)),
    )


def check_packages() -> None:
    """Another distribution can bring its own `config/` and hide ours. Raises JingluoError (JL-C009)."""
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        home = Path(found.origin).resolve().parent.parent if found and found.origin else None
        if home != ROOT:
            raise JingluoError(
                "JL-C009",
                f"the package {name!r} comes from {home}, not from {ROOT}: another installation hides it",
            )


def _read_settings(path: Path, shown_as: str, env: Mapping[str, str]) -> Document:
    if not path.exists():  # a site without its own settings runs with the defaults
        return Document(shown_as, {})
    document = read(path, shown_as, env)
    return Document(shown_as, {}, document.problems) if document.data is None else document


def _settings_text(document: Document, env: Mapping[str, str]) -> tuple[SettingsText, list[Finding]]:
    problems = list(document.problems)
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError([document.finding(Problem((), "JL-C012", "must be a mapping of settings"))])
    problems += [*inline_secrets(data, ()), *old_names(data, SettingsText)]
    problems += [problem for name in ("journal", "blobs") for problem in _keys_inline(name, data.get(name))]
    data, outside = laid_over(data, env, SettingsText)
    made = None
    try:
        made = SettingsText.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, SettingsText)
    else:
        if made.broker == "embedded" and set(made.roles) != set(ROLES):
            what = "the embedded broker is one process's own: that process has every role"
            problems.append(Problem(("roles",), "JL-C044", what, "several processes need RabbitMQ"))
        if made.http.tls is None and made.http.host not in THIS_MACHINE:
            what = "who operates the engine from another machine sends the token in clear"
            problems.append(Problem(("http", "host"), "JL-C069", what, "give `http` a `tls`", "warning"))
        apart = ("intake" in made.roles) != ("delivery" in made.roles)
        if made.broker != "embedded" and apart and not (made.blobs.folder and made.blobs.key):
            what = "bodies over 1 MB lie in a folder that intake and delivery share, and so must its key be"
            hint = "write blobs: {folder: ..., key: secret://name}, the same for both"
            problems.append(Problem(("roles",), "JL-C049", what, hint, "warning"))
    findings = sorted({_finding(document, problem, outside) for problem in problems})
    if made is None or any(finding.severity == "error" for finding in findings):
        raise ConfigError(findings)
    return made, findings


def _finding(document: Document, problem: Problem, outside: Mapping[At, str]) -> Finding:
    """A mistake in a variable is not the file's."""
    if problem.at in outside:
        return Finding(
            outside[problem.at], 1, 1, problem.code, problem.message, problem.hint, problem.severity
        )
    return document.finding(problem)


def _open_secrets(where: SecretSettings, site: Path, env: Mapping[str, str]) -> Secrets:
    if where.file:
        return Secrets.of_file(site / where.file)
    if folder := where.folder or where.dir:
        return Secrets(str(site / folder), folder=site / folder)
    return Secrets.of_env(env)


def _keys_inline(section: str, said: Any) -> list[Problem]:
    """A key that stands in the file, as text or (quotes forgotten) as a number."""
    said = said if isinstance(said, dict) else {}
    older = said.get("old_keys")
    places: list[tuple[At, Any]] = [((section, "key"), said.get("key"))]
    places += [
        ((section, "old_keys", n), key) for n, key in enumerate(older if isinstance(older, list) else ())
    ]
    return [
        Problem(at, "JL-C031", "a key stands in the file", "write secret://name in its place")
        for at, key in places
        if key and not str(key).startswith("secret://")
    ]


def _with_keys(said: K, section: str, document: Document, secrets: Secrets) -> K:
    old_keys = tuple(
        _filled(key, (section, "old_keys", n), document, secrets) for n, key in enumerate(said.old_keys)
    )
    key = _filled(said.key, (section, "key"), document, secrets)
    return said.model_copy(update={"key": key, "old_keys": old_keys})


def _insurance(
    text: SettingsText, base: Path, var: Path, document: Document, secrets: Secrets
) -> InsurancePlace:
    """Every role may talk with a centre. One that has no secret of the database's runs without: it is said on use."""
    tls = _Tls(base, document, secrets)
    try:
        database = _database(_filled(text.database, ("database",), document, secrets), base, var)
        said = _with_keys(text.journal, "journal", document, secrets)
        secured = tls.ready(text.database_tls, ("database_tls",)) if text.database_tls is not None else None
    except ConfigError:
        return InsurancePlace(keep=text.insurance.keep)
    return InsurancePlace(
        keep=text.insurance.keep,
        database=Secret("") if tls.problems else database,
        database_tls=secured,
        key=said.key,
        old_keys=said.old_keys,
    )


def _blobs(said: BlobSettings, site: Path, var: Path, document: Document, secrets: Secrets) -> BlobSettings:
    """Every role has a use for it: intake writes them, delivery reads, the journal shows."""
    folder = site / said.folder if said.folder else var / "blobs"
    return _with_keys(said, "blobs", document, secrets).model_copy(update={"folder": str(folder)})


class _Tls:
    """Makes the settings' TLS ready for use, and gathers what is wrong with its files."""

    def __init__(self, base: Path, document: Document, secrets: Secrets) -> None:
        self._base, self._document, self._secrets = base, document, secrets
        self.problems: list[Problem] = []

    def ready(self, tls: Tls, at: At, host: str = "") -> Tls:
        """With its secrets answered and its files' names absolute."""
        secret = {
            name: _filled(getattr(tls, name), (*at, name), self._document, self._secrets)
            for name in ("key", "key_password")
        }
        made = tls.model_copy(update=secret)
        for problem in problems_of_files(made, self._base, host):
            self.problems.append(replace(problem, at=(*at, *problem.at)))
        return made.within(self._base)


def _filled(text: str, at: At, document: Document, secrets: Secrets) -> Secret:
    try:
        return Secret(secrets.fill(text))
    except NoSecret as error:
        raise ConfigError([document.finding(Problem(at, "JL-C032", str(error)))]) from None


def _database(url: Secret, site: Path, var: Path) -> Secret:
    """A relative SQLite file is the site's, whatever folder the process was started in."""
    if not url:
        return Secret(f"sqlite:///{var / 'jingluo.db'}")
    scheme, mark, rest = url.partition(":///")
    if scheme.startswith("sqlite") and mark and not rest.startswith(("/", ":memory:")):
        return Secret(f"{scheme}:///{site / rest}")
    return url


def _with_own(own: Path | None, shipped: Path) -> tuple[Path, ...]:
    return (own, shipped) if own is not None and own.is_dir() else (shipped,)
