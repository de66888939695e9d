"""The WSDL of a convention, for a site that has none: one operation, with the names that the site says."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from endpoints.webservice.wsdl import Contract, load

_TEMPLATE = Path(__file__).parent / "conventions" / "service.wsdl"


def own_contract(service: str, namespace: str, operation: str, action: str, message: str) -> Contract:
    """Raises BadWsdl, for names that are none."""
    text = _TEMPLATE.read_text("utf-8")
    names = {
        "namespace-slash": namespace.rstrip("/") + "/",
        "namespace": namespace,
        "operation": operation,
        "service": service,
        "action": action,
        "message": message,
    }
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", escape(value, {'"': "&quot;"}))
    file = _TEMPLATE.with_name(f"{service}.wsdl")
    return load(file, file.parent, text.encode())
