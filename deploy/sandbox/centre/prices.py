"""The centre's price list: what it pays of an item, by codes that do not exist. A code that is not here is 自费."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Price:
    """`level` is chrgitm_lv: 01 甲类, 02 乙类, 03 自费. `limit_fen` is pric_uplmt_amt, 0 for none.

    `prop_bp` is selfpay_prop in basis points (1000 = 0.1), of 乙类. `restricted` is lmt_used_flag.
    """

    code: str
    name: str
    level: str
    prop_bp: int = 0
    limit_fen: int = 0
    restricted: bool = False
    kind: str = "09"  # med_chrgitm_type
    list_type: str = "101"
    basic: bool = False  # bas_medn_flag


_PRICES = (
    Price("XTEST000000000000001", "示例阿莫西林胶囊", "01", basic=True),
    Price("XTEST000000000000002", "示例头孢克肟片", "02", prop_bp=1000),
    Price("XTEST000000000000003", "示例营养口服液", "03", prop_bp=10000),
    Price("XTEST000000000000004", "示例靶向药注射液", "02", prop_bp=2000, restricted=True),
    Price("XTEST000000000000005", "示例限价片", "01", limit_fen=1000),
    Price("ZTEST000000000000001", "示例感冒颗粒", "01", kind="11"),
    Price("TTEST000000000000001", "示例当归饮片", "01", kind="10", list_type="102"),
    Price("STEST000000000000001", "示例普通门诊诊查费", "01", kind="02", list_type="201"),
    Price("STEST000000000000002", "示例血常规", "01", kind="04", list_type="201"),
    Price(
        "STEST000000000000003", "示例CT平扫", "02", prop_bp=500, limit_fen=30000, kind="03", list_type="201"
    ),
    Price("STEST000000000000004", "示例床位费", "01", limit_fen=5000, kind="01", list_type="201"),
    Price("STEST000000000000005", "示例阑尾切除术", "01", kind="06", list_type="201"),
    Price("STEST000000000000006", "示例护理费", "01", kind="07", list_type="201"),
    Price("CTEST000000000000001", "示例一次性注射器", "01", kind="08", list_type="301"),
    Price(
        "CTEST000000000000002",
        "示例人工晶体",
        "02",
        prop_bp=3000,
        limit_fen=200000,
        kind="08",
        list_type="301",
    ),
)
PRICES = {price.code: price for price in _PRICES}


def price_of(code: str) -> Price:
    """What an item is to the centre."""
    return PRICES.get(code) or Price(code, "", "03", prop_bp=10000, kind="14", list_type="105")
