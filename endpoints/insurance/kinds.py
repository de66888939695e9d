"""The catalogues 1301–1319 as they are today: their columns, and what people name an item by."""

from __future__ import annotations

from functools import cache

from config.errors import BadMessage
from config.registry import nearest
from endpoints.insurance.catalogues import Layout
from schemas.nhsa import catalogue

# By kind: the column of an item's code, then those of its names. The first name that is there is shown.
_NAMED = {
    "1301": ("med_list_codg", "reg_name", "drug_genname", "drug_prodname"),
    "1302": ("med_list_codg", "tcmherb_name", "mlms_name"),
    "1303": ("med_list_codg", "drug_prodname", "alis"),
    "1304": ("med_list_codg", "drug_genname", "drug_prodname"),
    "1305": ("med_list_codg", "servitem_name"),
    "1306": ("med_list_codg", "mcs_name", "hi_genname"),
    "1307": ("diag_code", "diag_name"),
    "1308": ("oprn_oprt_code", "oprn_oprt_name"),
    "1309": ("opsp_dise_code", "opsp_dise_name"),
    "1310": ("bydise_setl_list_code", "bydise_setl_dise_name"),
    "1311": ("daysrg_dise_list_code", "daysrg_dise_name"),
    "1312": ("hilist_code", "hilist_name"),
    "1313": ("mpy_type_code", "mpy_type"),
    "1314": ("dise_type_code", "dise_type_name"),
    "1315": ("sds_type_code", "sds_type_name"),
    "1316": ("med_list_codg", "hilist_code"),
    "1317": ("medins_list_codg", "medins_list_name"),
    "1318": ("hilist_code", "hilist_lmtpric_type"),
    "1319": ("hilist_code", "selfpay_prop_type"),
}
PAGED = ("1304", "1312", "1316", "1317", "1318", "1319")
KINDS = tuple(_NAMED)
# What a hospital's own items are mapped to (3301): drugs, herbs, preparations, services, consumables.
ITEMS = ("1301", "1302", "1303", "1304", "1305", "1306")


@cache
def layout(kind: str) -> Layout:
    """Raises BadMessage JL-N111 where there is no such catalogue."""
    if kind not in _NAMED:
        near = nearest(kind, KINDS)
        hint = f"; did you mean {near}? 是否为 {near}" if near else f"; there are {', '.join(KINDS)}"
        raise BadMessage("JL-N111", f"no catalogue is called {kind[:20]!r} 没有此目录{hint}")
    code, *labels = _NAMED[kind]
    name = catalogue.transaction(kind).name_zh.removesuffix("下载")
    if kind not in PAGED:
        columns = tuple(one.name for one in catalogue.columns(kind))
        return Layout(kind, name, columns, code, tuple(labels))
    fields = next(node.fields for node in catalogue.transaction(kind).output if node.name == "data")
    aliases = tuple((alias, one.name) for one in fields for alias in one.aliases)
    return Layout(kind, name, tuple(one.name for one in fields), code, tuple(labels), True, aliases)
