"""Small files that claim to be enormous: refused with a code, in bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.support import REPOSITORY
from tests.support_pixels import instance, picture, written

_MIB = 300

BOMBS = """
import resource, struct, sys
from pathlib import Path
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless
from pydicom.uid import DeflatedExplicitVRLittleEndian
from ai.decoding import PixelError, decode, read_image
from node.exams import header
from node.header import read_header
from tests.support_pixels import FRAMES, UID, encapsulated, instance, picture

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
def code(of, *arguments):
    try: of(*arguments)
    except PixelError as error: return error.code.value
    return "an image"

before = peak()
side = 0xFFFF
def jpeg(syntax, marker):
    frame = bytearray(FRAMES[syntax])
    at = frame.index(marker)
    frame[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(frame)
def jpeg_2000(syntax):
    frame = bytearray(FRAMES[syntax])
    at = frame.index(b"\\xff\\x51")
    frame[at + 6 : at + 14] = frame[at + 22 : at + 30] = struct.pack(">II", side, side)
    return bytes(frame)
run = b"\\x81\\0" * 3_000_000
rle = struct.pack("<16I", 2, 64, 64 + len(run), *[0] * 13) + run + run
streams = {
    JPEGLosslessSV1: jpeg(JPEGLosslessSV1, b"\\xff\\xc3"), JPEGLSLossless: jpeg(JPEGLSLossless, b"\\xff\\xf7"),
    JPEG2000Lossless: jpeg_2000(JPEG2000Lossless), HTJ2KLossless: jpeg_2000(HTJ2KLossless), RLELossless: rle,
}
for syntax, frame in streams.items():
    print(code(decode, encapsulated(frame, syntax)), code(decode, encapsulated(frame, syntax, Rows=side, Columns=side)))
print(code(decode, instance(picture(), Rows=side, Columns=side)))
bomb = Path(sys.argv[1])
assert header(bomb).Rows == read_header(bomb.read_bytes()[int(sys.argv[2]):], DeflatedExplicitVRLittleEndian).Rows == 61
print(peak() - before, code(read_image, bomb, UID), peak() - before)
"""


def deflated_bomb(folder: Path) -> tuple[Path, int]:
    """A valid file whose pixel data are 300 MiB of zeros, and where its data set begins."""
    file = written(instance(picture(), DeflatedExplicitVRLittleEndian))
    plain = written(instance(picture()))
    (length,) = struct.unpack_from("<I", file, 140)
    (plain_length,) = struct.unpack_from("<I", plain, 140)
    pixels = picture().size * 2
    header = plain[144 + plain_length : -(pixels + pixels % 2) - 4] + struct.pack("<I", _MIB << 20)
    deflater = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    path = folder / "bomb.dcm"
    with path.open("wb") as out:
        out.write(file[: 144 + length] + deflater.compress(header))
        for _ in range(_MIB):
            out.write(deflater.compress(bytes(1 << 20)))
        out.write(deflater.flush())
    assert path.stat().st_size < 4 << 20
    return path, 144 + length


def test_what_would_fill_the_memory_is_refused_before_it_does(tmp_path: Path) -> None:
    """65,535 × 65,535 pixels are 8 GiB; so claimed by the header, by the stream, by both, or by what deflates well.

    A node looks at the headers of deflated files without inflating their pixel data.
    """
    bomb, begins = deflated_bomb(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, bomb, str(begins)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    *codes, of_node_mib, of_bomb, of_reader_mib = done.stdout.split()
    assert codes == [*["PIXEL_DATA_UNDECODABLE", "MATRIX_SIZE"] * 5, "MATRIX_SIZE"]
    assert of_bomb == "PIXEL_DATA_UNDECODABLE"
    assert int(of_node_mib) < 250, f"{of_node_mib} MiB were taken to look at headers"
    assert int(of_reader_mib) < 600, f"{of_reader_mib} MiB were taken"
