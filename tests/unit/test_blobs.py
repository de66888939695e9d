"""Large bodies on disk: what is read is what was written, or the reader hears of it."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blob_parts import MB, blobs_in, body_of, files_in, whole

from config.crypto import OVERHEAD, WRAPPED_BYTES
from router.blobs import CHUNK, BlobChanged, BlobGone, Blobs, Kept, NoRoom, head_of
from router.clock import now_ms
from router.ids import new_id

SEALED = CHUNK + OVERHEAD


async def kept(blobs: Blobs, body: bytes, piece: int = 70_000) -> Kept:
    spool = blobs.spool()
    for at in range(0, len(body), piece):
        await spool.write(body[at : at + piece])
    return await spool.finish()


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * MB])
async def test_a_body_is_read_as_it_was_written(tmp_path: Path, size: int) -> None:
    blobs = blobs_in(tmp_path)
    body = body_of(size)
    blob = await kept(blobs, body)
    assert (blob.size, whole(blob), whole(blobs.find(blob.ref))) == (size, body, body)
    assert head_of(blob, 1000) == body[:1000]
    (file,) = files_in(tmp_path)
    assert body[:64] not in file.read_bytes() or size < 64
    assert file.stat().st_mode & 0o077 == 0
    blobs.discard(blob.name)
    assert files_in(tmp_path) == []


def chunks(sealed: bytes) -> list[bytes]:
    return [sealed[at : at + SEALED] for at in range(WRAPPED_BYTES, len(sealed), SEALED)]


def swapped(sealed: bytes) -> bytes:
    one, two, *rest = chunks(sealed)
    return b"".join((sealed[:WRAPPED_BYTES], two, one, *rest))


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit": lambda sealed: sealed[:500_000] + bytes([sealed[500_000] ^ 1]) + sealed[500_001:],
    "two chunks swapped": swapped,
    "a chunk twice": lambda sealed: sealed[: WRAPPED_BYTES + SEALED] + sealed[WRAPPED_BYTES:],
    "the last chunk gone": lambda sealed: sealed[: WRAPPED_BYTES + SEALED * (len(chunks(sealed)) - 1)],
    "cut": lambda sealed: sealed[:-1],
    "empty": lambda sealed: b"",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_file_is_found_out(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    blob = await kept(blobs_in(tmp_path), body_of(MB))
    (file,) = files_in(tmp_path)
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(BlobChanged, match="JL-L003"):
        whole(blob)


async def test_one_bodys_file_does_not_pass_for_anothers(tmp_path: Path) -> None:
    blobs = blobs_in(tmp_path)
    one, two = await kept(blobs, body_of(MB)), await kept(blobs, body_of(MB))
    blobs.path(one.name).write_bytes(blobs.path(two.name).read_bytes())
    with pytest.raises(BlobChanged):
        whole(one)
    with pytest.raises(BlobChanged):
        blobs.path("../" * 10 + "ab")


async def test_what_cannot_be_read_now_is_tried_again(tmp_path: Path) -> None:
    blob = await kept(blobs_in(tmp_path), body_of(MB))
    with pytest.raises(BlobGone, match=r"JL-L002.*known here"):
        whole(blobs_in(tmp_path, key=b"k" * 16).find(blob.ref))
    files_in(tmp_path)[0].unlink()
    with pytest.raises(BlobGone, match="JL-L002"):
        whole(blob)


async def test_a_body_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    spool = blobs_in(tmp_path).spool()
    await spool.write(body_of(MB))
    assert files_in(tmp_path)
    await spool.drop()
    assert files_in(tmp_path) == []
    with pytest.raises(NoRoom):
        await spool.write(body_of(MB))


async def test_the_disk_keeps_some_room_for_others(tmp_path: Path) -> None:
    spool = blobs_in(tmp_path, free=10**18).spool()
    with pytest.raises(NoRoom, match="JL-L001"):
        await spool.write(body_of(MB))
    assert files_in(tmp_path) == []


async def test_nothing_is_written_that_could_not_be_published(tmp_path: Path) -> None:
    spool = blobs_in(tmp_path, wanted=lambda: False).spool()
    with pytest.raises(NoRoom, match="JL-B001"):
        await spool.write(body_of(MB))
    assert files_in(tmp_path) == []


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_disk_that_fills_up_in_the_midst_leaves_nothing(tmp_path: Path) -> None:
    spool = blobs_in(tmp_path).spool()
    with files_no_larger_than(2 * MB):
        await spool.write(body_of(MB))
        with pytest.raises(NoRoom, match="JL-L001"):
            await spool.write(body_of(3 * MB))
    assert files_in(tmp_path) == []


async def test_a_body_that_is_kept_once_more_is_the_file_that_there_is(tmp_path: Path) -> None:
    blobs = blobs_in(tmp_path)
    name, body = new_id(now_ms()), body_of(3 * CHUNK + 5)
    first = await blobs.keep(name, body)
    again = await blobs.keep(name, body)
    assert (first.name, first.ref) == (name, again.ref)
    assert whole(again) == body
    assert len(files_in(tmp_path)) == 1


async def test_what_a_crash_left_half_written_is_written_anew(tmp_path: Path) -> None:
    blobs = blobs_in(tmp_path)
    name = new_id(now_ms())
    half = blobs.path(name).with_name(name + ".part")
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    assert whole(await blobs.keep(name, b"all of it")) == b"all of it"
    assert files_in(tmp_path) == [blobs.path(name)]
