"""A whole engine between two parties that speak TLS: small messages, and one too large to be held in memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

from authority import Authority
from engine_parts import END, START, Sink, adt, code_of, port, running, settled, write_site

from config.tls import ClientTls, ServerTls, client_context, server_context
from router.search import Query

CHANNEL = """
channel: adt
from: {{mllp: {{port: 0, max_size: 20MB, tls: {{certificate: engine.crt, key: engine.key, client: required,
                ca: test-authority.pem, names: [his.hospital.local]}}}}}}
format: hl7v2
to:
  lis:
    send: {{mllp: {{host: 127.0.0.1, port: {port},
                   tls: {{certificate: engine.crt, key: engine.key, ca: test-authority.pem}}}}}}
"""


async def test_messages_of_any_size_go_through_by_tls_and_the_journal_knows_who_sent_them(
    tmp_path: Path,
) -> None:
    ca = Authority(tmp_path)
    ca.issue("engine", "localhost", "127.0.0.1")
    his = ca.issue("his.hospital.local", "his.hospital.local")
    lis = ca.issue("lis", "127.0.0.1")
    sink = Sink()
    demand = ServerTls(certificate=str(lis.certificate), key=str(lis.key), client="required", ca=str(ca.file))
    server = await asyncio.start_server(
        sink._serve, "127.0.0.1", 0, ssl=server_context(demand), limit=30_000_000
    )
    sink.port = server.sockets[0].getsockname()[1]
    site = write_site(tmp_path, {"adt": CHANNEL.format(port=sink.port)})
    async with running(site) as engine:
        ours = ClientTls(certificate=str(his.certificate), key=str(his.key), ca=str(ca.file))
        reader, writer = await asyncio.open_connection(
            "localhost", port(engine), ssl=client_context(ours), server_hostname="localhost"
        )
        sent = [adt("C1"), adt("C2") + b"OBX|1|ED|DOC||" + b"A" * 8_000_000 + b"\r", adt("C3")]
        for message in sent:
            writer.write(START + message + END)
            answer = (await asyncio.wait_for(reader.readuntil(END), 60))[1:-2]
            assert code_of(answer) == "AA"
        await sink.wait_for(3, 60)
        await settled(engine)
        assert sorted(sink.got) == sorted(sent)
        found = engine.store.search(Query()).found
        stories = [engine.store.show(message.id) for message in found]
        assert {story.headers["tls.subject"] for story in stories} == {"CN=his.hospital.local,O=Hospital"}
        writer.close()
    await sink.stop()
    server.close()
