"""What systems.yaml says of a contract with an aggregator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from config.errors import ConfigError, Problem
from config.models import did_you_mean
from config.registry import nearest
from config.secrets import Secret
from endpoints.payment.aggregated.profile import Profile, file_of, load, shipped
from endpoints.payment.aggregated.signing import Signer
from endpoints.payment.options import PaymentOptions
from endpoints.rest.sending import SendOptions


class Keys:
    """What an order's side and a notice's side say alike. A mixin: the options have these fields."""

    profile: str
    sign_key: Secret
    private_key: Secret
    public_key: str

    def known_profile(self, site: Path) -> Profile:
        """Raises ConfigError, and LookupError where there is no such profile."""
        path = file_of(self.profile, site)
        if path is None:
            raise LookupError(self.profile)
        return load(path)

    def signer(self, profile: Profile) -> Signer:
        """Raises ValueError."""
        return Signer(profile.sign, str(self.sign_key), str(self.private_key), self.public_key)

    def looked_at(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        """The profile's file; what is wrong with it or with the keys goes to `problems`."""
        path = file_of(self.profile, site)
        if path is None:
            own = sorted(one.stem for one in (site / "profiles" / "aggregated").glob("*.yaml"))
            known = sorted({*own, *shipped()})
            hint = did_you_mean(nearest(self.profile, known), known)
            problems.append(Problem(("profile",), "JL-C014", f"there is no profile {self.profile!r}", hint))
            return ()
        try:
            self.signer(load(path))
        except ConfigError as error:
            problems.append(Problem(("profile",), "JL-C014", str(error)))
        except ValueError as error:
            problems.append(Problem(("profile",), "JL-C011", str(error)))
        return (path,)


class AggregatedOptions(Keys, PaymentOptions, SendOptions):
    """`joint: {kind: aggregated, profile: example, url: ..., merchant: ..., sign_key: secret://joint}`."""

    profile: str = Field(description="a file of the site's `profiles/aggregated/`, or one that is shipped")
    url: str = Field(pattern=r"^https?://[^/\s]")
    merchant: str = Field(min_length=1, max_length=40, description="商户号")
    terminal: str = Field("", max_length=40, description="终端号, where the profile sends one")
    sign_key: Secret = Field(Secret(""), description="of MD5 and HMAC, as `secret://name`")
    private_key: Secret = Field(Secret(""), description="of RSA and SM2: ours, as `secret://name`")
    public_key: str = Field("", description="of RSA and SM2: the aggregator's")
    notify_url: str = Field("", description="where it sends its notices: the public address of a source")
    subject: str = Field(
        "医疗费用", min_length=1, max_length=128, description="订单标题: no diagnosis, no name"
    )

    def files(self, site: Path, problems: list[Problem]) -> Sequence[Path]:
        return self.looked_at(site, problems)

    @property
    def us(self) -> Mapping[str, str]:
        return {
            "merchant": self.merchant,
            "terminal": self.terminal,
            "notify_url": self.notify_url,
            "subject": self.subject,
        }
