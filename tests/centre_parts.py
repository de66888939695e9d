"""A raw client of the insurance centre: the envelope by hand, HTTP by hand, nothing of the gateway's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

from deploy.sandbox.centre import Centre, Settings
from deploy.sandbox.centre.insured import Insured
from deploy.sandbox.centre.settings import HOSPITAL
from deploy.sandbox.http import ask

Tree = dict[str, Any]
PATIENCE_S = 60.0
_serials = count(1)


class Hospital:
    """Signs in when it is asked to, and speaks for one patient."""

    def __init__(self, centre: Centre, patient: Insured | None = None, code: str = HOSPITAL) -> None:
        self.centre = centre
        self.patient = patient or centre.persons[0]
        self.code = code
        self.sign_no = ""
        self.headers: dict[str, str] = {}
        self.msgid = ""  # of the last message

    def envelope(self, infno: str, tree: Mapping[str, Any], **fields: Any) -> Tree:
        now = self.centre.now()
        made = {
            "infno": infno,
            "msgid": f"{self.code}{now:%Y%m%d%H%M%S}{next(_serials) % 10000:04d}",
            "mdtrtarea_admvs": "999900",
            "insuplc_admdvs": self.patient.insuplc_admdvs,
            "recer_sys_code": "MBS",
            "infver": "V1.0",
            "opter_type": "1",
            "opter": "0001",
            "opter_name": "示例",
            "inf_time": f"{now:%Y-%m-%d %H:%M:%S}",
            "fixmedins_code": self.code,
            "fixmedins_name": "示例医院",
            "sign_no": self.sign_no,
            "input": tree,
        }
        return {**made, **fields}

    async def sign_in(self) -> str:
        told = await self.done("9001", {"signIn": {"opter_no": "0001", "mac": "00-00", "ip": "127.0.0.1"}})
        self.sign_no = str(told["signinoutb"]["sign_no"])
        return self.sign_no

    def written(self, infno: str, tree: Mapping[str, Any], **fields: Any) -> bytes:
        envelope = self.envelope(infno, tree, **fields)
        self.msgid = envelope["msgid"]
        return json.dumps(envelope, ensure_ascii=False, default=str).encode()

    async def raw(self, body: bytes, path: str, timeout_s: float = PATIENCE_S) -> tuple[int, bytes]:
        return await ask(self.centre.port, "POST", path, self.headers, body, timeout_s)

    async def call(
        self,
        infno: str,
        tree: Mapping[str, Any],
        timeout_s: float = PATIENCE_S,
        path: str = "",
        **fields: Any,
    ) -> Tree:
        """The whole answer."""
        body = self.written(infno, tree, **fields)
        _, said = await self.raw(body, path or f"/{infno}", timeout_s)
        return read(said)

    async def done(self, infno: str, tree: Mapping[str, Any], **fields: Any) -> Any:
        """The output of a call that must succeed."""
        said = await self.call(infno, tree, **fields)
        assert said["infcode"] in (0, "0"), said
        return said["output"]

    async def refused(self, infno: str, tree: Mapping[str, Any], **fields: Any) -> str:
        """The text of a call that must not."""
        said = await self.call(infno, tree, **fields)
        assert said["infcode"] not in (0, "0"), said
        assert said["output"] is None
        return str(said["err_msg"])

    async def unanswered(self, infno: str, tree: Mapping[str, Any], timeout_s: float = 3.0) -> str:
        """The msgid of a call that gets no answer."""
        try:
            said = await self.call(infno, tree, timeout_s)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            return self.msgid
        raise AssertionError(said)


def read(body: bytes) -> Tree:
    """Money as Decimal."""
    tree = json.loads(body, parse_float=Decimal)
    assert isinstance(tree, dict)
    return tree


def certificate(patient: Insured) -> Tree:
    return {"mdtrt_cert_type": "02", "mdtrt_cert_no": patient.certno}


def registration(patient: Insured, number: str = "O1") -> Tree:
    return {
        "data": {
            "psn_no": patient.psn_no,
            "insutype": patient.insutype,
            "begntime": "2026-01-05 09:00:00",
            **certificate(patient),
            "ipt_otp_no": number,
            "atddr_no": "D0001",
            "dr_name": "示例",
            "dept_code": "D01",
            "dept_name": "内科",
            "caty": "A03",
        }
    }


def diagnoses(patient: Insured, mdtrt_id: str, **fields: Any) -> Tree:
    told = {
        "mdtrt_id": mdtrt_id,
        "psn_no": patient.psn_no,
        "med_type": "11",
        "begntime": "2026-01-05 09:00:00",
        **fields,
    }
    return {"mdtrtinfo": told, "diseinfo": [diagnosis()]}


def diagnosis(**fields: Any) -> Tree:
    return {
        "diag_type": "1",
        "maindiag_flag": "1",
        "diag_srt_no": 1,
        "diag_code": "J00.X00",
        "diag_name": "急性鼻咽炎",
        "diag_dept": "D01",
        "dise_dor_no": "D0001",
        "dise_dor_name": "示例",
        "diag_time": "2026-01-05 09:10:00",
        "vali_flag": "1",
        **fields,
    }


def line(
    patient: Insured, mdtrt_id: str, sn: str, code: str, pric: str, cnt: str = "1", **fields: Any
) -> Tree:
    total = (Decimal(pric) * Decimal(cnt)).quantize(Decimal("0.01"))
    return {
        "feedetl_sn": sn,
        "mdtrt_id": mdtrt_id,
        "psn_no": patient.psn_no,
        "chrg_bchno": "B1",
        "rxno": "RX1",
        "rx_circ_flag": "0",
        "fee_ocur_time": "2026-01-05 09:20:00",
        "med_list_codg": code,
        "medins_list_codg": "L1",
        "det_item_fee_sumamt": str(total),
        "cnt": cnt,
        "pric": pric,
        "bilg_dept_codg": "D01",
        "bilg_dept_name": "内科",
        "bilg_dr_codg": "D0001",
        "bilg_dr_name": "示例",
        "hosp_appr_flag": "0",
        **fields,
    }


def bill(patient: Insured, mdtrt_id: str, total: str, **fields: Any) -> Tree:
    """The input of 2206 and 2207."""
    return {
        "data": {
            "psn_no": patient.psn_no,
            **certificate(patient),
            "med_type": "11",
            "medfee_sumamt": total,
            "psn_setlway": "01",
            "mdtrt_id": mdtrt_id,
            "chrg_bchno": "B1",
            "acct_used_flag": "1",
            "insutype": patient.insutype,
            "invono": "",
            **fields,
        }
    }


def agreed(setlinfo: Mapping[str, Any]) -> Tree:
    """The amounts of a preview that its settlement says again."""
    names = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")
    return {name: str(setlinfo[name]) for name in names}


async def visited(hospital: Hospital, number: str = "O1") -> str:
    """A registered outpatient with diagnoses: the mdtrt_id."""
    made = await hospital.done("2201", registration(hospital.patient, number))
    mdtrt_id = str(made["data"]["mdtrt_id"])
    await hospital.done("2203A", diagnoses(hospital.patient, mdtrt_id))
    return mdtrt_id


async def charged(hospital: Hospital, number: str = "O1") -> str:
    """An outpatient with three lines of 86.50 in all: 甲 50.00, 乙 30.00 (0.1 before), 自费 6.50."""
    mdtrt_id = await visited(hospital, number)
    lines = [
        line(hospital.patient, mdtrt_id, "F1", "XTEST000000000000001", "25.00", "2"),
        line(hospital.patient, mdtrt_id, "F2", "XTEST000000000000002", "30.00"),
        line(hospital.patient, mdtrt_id, "F3", "XTEST000000000000003", "6.50"),
    ]
    await hospital.done("2204", {"feedetail": lines})
    return mdtrt_id


def key(hospital: Hospital, mdtrt_id: str, **fields: str) -> Tree:
    """The input of what needs a visit and a little more."""
    return {"data": {"psn_no": hospital.patient.psn_no, "mdtrt_id": mdtrt_id, **fields}}


@asynccontextmanager
async def signed_in(
    settings: Settings | None = None, person: int = 0, code: str = HOSPITAL
) -> AsyncIterator[Hospital]:
    """A hospital at a centre of its own."""
    centre = Centre(settings=settings)
    await centre.start()
    try:
        made = Hospital(centre, centre.persons[person], code)
        await made.sign_in()
        yield made
    finally:
        await centre.stop()


def admission(patient: Insured, **fields: Any) -> Tree:
    told = {
        "psn_no": patient.psn_no,
        "insutype": patient.insutype,
        "begntime": "2026-01-05 08:00:00",
        **certificate(patient),
        "med_type": "21",
        "ipt_no": "I1",
        "atddr_no": "D0001",
        "chfpdr_name": "示例",
        "adm_diag_dscr": "阑尾炎",
        "adm_dept_codg": "D02",
        "adm_dept_name": "外科",
        "adm_bed": "01",
        "dscg_maindiag_code": "K35.900",
        "dscg_maindiag_name": "急性阑尾炎",
        **fields,
    }
    return {"mdtrtinfo": told, "diseinfo": [diagnosis(psn_no=patient.psn_no)]}


def departure(patient: Insured, mdtrt_id: str) -> Tree:
    told = {
        "mdtrt_id": mdtrt_id,
        "psn_no": patient.psn_no,
        "insutype": patient.insutype,
        "endtime": "2026-01-09 10:00:00",
        "dscg_dept_codg": "D02",
        "dscg_dept_name": "外科",
        "dscg_way": "1",
    }
    return {"dscginfo": told, "diseinfo": [diagnosis(psn_no=patient.psn_no)]}


def stay(patient: Insured, mdtrt_id: str, total: str, **fields: Any) -> Tree:
    """The input of 2303 and 2304."""
    made = bill(patient, mdtrt_id, total, mid_setl_flag="0", med_type="21", **fields)
    del made["data"]["chrg_bchno"]
    return made


def purchase(patient: Insured, total: str, lines: list[Tree], **fields: Any) -> Tree:
    """The input of 2101 and 2102."""
    told = {
        "psn_no": patient.psn_no,
        **certificate(patient),
        "begntime": "2026-01-05 10:00:00",
        "medfee_sumamt": total,
        "invono": "",
        "insutype": patient.insutype,
        "acct_used_flag": "1",
        "med_type": "41",
        **fields,
    }
    return {"druginfo": told, "drugdetail": lines}


class Ear:
    """A door that hears bodies, and answers each with the same."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[bytes] = []
        self.url = ""
        self._answer = answer

    async def __aenter__(self) -> Ear:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/notice"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(line for line in head.split("\r\n") if line.startswith("content-length"))
        self.heard.append(await reader.readexactly(int(length.partition(":")[2])))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + self._answer)
        await writer.drain()
        writer.close()
