"""What the example laboratory measures: three panels with codes, units, ranges, and results by chance."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Item:
    """One measured thing. `low` and `high` bound what is normal; `places` are its decimals."""

    loinc: str
    short: str
    name: str
    unit: str = ""  # UCUM; none where the result is a word
    low: float = 0
    high: float = 0
    places: int = 1


@dataclass(frozen=True, slots=True)
class Panel:
    loinc: str
    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """A result as OBX says it: `kind` is OBX-2 (NM, SN, ST), `flag` OBX-8."""

    item: Item
    kind: str
    value: str
    flag: str


BLOOD = Panel(
    "58410-2",
    "血常规",
    (
        Item("6690-2", "WBC", "白细胞计数", "10*9/L", 3.5, 9.5),
        Item("789-8", "RBC", "红细胞计数", "10*12/L", 3.8, 5.8, 2),
        Item("718-7", "HGB", "血红蛋白", "g/L", 115, 175, 0),
        Item("4544-3", "HCT", "红细胞压积", "%", 35, 50),
        Item("787-2", "MCV", "平均红细胞体积", "fL", 82, 100),
        Item("785-6", "MCH", "平均红细胞血红蛋白量", "pg", 27, 34),
        Item("786-4", "MCHC", "平均红细胞血红蛋白浓度", "g/L", 316, 354, 0),
        Item("788-0", "RDW", "红细胞分布宽度", "%", 11.5, 14.5),
        Item("777-3", "PLT", "血小板计数", "10*9/L", 125, 350, 0),
        Item("32623-1", "MPV", "平均血小板体积", "fL", 7.4, 12.5),
        Item("770-8", "NEUT%", "中性粒细胞百分比", "%", 40, 75),
        Item("736-9", "LYMPH%", "淋巴细胞百分比", "%", 20, 50),
        Item("5905-5", "MONO%", "单核细胞百分比", "%", 3, 10),
        Item("713-8", "EO%", "嗜酸性粒细胞百分比", "%", 0.4, 8),
        Item("706-2", "BASO%", "嗜碱性粒细胞百分比", "%", 0, 1, 2),
        Item("751-8", "NEUT#", "中性粒细胞绝对值", "10*9/L", 1.8, 6.3, 2),
        Item("731-0", "LYMPH#", "淋巴细胞绝对值", "10*9/L", 1.1, 3.2, 2),
        Item("742-7", "MONO#", "单核细胞绝对值", "10*9/L", 0.1, 0.6, 2),
        Item("711-2", "EO#", "嗜酸性粒细胞绝对值", "10*9/L", 0.02, 0.52, 2),
        Item("704-7", "BASO#", "嗜碱性粒细胞绝对值", "10*9/L", 0, 0.06, 2),
        Item("1988-5", "CRP", "C反应蛋白", "mg/L", 0.5, 10),
    ),
)
CHEMISTRY = Panel(
    "24323-8",
    "生化全套",
    (
        Item("1742-6", "ALT", "丙氨酸氨基转移酶", "U/L", 7, 40, 0),
        Item("1920-8", "AST", "天门冬氨酸氨基转移酶", "U/L", 13, 35, 0),
        Item("2885-2", "TP", "总蛋白", "g/L", 65, 85),
        Item("1751-7", "ALB", "白蛋白", "g/L", 40, 55),
        Item("14631-6", "TBIL", "总胆红素", "umol/L", 3.4, 21),
        Item("14749-6", "GLU", "葡萄糖", "mmol/L", 3.9, 6.1, 2),
        Item("22664-7", "UREA", "尿素", "mmol/L", 2.6, 7.5, 2),
        Item("14682-9", "CREA", "肌酐", "umol/L", 41, 81, 0),
        Item("2823-3", "K", "钾", "mmol/L", 3.5, 5.3, 2),
        Item("2951-2", "NA", "钠", "mmol/L", 137, 147),
        Item("2075-0", "CL", "氯", "mmol/L", 99, 110),
        Item("2000-8", "CA", "钙", "mmol/L", 2.11, 2.52, 2),
        Item("14647-2", "CHOL", "总胆固醇", "mmol/L", 2.8, 5.2, 2),
        Item("14927-8", "TG", "甘油三酯", "mmol/L", 0.4, 1.7, 2),
    ),
)
URINE = Panel(
    "24356-8",
    "尿常规",
    (
        Item("2756-5", "PH", "酸碱度", "[pH]", 5, 8),
        Item("2965-2", "SG", "比重", "1", 1.003, 1.03, 3),
        Item("20454-5", "PRO", "尿蛋白"),
        Item("25428-4", "GLU", "尿糖"),
        Item("2514-8", "KET", "酮体"),
        Item("5770-3", "BIL", "胆红素"),
        Item("5794-3", "BLD", "隐血"),
        Item("5802-4", "NIT", "亚硝酸盐"),
        Item("5799-2", "LEU", "白细胞酯酶"),
        Item("20405-7", "URO", "尿胆原"),
    ),
)
BOTH = Panel("24360-0", "血常规+生化", BLOOD.items[:16] + CHEMISTRY.items)
PANELS = {panel.loinc: panel for panel in (BLOOD, CHEMISTRY, URINE, BOTH)}


def measure(panel: Panel, chance: Random) -> list[Result]:
    """A result for every item: four of five normal, the rest flagged."""
    return [_measured(item, chance) for item in panel.items]


def _measured(item: Item, chance: Random) -> Result:
    if not item.unit:
        positive = chance.random() < 0.15
        return Result(item, "ST", "阳性(1+)" if positive else "阴性", "A" if positive else "N")
    width = item.high - item.low
    value = chance.uniform(item.low - width * 0.12, item.high + width * 0.12)
    if item.short == "CRP" and value < item.low:
        return Result(item, "SN", f"<^{item.low}", "N")  # below what the instrument can see
    text = f"{max(value, 0):.{item.places}f}"
    flag = "L" if float(text) < item.low else "H" if float(text) > item.high else "N"
    return Result(item, "NM", text, flag)
