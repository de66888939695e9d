"""`jingluo insurance list, show, check`: what a transaction is, and whether a request is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from config.errors import BadMessage, ConfigError

if TYPE_CHECKING:
    from schemas.nhsa.model import Field, Node, Transaction
    from schemas.nhsa.overlay import Profile, Side
    from schemas.validation.base import Fault

Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
Province = Annotated[str, typer.Option("--province", "-p", help="A profile: guangdong, hunan ... 省份")]

_NATURES = {
    "query": "query 查询",
    "preview": "preview 预结算",
    "upload": "upload 上传",
    "settle": "settle 结算",
    "reverse": "reverse 撤销",
    "file": "file 文件",
}
_TYPES = {
    "text": "字符型",
    "number": "数值型",
    "date": "日期型",
    "datetime": "日期时间型",
    "flag": "布尔型",
    "bytes": "字节数组",
    "node": "节点",
}


def listed(
    group: Annotated[
        str, typer.Option("--group", "-g", help="2 or 预结算: the group's number, or a word. 分组")
    ] = "",
    nature: Annotated[
        str, typer.Option("--nature", "-n", help="query, preview, upload, settle, reverse, file. 性质")
    ] = "",
    province: Province = "national",
    as_json: Json = False,
) -> None:
    """The transactions: the list of 115, later ones, mobile payment, e-vouchers, e-prescriptions. 交易列表"""
    from router.commands.asking import print_json

    if nature and nature not in _NATURES:
        _stop(f"there is no nature {nature!r}; known are {', '.join(_NATURES)}")
    found = [
        one for one in _profile(province).transactions() if _in(one, group) and nature in ("", one.nature)
    ]
    if as_json:
        print_json([_head(one) for one in found])
        return
    from router.commands.tables import headed, terminal

    made = headed("name", "名称", "group 分组", "nature 性质", "by 方向", "sure 可信度", "version 版本")
    for one in found:
        by = "centre 中心调用" if one.inbound else one.institution
        made.add_row(
            one.name, one.name_zh, one.group, _NATURES[one.nature], by, one.sure, one.version or "115"
        )
    terminal().print(made if found else "nothing found 未找到")


def show(
    name: Annotated[str, typer.Argument(help="2207, 2203A, MP-6201, D001, EC-QUERY. 交易")],
    province: Province = "national",
    schema: Annotated[bool, typer.Option("--schema", help="Its input as JSON Schema.")] = False,
    output: Annotated[bool, typer.Option("--output", help="With --schema: its output.")] = False,
    sample: Annotated[bool, typer.Option("--sample", help="An invented input that is valid. 示例")] = False,
    as_json: Json = False,
) -> None:
    """A transaction's nodes and fields, and what is done where its answer is lost. 查看交易"""
    from router.commands.asking import print_json

    of = _profile(province)
    one = _transaction(name, of)
    side: Side = "out" if output else "in"
    if schema:
        from schemas.nhsa.json_schema import json_schema

        typer.echo(json.dumps(json_schema(one, of, side), ensure_ascii=False, indent=1))
    elif sample:
        from schemas.json import Json as JsonFormat
        from schemas.nhsa.check import checker
        from schemas.nhsa.sample import sample as sampled

        tree = checker(one, of).normalized(sampled(one, of, side=side), side)
        typer.echo(JsonFormat().encode(tree).decode())
    elif as_json:
        print_json(_facts(one, of))
    else:
        _print(one, of)


def codes(
    name: Annotated[str, typer.Argument(help="insutype, med_type ...; without it, all lists. 字典")] = "",
    province: Province = "national",
    as_json: Json = False,
) -> None:
    """A code list: national codes, the province's, and those seen elsewhere; whether others are refused. 代码字典"""
    import msgspec

    from router.commands.asking import print_json
    from router.commands.tables import headed, terminal
    from schemas.nhsa.catalogue import Unknown, code_lists

    of = _profile(province)
    try:
        found = [of.code_list(one) for one in ([name] if name else [one.name for one in code_lists()])]
    except Unknown as error:
        _stop(str(error))
    if as_json:
        print_json([msgspec.to_builtins(one) for one in found])
        return
    made = headed("code", "名称", "where 使用地")
    if not name:
        made = headed("list", "名称", "codes", "others 其他代码", "sure 可信度")
    for one in found:
        others = "refused 拒绝" if one.closed else "let through 放行"
        if not name:
            made.add_row(one.name, one.name_zh, str(len(one.values)), others, one.sure)
            continue
        terminal().print(f"{one.name} {one.name_zh}: {one.sure}; others {others}", markup=False)
        for code, word in one.values.items():
            made.add_row(code, word, "")
        for code, word, where in one.local:
            if code not in one.values:
                made.add_row(code, word, where)
    terminal().print(made)


def check(
    file: Annotated[
        Path, typer.Argument(help="A request: an input, or a whole message.", exists=True, dir_okay=False)
    ],
    transaction: Annotated[
        str, typer.Option("--transaction", "-t", help="Where the file has no infno. 交易")
    ] = "",
    province: Province = "national",
    as_json: Json = False,
) -> None:
    """Holds a request (or an answer) against its tables. Exit code 0: valid, 1: faults, 2: cannot be read. 校验报文"""
    from router.commands.asking import print_json
    from schemas.json import Json as JsonFormat

    of = _profile(province)
    try:
        tree = JsonFormat().decode(file.read_bytes())
    except (BadMessage, OSError) as error:
        _stop(f"{file}: {error}")
    faults = list(_faults(tree, transaction, of))
    if as_json:
        print_json([fault._asdict() for fault in faults])
    else:
        for fault in faults:
            typer.echo(f"{fault.path or '/'}: {fault.code}: {fault.text}")
        typer.echo(f"{len(faults)} faults" if faults else "valid 合格")
    raise typer.Exit(1 if faults else 0)


def _faults(tree: Any, name: str, of: Profile) -> Iterator[Fault]:
    """Paths are those of the file."""
    from schemas.nhsa.check import checker
    from schemas.nhsa.envelope import envelope_faults

    whole = tree if isinstance(tree, dict) else {}
    named = name or str(whole.get("infno") or "")
    if not named:
        _stop("the file has no infno: say which it is by --transaction")
    check = checker(_transaction(named, of), of)
    if "infcode" in whole:
        for fault in check.response(whole.get("output")):
            yield fault._replace(path=f"/output{fault.path}")
        return
    inside = whole.get("input", tree)
    if whole.get("infno"):
        yield from (one for one in envelope_faults(whole) if not one.path.startswith("/input/"))
    for fault in check.request(inside):
        yield fault._replace(path=f"/input{fault.path}") if "input" in whole else fault


def _in(one: Transaction, group: str) -> bool:
    return not group or (one.group.startswith(f"{group}-") if group.isdecimal() else group in one.group)


def _transaction(name: str, of: Profile) -> Transaction:
    from schemas.nhsa.catalogue import Unknown

    try:
        return of.transaction(name)
    except Unknown as error:
        _stop(str(error))


def _profile(name: str) -> Profile:
    from router.cli import settings
    from schemas.nhsa.catalogue import Unknown
    from schemas.nhsa.profile import profile

    try:
        return profile(name, settings().site / "profiles")
    except (Unknown, ConfigError) as error:
        _stop(str(error))


def _stop(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(2)


def _head(one: Transaction) -> dict[str, Any]:
    return {
        "name": one.name,
        "code": one.code,
        "centre": one.centre,
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "group": one.group,
        "institution": one.institution,
        "nature": one.nature,
        "writes": one.writes,
        "inbound": one.inbound,
        "sure": one.sure,
        "open": one.open,
        "version": one.version,
    }


def _facts(one: Transaction, of: Profile) -> dict[str, Any]:
    import msgspec

    applied = of.applied(one)
    sides: dict[str, Any] = {}
    for side, nodes in _sides(applied):
        sides[f"{side}put"] = [
            msgspec.to_builtins(node)
            | {
                "wire": of.node_name(one.name, side, node.name),
                "fields": [
                    msgspec.to_builtins(field) | {"wire": of.field_name(one.name, side, field.name)}
                    for field in node.fields
                ],
            }
            for node in nodes
        ]
    undoing: dict[str, Any] = msgspec.to_builtins(one.undoing) | {"reverse": of.reverse(one)}
    about = {"path": one.path, "needs": one.needs, "notes": one.notes, "sources": dict(one.sources)}
    return _head(one) | about | {"profile": of.name, "undoing": undoing} | sides


def _sides(one: Transaction) -> tuple[tuple[Side, tuple[Node, ...]], ...]:
    return ("in", one.input), ("out", one.output)


def _print(one: Transaction, of: Profile) -> None:
    from router.commands.tables import terminal

    out = terminal()
    for line in _told(one, of):
        out.print(line, markup=False)
    applied = of.applied(one)
    for side, nodes in _sides(applied):
        for node in nodes:
            out.print()
            out.print(_node_line(one, of, side, node), markup=False)
            out.print(_node_table(one, of, side, node))


def _told(one: Transaction, of: Profile) -> Iterator[str]:
    def named(name: str) -> str:
        return f"{name} {of.transaction(name).name_zh}"

    yield f"{one.name} {one.name_zh}: {one.name_en}"
    by = "called by the centre 中心调用" if one.inbound else one.institution
    yield f"  {one.group}; {_NATURES[one.nature]}; {by}; {one.version or 'list of 115 基线'}"
    sources = ", ".join(one.sources.values())
    how = "; whatever is not named is let through 未列字段放行" if one.open else ""
    yield f"  how sure 可信度: {one.sure}{how} ({sources})"
    if one.path:
        yield f"  path 路径: {one.path}"
    if one.needs:
        yield f"  after 前置: {', '.join(map(named, one.needs))}"
    if of.instead.get(one.name):
        yield f"  instead 本省改用: {named(of.instead[one.name])}"
    yield f"  answer lost 应答丢失: {_undoing(one, of)}"
    if one.undoing.undo:
        yield f"  undo 撤销: {named(one.undoing.undo)}"
    for note in one.notes:
        yield f"  note: {note}"
    if of.name != "national":
        yield f"  province 省份: {of.name} {of.title}"


def _undoing(one: Transaction, of: Profile) -> str:
    steps = ["send again 可重发"] if one.undoing.repeatable else ["never send it twice 不可重发"]
    if one.undoing.probes:
        steps.append(f"ask 查询 {', '.join(one.undoing.probes)}")
    if of.reverse(one):
        steps.append(f"2601 冲正 with oinfno {of.reverse(one)}")
    return "; ".join(steps)


def _node_line(one: Transaction, of: Profile, side: Side, node: Node) -> str:
    name, wire = node.name or "(root)", of.node_name(one.name, side, node.name)
    kind = "list 列表" if node.many else "object 对象"
    renamed = f" = {wire}" if wire != node.name else ""
    needed = ", required 必填" if node.required and side == "in" else ""
    return f"{'>' if side == 'in' else '<'} {name}{renamed}: {kind}{needed}"


def _node_table(one: Transaction, of: Profile, side: Side, node: Node) -> Any:
    from rich.markup import escape

    from router.commands.tables import headed

    made = headed("field", "名称", "type 类型", "required", "codes 字典", "note 说明")
    for field in node.fields:
        wire = of.field_name(one.name, side, field.name)
        name = field.name if wire == field.name else f"{field.name} = {wire}"
        needed = "必填" if field.required and not field.status else ""
        note = "; ".join(
            filter(None, (field.status, field.note, *(f"also {alias}" for alias in field.aliases)))
        )
        made.add_row(
            f"  {name}", field.name_zh, _type(field), needed, escape(_codes(field, of)), escape(note)
        )
    return made


def _type(field: Field) -> str:
    size = f" {field.length}" if field.length else ""
    size += f",{field.decimals}" if field.decimals else ""
    return f"{_TYPES.get(field.type, '?')}{size}{' (guess)' if field.guessed else ''}"


def _codes(field: Field, of: Profile) -> str:
    if not field.codes:
        return ""
    known = of.code_list(field.codes)
    few = [f"{code} {word}" for code, word in known.values.items()]
    some = f": {', '.join(few[:6])}{', ...' if len(few) > 6 else ''}" if few else ""
    return f"{field.codes}{some}{'' if known.closed else ' (local 地方)'}"
