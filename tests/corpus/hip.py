"""The XSDs of the hospital platform as an oracle: what messages are made of, in which order.

They are another party's, and lie beside the repository (`../shared/hip`). What in them is one site's is relaxed: that
is written here, and applied to a schema in memory. Besides, an element that says `nullFlavor` needs nothing else, as
HL7 V3 has it of every data type (ISO 21090, ANY.nullFlavor); these schemas know no such attribute.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lxml import etree

from config.settings import ROOT

SERVICES = ROOT.parent / "shared" / "hip" / "schemas" / "services"
XS = {"xs": "http://www.w3.org/2001/XMLSchema"}


class Relaxed(NamedTuple):
    """What of a schema (`which`, XPath) is relaxed, and why."""

    why: str
    which: str
    pattern: str = r"(.|\n)*"


# Attributes that may be any text of a pattern.
TEXTS = (
    Relaxed(
        "a number is as long as who gives it has it: 7 to 36 letters, 18, or digits alone are one site's",
        "//xs:attribute[@name='extension']",
        r"\S(.*\S)?",
    ),
    Relaxed(
        "a name beside a code is for people, and differs between editions of a table",
        "//xs:element[@name='displayName']//xs:attribute[@name='value']",
    ),
    Relaxed(
        "a time ends where it is not known (HL7 V3 TS)",
        "//xs:attribute[.//xs:pattern[contains(@value, '0229')]]",
        r"[0-9]{4}([0-9]{2}){0,5}",
    ),
    Relaxed(
        "a telephone number is no number: it begins with 0 or +, and may have marks in it",
        "//xs:complexType[@name='BAG_TEL']//xs:attribute[@name='value']",
    ),
)
# Elements and attributes that may be left out.
OPTIONAL = (
    Relaxed(
        "its own comment: there is none where an order has no parent", "//xs:element[@name='occurrenceOf']"
    ),
    Relaxed(
        "its comment: both may be without a value", "//xs:element[@name='expectedUseTime']//xs:attribute"
    ),
)


def schema(service: str) -> etree.XMLSchema:
    """A service's schema with the overlay over it."""
    tree = etree.parse(SERVICES / f"{service}.xsd")
    for relaxed in TEXTS:
        for attribute in tree.xpath(relaxed.which, namespaces=XS):
            _free(attribute, relaxed.pattern)
    for relaxed in OPTIONAL:
        for found in tree.xpath(relaxed.which, namespaces=XS):
            name, value = ("use", "optional") if found.tag.endswith("}attribute") else ("minOccurs", "0")
            found.set(name, value)
    return etree.XMLSchema(tree)


def _free(attribute: Any, pattern: str) -> None:
    attribute.attrib.pop("type", None)
    for child in list(attribute):
        attribute.remove(child)
    kind = etree.SubElement(attribute, f"{{{XS['xs']}}}simpleType")
    limits = etree.SubElement(kind, f"{{{XS['xs']}}}restriction", base="xs:string")
    etree.SubElement(limits, f"{{{XS['xs']}}}pattern", value=pattern)


def faults(service: etree.XMLSchema, document: Any) -> list[str]:
    """What is not valid, by place."""
    service.validate(document)
    tree = document.getroottree()
    found = [(error.path, error.message) for error in service.error_log]
    return [f"{_place(tree, path)}: {text}" for path, text in found if not _unknown(tree, path)]


def _unknown(tree: Any, path: str) -> bool:
    """Whether an element says that it is not known, or stands in one that does."""
    return any(node.get("nullFlavor") for node in tree.xpath(f"{path}/ancestor-or-self::*"))


def _place(tree: Any, path: str) -> str:
    return "/".join(etree.QName(node).localname for node in tree.xpath(f"{path}/ancestor-or-self::*"))
