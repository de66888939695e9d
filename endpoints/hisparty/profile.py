"""How one HIS speaks: a YAML file, one of this folder's `profiles/` or of a site's `profiles/his/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from config.errors import ConfigError, Problem
from config.models import did_you_mean, problems_of
from config.registry import nearest
from config.text import At, read
from endpoints.hisparty.filling import parts_of
from endpoints.hisparty.operations import ASKS, KNOWN, UNDOES, WRITES, Write

SHIPPED = Path(__file__).parent / "profiles"
NAMES = (
    *("operation", "trade", "key", "settlement", "step", "direction", "now", "message"),
    *("content", "sign", "body"),
)
Said = Literal["yes", "no", "absent", "pending", "repeated", "unknown"]


def _texts(said: Any) -> Any:
    listed = said if isinstance(said, list) else [said]
    return [str(one) if isinstance(one, int) and not isinstance(one, bool) else one for one in listed]


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Codes = Mapping[Said, Texts]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Soap(_Model):
    """One operation whose argument is the message, or one for each trade: `{trade}`, `{operation}` in its name."""

    operation: str = "Call"
    namespace: str = "http://tempuri.org/"
    arguments: Mapping[str, str] = Field(
        {"xml": "$body"}, description="`$body` is the message, `$trade` a name"
    )
    form: Literal["text", "cdata"] = Field("text", description="how it stands there; `text` is escaped")
    version: Literal["1.1", "1.2"] = "1.1"
    soap_action: str = Field("", description="with `{trade}`; by default the namespace and the operation")
    charset: str = Field("UTF-8", description="of the whole request")
    result: str = Field("", description="the element that holds the answer; by default the first with text")


class Gateway(_Model):
    """JSON, or a form whose fields are those of `body`."""

    path: str = Field("", description="behind the url, with `{trade}`, `{operation}`")
    form: Literal["json", "form"] = "json"
    charset: str = "UTF-8"


class Speaks(_Model):
    soap: Soap | None = None
    json_: Gateway | None = Field(None, alias="json")

    @model_validator(mode="after")
    def _one(self) -> Speaks:
        if (self.soap is None) == (self.json_ is None):
            raise ValueError("say `soap` or `json`")
        return self


class Sign(_Model):
    """`{md5: "{secret}{content}"}`: digest of a text, or `{rsa: "{content}"}`: SHA-256 with RSA in Base64.

    `{content}` is the content as it stands in the message, `{secret}` the option `sign_key`; the names too.
    """

    md5: str = ""
    rsa: str = ""
    upper: bool = Field(True, description="of an MD5: upper-case hexadecimal")
    charset: str = "UTF-8"


class AnswerAt(_Model):
    """Where an answer says what. Paths in the tree of its XML or JSON."""

    code: str
    text: str = ""
    content: str = Field("", description="elements, or a text that holds XML or JSON; by default all of it")


class Operation(_Model):
    """`rows` to `by` are of a query, `proof` of what is proved by one."""

    trade: str = ""
    send: Mapping[str, Any] = {}
    keep: Mapping[str, Any] = Field({}, description="of a query: of each row")
    codes: Codes = Field({}, description="over the profile's own")
    rows: str = Field("", description="the list of what a query found; without it, all of the content is one")
    live: Mapping[str, Texts] = Field(
        {}, description="`{$.Status: ['1']}`: rows that hold; others were taken back"
    )
    by: str = Field("", description="rows are parts by this; two of one are one thing done twice")
    proof: Mapping[str, str] = Field({}, description="`{amount: $.total}`: what a query must show of it")
    before: bool = Field(True, description="whether the query is asked before it is sent, too")
    ask: str = ""
    undo: str = ""


class Profile(_Model):
    his: str
    title: str = ""
    speaks: Speaks
    settings: Mapping[str, str] = Field({}, description="what a system must say: name and what it is")
    body: Any = Field("$content", description="the message around the content")
    content: Literal["tree", "xml", "json"] = Field("tree", description="how `$content` stands in it")
    content_root: str = Field("Content", description="the root element where it is `xml`")
    prolog: str = Field(
        "", description="the encoding that XML texts declare, whatever they travel in: `gb2312`"
    )
    empty: Literal["omit", "element"] = Field("omit", description="what has no value")
    sign: Sign | None = None
    answer: AnswerAt
    codes: Codes
    otherwise: Said = Field("unknown", description="what a code means that stands nowhere")
    operations: Mapping[str, Operation]

    def write(self, name: str) -> Write | None:
        """None for what changes nothing. What the HIS has no operation for is ''."""
        op = self.operations.get(name)
        usual = WRITES.get(name)
        if op is None or (usual is None and not (op.ask or op.undo)):
            return None
        ask, undo = op.ask or (usual.ask if usual else ""), op.undo or (usual.undo if usual else "")
        has = self.operations
        return Write(ask if ask in has else "", undo if undo in has else "")

    def undoes(self, name: str) -> str:
        """What an operation takes back; '' where it takes nothing back."""
        own = next((write for write, op in self.operations.items() if op.undo == name), "")
        return own or UNDOES.get(name, "")

    def shows(self, name: str) -> str:
        """What a query is about; '' where it is no query of a write."""
        own = next((write for write, op in self.operations.items() if op.ask == name), "")
        return own or ASKS.get(name, "")

    def faults(self) -> list[Problem]:
        """What the model cannot say."""
        known = {*NAMES, *self.settings}
        found: list[Problem] = []
        templates: list[tuple[At, Any]] = [(("body",), self.body), (("answer",), self.answer.model_dump())]
        for name, op in self.operations.items():
            at: At = ("operations", name)
            own = {op.ask, op.undo} | {n for one in self.operations.values() for n in (one.ask, one.undo)}
            if name not in (*KNOWN, *own) and not (op.ask or op.undo or op.keep):
                what = f"{name!r} is nothing that is asked of a HIS"
                found.append(
                    Problem(at, "JL-C014", what, did_you_mean(nearest(name, KNOWN), KNOWN), on_key=True)
                )
            read = {"rows": op.rows, "by": op.by, "proof": op.proof, "live": list(op.live)}
            templates += [((*at, "send"), op.send), ((*at, "keep"), op.keep), (at, read)]
        for place, template in templates:
            try:
                wrong = [one.name for one in parts_of(template) if one.name and one.name not in known]
            except ValueError as error:
                found.append(Problem(place, "JL-C101", str(error)))
                continue
            found += [
                Problem(
                    at, "JL-C101", f"${one} is no name here", did_you_mean(nearest(one, known), sorted(known))
                )
                for one in wrong
            ]
        return found


def shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def file_of(name: str, site: Path) -> Path | None:
    """The site's own comes first."""
    both = (site / "profiles" / "his" / f"{name}.yaml", SHIPPED / f"{name}.yaml")
    return next((path for path in both if path.is_file()), None)


def load(path: Path, shown_as: str = "") -> Profile:
    """Raises ConfigError with all that is wrong."""
    document = read(path, shown_as or path.name)
    problems: list[Problem] = [*document.problems]
    try:
        made = Profile.model_validate(document.data)
        problems += made.faults()
    except ValidationError as error:
        problems += problems_of(error, Profile)
    if problems:
        raise ConfigError(document.findings(problems))
    return made
