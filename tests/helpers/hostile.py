"""The hostile corpus: files, tables, records and words that are broken or odd, each with what must come of it.

A case is made by code in an empty folder. `test_hostile.py` reads them all; `docs/hostile.md` is written from this
table by `python tests/helpers/hostile.py`. What crashes or hangs a library that this project uses is not here.
"""
import inspect
import io
import itertools
import json
import os
import pickle
import shutil
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

VERDICTS = dict(
    refused='refused with one sentence that names it', out='left out, and reported',
    read='read, with this result')


@dataclass(frozen=True)
class Case:
    "A hostile input: how it is made, what reads it, and what must come of it."
    kind: str
    name: str
    make: Callable      # (an empty folder) -> what the reader takes
    reader: str         # a name in `test_hostile.READERS`
    verdict: str        # of `VERDICTS`
    says: str           # a part of the sentence, or the result
    root: bool = True   # whether it says the same to root


def case(kind: str, reader: str) -> Callable:
    "Makes cases of a kind that one reader reads."
    return lambda name, verdict, says, make, **more: Case(
        kind, name, make, reader, verdict, says, **more)


# --- images

W, H = 40, 30
CORNERS = dict(red=(200, 30, 30), green=(30, 160, 30), blue=(30, 30, 200), white=(230, 230, 230))


def picture(w: int = W, h: int = H) -> np.ndarray:
    "Four quarters: red, green / blue, white."
    a = np.zeros((h, w, 3), np.uint8)
    quarters = [(y, x) for y in (slice(0, h//2), slice(h//2, h)) for x in (slice(0, w//2), slice(w//2, w))]
    for at, colour in zip(quarters, CORNERS.values()): a[at] = colour
    return a


def saved(form: str, image: Image.Image | None = None, **how) -> bytes:
    "A file of Pillow's as bytes."
    buffer = io.BytesIO()
    (image or Image.fromarray(picture())).save(buffer, form, **how)
    return buffer.getvalue()


def seen(a: np.ndarray) -> str:
    "Width × height of an image, and the names of the colours in its corners, row by row."
    names, colours = list(CORNERS), np.array(list(CORNERS.values()))
    spots = [a[y, x] for y in (0, -1) for x in (0, -1)]
    near = [np.abs(colours - s.astype(int)).sum(1) for s in spots]
    words = [names[n.argmin()] if n.min() < 60 else 'grey' for n in near]
    return f'{a.shape[1]}×{a.shape[0]} {" ".join(words)}'


UPRIGHT = f'{W}×{H} red green blue white'


def file(name: str, data: bytes | Callable) -> Callable:
    "Makes one file; its bytes may be made then."
    def make(d: Path) -> Path:
        (d/name).write_bytes(data() if callable(data) else data)
        return d/name
    return make


def with_exif(block: bytes) -> bytes:
    "The JPEG with an EXIF segment of these bytes."
    jpeg = saved('JPEG', quality=95)
    return jpeg[:2] + b'\xff\xe1' + struct.pack('>H', len(block) + 2) + block + jpeg[2:]


def tag(number: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack('<HHII', number, kind, count, value)


def exif(*tags: bytes, following: int = 0, count: int | None = None) -> bytes:
    "EXIF with one directory of such tags; how many it says it has, and where the next one is."
    n = len(tags) if count is None else count
    return b'Exif\0\0II*\0\x08\0\0\0' + struct.pack('<H', n) + b''.join(tags) + struct.pack('<I', following)


def chunk(kind: bytes, data: bytes) -> bytes:
    "A chunk of a PNG."
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(w: int, h: int, *more: bytes, bits: int = 8, colour: int = 2, data: bytes = b'') -> bytes:
    "A PNG that says how large it is, whatever it holds."
    head = struct.pack('>IIBBBBB', w, h, bits, colour, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + b''.join(more) + chunk(
        b'IDAT', data or zlib.compress(bytes(100))) + chunk(b'IEND', b'')


def tiff_bytes(**tags: tuple) -> bytes:
    "A grey TIFF of 4 × 4 bytes in one strip, with some tags in another way: t273=(4, 1, offset)."
    entries = {
        256: (4, 1, 4), 257: (4, 1, 4), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 273: (4, 1, 8),
        277: (3, 1, 1), 278: (4, 1, 4), 279: (4, 1, 16)}
    following = tags.pop('following', 0)
    entries |= {int(k[1:]): v for k, v in tags.items()}
    table = b''.join(tag(k, *v) for k, v in sorted(entries.items()))
    return b'II*\0' + struct.pack('<I', 24) + bytes(range(0, 160, 10)) + struct.pack(
        '<H', len(entries)) + table + struct.pack('<I', following)


# TIFFs of bytes whose pixels are all there in spite of what is wrong
WHOLE = ('whose strip is longer than the file', 'of an unknown predictor', 'with tiles of 0 pixels')


def images() -> Iterator[Case]:
    one = case('images', 'image')
    jpeg, plain = saved('JPEG', quality=95), saved('PNG')
    # --- cut
    for form, ending in dict(JPEG='jpg', PNG='png', TIFF='tif', BMP='bmp', GIF='gif', WEBP='webp', JPEG2000='jp2', AVIF='avif').items():
        whole = saved(form)
        for share in (.3, .75):
            yield one(
                f'{form} cut off behind {share:.0%}', 'refused', 'cannot be read',
                file(f'cut.{ending}', whole[:int(share*len(whole))]))
    yield one('JPEG without its last two bytes', 'refused', 'truncated', file('end.jpg', jpeg[:-2]))
    yield one('JPEG with a second one behind it', 'read', UPRIGHT, file('two.jpg', jpeg + jpeg))
    yield one('JPEG with a megabyte of zeros behind it', 'read', UPRIGHT, file('tail.jpg', jpeg + bytes(10**6)))
    yield one('JPEG that is its first two bytes', 'refused', 'cannot be read', file('soi.jpg', jpeg[:2]))
    yield one('JPEG whose pixels are zeros', 'refused', 'cannot be read', file('zeros.jpg', jpeg[:30] + bytes(len(jpeg) - 30)))
    yield one('PNG without its end chunk', 'read', UPRIGHT, file('noend.png', plain[:-12]))
    yield one('PNG with a wrong checksum of its pixels', 'refused', 'cannot be read', file('crc.png', plain[:-20] + b'\0\0\0\0' + plain[-16:]))
    yield one('empty file', 'refused', 'cannot be read', file('empty.jpg', b''))
    yield one('thousand zero bytes', 'refused', 'cannot be read', file('zeros.png', bytes(1000)))
    yield one('text', 'refused', 'cannot be read', file('text.jpg', b'no picture'))
    yield one('web page of a failed download', 'refused', 'cannot be read', file('page.jpg', b'<!DOCTYPE html><html>404</html>'))
    yield one('pointer of Git LFS', 'refused', 'cannot be read', file('lfs.jpg', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'))
    yield one('SVG', 'refused', 'cannot be read', file('drawing.png', b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'))
    yield one('PDF', 'refused', 'cannot be read', file('page.jpg', b'%PDF-1.7\n%\xe2\xe3\n'))
    yield one('PostScript, which an interpreter would run', 'refused', 'cannot be read', file('run.jpg', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n'))
    yield one('pickle', 'refused', 'cannot be read', file('p.png', pickle.dumps(dict(a=1))))
    # --- shapes
    for w, h in ((1, 1), (1, 500), (500, 1), (30_000, 10), (10, 30_000)):
        yield one(
            f'{w} × {h} pixels', 'read', f'{w}×{h} grey',
            file('thin.png', lambda w=w, h=h: saved('PNG', Image.new('RGB', (w, h), (9, 99, 9)))))
    yield one('PNG of 0 × 10 pixels', 'refused', 'cannot be read', file('zero.png', png(0, 10)))
    yield one('PNG of 10 × 0 pixels', 'refused', 'cannot be read', file('zero.png', png(10, 0)))
    # --- larger than they are
    for w, h in ((50_000, 50_000), (2**31 - 1, 2**31 - 1), (178_956_971, 1)):
        yield one(f'PNG that says it has {w} × {h} pixels', 'refused', 'more than is usual', file('bomb.png', png(w, h)))
    big = jpeg.replace(struct.pack('>HH', H, W), struct.pack('>HH', 65500, 65500))
    yield one('JPEG that says it has 65500 × 65500 pixels', 'refused', 'more than is usual', file('bomb.jpg', big))
    gif = saved('GIF')
    yield one('GIF that says it has 65535 × 65535 pixels', 'refused', 'more than is usual', file('bomb.gif', gif[:6] + b'\xff\xff\xff\xff' + gif[10:]))
    yield one('TIFF that says it has 60000 × 60000 pixels', 'refused', 'more than is usual', file('bomb.tif', tiff_bytes(t256=(4, 1, 60_000), t257=(4, 1, 60_000))))
    yield one('16-bit TIFF that says it has 60000 × 60000 pixels', 'refused', 'more than is usual', file('bomb.tif', tiff_bytes(t256=(4, 1, 60_000), t257=(4, 1, 60_000), t258=(3, 1, 16))))
    yield one('BMP that says it has 60000 × 60000 pixels', 'refused', 'more than is usual', file('bomb.bmp', saved('BMP').replace(struct.pack('<II', W, H), struct.pack('<II', 60_000, 60_000))))
    yield one(
        'PNG whose text is packed a thousandfold', 'refused', 'cannot be read',
        file('text.png', lambda: png(4, 4, chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(80_000_000))), data=zlib.compress(bytes(4*13)))))
    # --- names that lie
    for form, ending in (('PNG', 'jpg'), ('JPEG', 'png'), ('WEBP', 'tif'), ('TIFF', 'jpg'), ('BMP', 'png'), ('GIF', 'webp')):
        yield one(f'{form} called .{ending}', 'read', UPRIGHT.replace('white', 'white'), file(f'lie.{ending}', saved(form)))
    yield one('JPEG without an ending', 'read', UPRIGHT, file('photo', jpeg))
    yield one('JPEG whose name has a line break', 'read', UPRIGHT, file('a\nb.jpg', jpeg))
    yield one('text whose name has a line break', 'refused', 'cannot be read', file('a\nb.jpg', b'no picture'))
    yield one('JPEG whose name is no UTF-8', 'read', UPRIGHT, file(os.fsdecode(b'\xb0\xc5.jpg'), jpeg))
    yield one('text whose name is no UTF-8', 'refused', 'cannot be read', file(os.fsdecode(b'\xb0\xc5.jpg'), b'no picture'))
    # --- no files
    def folder(d):
        (d/'x.jpg').mkdir()
        return d/'x.jpg'
    def broken_link(d):
        (d/'x.jpg').symlink_to(d/'nowhere.jpg')
        return d/'x.jpg'
    def circle(d):
        (d/'x.jpg').symlink_to(d/'x.jpg')
        return d/'x.jpg'
    def link(d):
        (d/'y').write_bytes(jpeg)
        (d/'x.jpg').symlink_to(d/'y')
        return d/'x.jpg'
    def closed(d):
        (d/'x.jpg').write_bytes(jpeg)
        (d/'x.jpg').chmod(0)
        return d/'x.jpg'
    yield one('folder called x.jpg', 'refused', 'cannot be read', folder)
    yield one('link that leads nowhere', 'refused', 'cannot be read', broken_link)
    yield one('link that leads to itself', 'refused', 'cannot be read', circle)
    yield one('link to an image', 'read', UPRIGHT, link)
    yield one('file that may not be read', 'refused', 'cannot be read', closed, root=False)
    yield one('name of 300 letters', 'refused', 'cannot be read', lambda d: d/('a'*300 + '.jpg'))
    yield one('name with a NUL', 'refused', 'cannot be read', lambda d: d/'a\0b.jpg')
    # --- EXIF
    for number in (0, 9, 255, 65535):
        yield one(f'EXIF orientation {number}', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 3, 1, number)))))
    yield one('EXIF orientation as text', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 2, 2, ord('6'))))))
    yield one('EXIF orientation as two numbers', 'read', f'{H}×{W} blue red white green', file('turn.jpg', with_exif(exif(tag(274, 3, 2, 6 | 6 << 16)))))
    yield one('EXIF orientation of 32 bits', 'read', f'{H}×{W} blue red white green', file('turn.jpg', with_exif(exif(tag(274, 4, 1, 6)))))
    yield one('EXIF orientation as a fraction that lies outside', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 5, 1, 10**9)))))
    yield one('EXIF orientation as a fraction over 0', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 5, 1, 26)) + struct.pack('<II', 6, 0))))
    yield one('EXIF orientation as a floating-point NaN', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 11, 1, 0x7fc00000)))))
    yield one('EXIF orientation as -6', 'read', UPRIGHT, file('turn.jpg', with_exif(exif(tag(274, 8, 1, 65530)))))
    yield one('EXIF of no bytes', 'read', UPRIGHT, file('none.jpg', with_exif(b'')))
    yield one('EXIF of its name alone', 'read', UPRIGHT, file('name.jpg', with_exif(b'Exif\0\0')))
    yield one('EXIF of noise', 'read', UPRIGHT, file('noise.jpg', with_exif(b'Exif\0\0' + np.random.default_rng(0).bytes(500))))
    yield one('EXIF cut off', 'read', UPRIGHT, file('cut.jpg', with_exif(exif(tag(274, 3, 1, 6))[:20])))
    yield one('EXIF whose directory leads to itself', 'read', f'{H}×{W} blue red white green', file('circle.jpg', with_exif(exif(tag(274, 3, 1, 6), following=8))))
    yield one('EXIF that says it has 65535 tags', 'read', f'{H}×{W} blue red white green', file('many.jpg', with_exif(exif(tag(274, 3, 1, 6), count=65535))))
    yield one('EXIF whose sub-directory leads to itself', 'read', f'{H}×{W} blue red white green', file('circle.jpg', with_exif(exif(tag(274, 3, 1, 6), tag(34665, 4, 1, 8)))))
    yield one('PNG with EXIF of noise', 'read', UPRIGHT, file('noise.png', plain[:33] + chunk(b'eXIf', b'\1\2\3'*30) + plain[33:]))
    yield one('WebP with EXIF of noise', 'read', UPRIGHT, file('noise.webp', saved('WEBP', exif=b'Exif\0\0' + b'\1\2\3'*30, lossless=True)))
    # --- TIFF, read by this project where it is deep
    for what, tags in {
        'whose strip lies outside': dict(t273=(4, 1, 10**6)),
        'whose strip is longer than the file': dict(t279=(4, 1, 10**6)),
        'that lacks its strips': dict(t273=(4, 0, 0)),
        'of 0 rows': dict(t257=(4, 1, 0)),
        'of 0 bits': dict(t258=(3, 1, 0)),
        'of 0 bands': dict(t277=(3, 1, 0)),
        'of 65535 bands': dict(t277=(3, 1, 65535)),
        'of an unknown compression': dict(t259=(3, 1, 999)),
        'of unknown colours': dict(t262=(3, 1, 99)),
        'of 0 rows a strip': dict(t278=(4, 1, 0)),
        'of an unknown predictor': dict(t317=(3, 1, 9)),
        'with tiles of 0 pixels': dict(t322=(4, 1, 0), t323=(4, 1, 0), t324=(4, 1, 8), t325=(4, 1, 16)),
    }.items():
        for bits in (8, 16) if 't258' not in tags else (0,):
            given = tags if 't258' in tags else tags | dict(t258=(3, 1, bits))
            whole = bits == 8 and what in WHOLE
            yield one(f'TIFF {what}, {given["t258"][2]} bits', 'read' if whole else 'refused', '4×4' if whole else 'cannot be read', file('t.tif', tiff_bytes(**given)))
    yield one('TIFF whose directory leads to itself', 'read', '4×4', file('circle.tif', tiff_bytes(following=24)))
    yield one('TIFF whose directory lies outside', 'refused', 'cannot be read', file('out.tif', b'II*\0' + struct.pack('<I', 10**6)))
    yield one('TIFF that is its first four bytes', 'refused', 'cannot be read', file('four.tif', b'II*\0'))
    # --- others
    yield one('16-bit PNG cut off', 'refused', 'cannot be read', file('deep.png', lambda: saved('PNG', Image.fromarray(np.arange(10000, dtype=np.uint16).reshape(100, 100)))[:150]))
    yield one('floating-point TIFF with NaN', 'refused', 'no numbers', file('nan.tif', lambda: saved('TIFF', Image.fromarray(np.full((9, 9), np.nan, np.float32)))))
    yield one('animation whose second picture is cut off', 'read', UPRIGHT, file('cut.gif', lambda: _animation()[:-20]))
    yield one('PNG with a palette that lacks its colours', 'read', '4×4', file('pal.png', png(4, 4, colour=3, data=zlib.compress(bytes(20)))))
    yield one('PNG of a colour type that is not there', 'refused', 'cannot be read', file('type.png', png(4, 4, colour=5)))
    yield one('PNG of 3 bits', 'refused', 'cannot be read', file('bits.png', png(4, 4, bits=3)))
    yield one('colour profile of noise in a JPEG', 'read', UPRIGHT, file('icc.jpg', lambda: saved('JPEG', icc_profile=b'noise'*50, quality=95)))
    yield one('colour profile cut off in a PNG', 'read', UPRIGHT, file('icc.png', lambda: saved('PNG', icc_profile=_srgb()[:200])))


def _animation() -> bytes:
    return saved('GIF', save_all=True, append_images=[Image.new('RGB', (W, H), 'red')])


def _srgb() -> bytes:
    from PIL import ImageCms
    return ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


# --- tables of images

CLASSES = ('Basalt', 'Granite')


def photos(d: Path, *paths: str) -> Path:
    "Small images, all the same, in a folder."
    for p in paths:
        (d/p).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 6), (90, 80, 70)).save(d/p)
    return d


def flat(d: Path, n: int = 3) -> list[str]:
    "Images of two classes in one folder, and a line for each: path,class."
    names = [f'{c}{i}.png' for c in CLASSES for i in range(n)]
    photos(d, *(f'images/{name}' for name in names))
    return [f'images/{name},{name[:-5]}' for name in names]


def table(*change: Callable, head: str = 'path,label', name: str = 'own.csv', encoding: str = 'utf-8', end: str = '\n') -> Callable:
    "Makes six images and their table, its lines changed by functions of all lines."
    def make(d: Path) -> Path:
        lines = flat(d)
        for f in change: lines = f(lines)
        (d/name).write_bytes(end.join([head, *lines, '']).encode(encoding, 'surrogateescape'))
        return d/name
    return make


def put(at: int, line: str | Callable) -> Callable:
    "Another line in the place of one."
    def change(lines: list[str]) -> list[str]:
        new = line(lines[at]) if callable(line) else line
        return [*lines[:at], new, *lines[at + 1:]]
    return change


def more(*lines: str) -> Callable:
    return lambda before: [*before, *lines]


def each(f: Callable) -> Callable:
    return lambda lines: [f(line) for line in lines]


def cell(f: Callable) -> Callable:
    "Changes of the class in every line."
    return each(lambda line: line.split(',')[0] + ',' + f(line.split(',')[1]))


def text(name: str, content: str | bytes) -> Callable:
    "Makes six images and a file beside them."
    def make(d: Path) -> Path:
        flat(d)
        (d/name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return d/name
    return make


PLAIN = 'Basalt 3, Granite 3'


def excel(*rows: tuple) -> Callable:
    def make(d: Path) -> Path:
        import openpyxl
        flat(d)
        book = openpyxl.Workbook()
        for row in rows: book.active.append(row)
        book.save(d/'own.xlsx')
        return d/'own.xlsx'
    return make


def zipped(name: str, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as z:
        for member, content in members.items(): z.writestr(member, content)
    return buffer.getvalue()


def tables() -> Iterator[Case]:
    one = case('tables', 'table')
    two = lambda label: [(f'images/{c}{i}.png', label(c, i)) for c in CLASSES for i in range(3)]
    # formulas are text
    yield one('formulas as classes', 'read', '=1+1 3, =HYPERLINK("http://x") 3', table(cell(lambda c: '=1+1' if c == 'Basalt' else '"=HYPERLINK(""http://x"")"')))
    yield one('formulas as paths', 'refused', "=cmd|' /C calc'!A0", table(put(0, "=cmd|' /C calc'!A0,Basalt")))
    yield one('formula as the name of a column', 'read', PLAIN, table(head='path,=label()', name='own.csv'))
    yield one('Excel with formulas that were never computed', 'refused', 'empty class', excel(('path', 'label'), *two(lambda c, i: '="Basalt"' if i == 0 else c)))
    yield one('Excel with numbers as classes', 'read', '1 3, 2 3', excel(('path', 'label'), *two(lambda c, i: 1 + CLASSES.index(c))))
    yield one('Excel with dates as classes', 'read', '2020-01-01 00:00:00 3, 2021-01-01 00:00:00 3', excel(('path', 'label'), *two(lambda c, i: __import__('datetime').datetime(2020 + CLASSES.index(c), 1, 1))))
    yield one('Excel without rows', 'refused', 'empty', excel())
    yield one('Excel that is a zip of something else', 'refused', 'no readable Excel file', text('own.xlsx', zipped('x', a=b'1')))
    yield one('Excel cut off', 'refused', 'no readable Excel file', text('own.xlsx', zipped('x', a=b'1'*1000)[:60]))
    yield one('CSV called .xlsx', 'refused', 'no readable Excel file', table(name='own.xlsx'))
    yield one('zip called .csv', 'refused', 'no readable Excel file', text('own.csv', zipped('x', a=b'1')))
    yield one('Parquet cut off', 'refused', 'no readable Parquet file', text('own.parquet', b'PAR1' + bytes(40)))
    # bytes
    yield one('NUL in a cell', 'refused', 'bytes that are no text', table(put(0, 'images/Basalt0.png,Ba\0salt')))
    yield one('binary called .csv', 'refused', 'no readable', text('own.csv', np.random.default_rng(1).bytes(3000)))
    yield one('empty table', 'refused', 'is empty', text('own.csv', b''))
    yield one('table of blank lines', 'refused', 'is empty', text('own.csv', b'\n\n \n'))
    yield one('names of columns alone', 'refused', 'no image to train on', text('own.csv', b'path,label\n'))
    yield one('mark of UTF-8 twice', 'read', PLAIN, table(head='\ufeff\ufeffpath,label'))
    yield one('one column', 'refused', 'one class only', table(each(lambda line: line.split(',')[0]), head='path'))
    # quotes and separators
    yield one('quote that is never closed', 'refused', 'own.csv', table(put(2, lambda line: '"' + line)))
    yield one('quote in the middle of a cell', 'read', 'Ba"salt 3, Granite 3', table(cell(lambda c: c.replace('Ba', 'Ba"'))))
    yield one('comma and semicolon in turns', 'refused', 'own.csv', table(put(1, lambda line: line.replace(',', ';'))))
    yield one('decimal commas beside semicolons', 'read', PLAIN, table(each(lambda line: line.replace(',', ';') + ';1,5'), head='path;label;weight'))
    yield one('tabs and spaces in turns', 'refused', 'own.csv', table(each(lambda line: line.replace(',', '\t')), put(1, lambda line: line.replace('\t', ' ')), head='path\tlabel'))
    yield one('more cells than names', 'refused', 'line 3 has 3 cells, 2 expected', table(put(1, lambda line: line + ',wet')))
    yield one('cell of a megabyte', 'read', PLAIN, table(each(lambda line: line + ',' + 'x'*10**6), head='path,label,note'))
    yield one('column twice', 'refused', "has the column 'label' twice", table(each(lambda line: line + ',x'), head='path,label,label'))
    yield one('column twice, once with spaces', 'refused', "has the column 'label' twice", table(each(lambda line: line + ',x'), head='path,label, label '))
    yield one('columns that differ in case', 'read', PLAIN, table(each(lambda line: line + ',x'), head='path,label,LABEL'))
    wide = lambda n: table(each(lambda line: line + ',1'*n), head='path,label' + ''.join(f',x{i}' for i in range(n)))
    yield one('100,000 columns', 'refused', 'more than 20,000', wide(100_000))
    yield one('1,000,000 names of columns and no row', 'refused', 'more than 20,000', text('own.csv', ('path,label' + ''.join(f',x{i}' for i in range(10**6)) + '\n').encode()))
    # classes
    yield one('class NaN in some lines', 'read', 'Basalt 2, Granite 3, NaN 1', table(put(0, 'images/Basalt0.png,NaN')))
    yield one('empty class in one line', 'refused', 'has an empty class', table(put(0, 'images/Basalt0.png,')))
    yield one('class of spaces', 'refused', 'has an empty class', table(put(0, 'images/Basalt0.png,"   "')))
    yield one('classes with spaces around them', 'read', PLAIN, table(put(0, 'images/Basalt0.png,  Basalt ')))
    yield one('classes that differ in case', 'refused', 'differ in', table(put(0, 'images/Basalt0.png,basalt')))
    yield one('classes that differ in spaces within', 'refused', 'differ in', table(cell(lambda c: 'Mud Stone' if c == 'Basalt' else c), put(0, 'images/Basalt0.png,Mud  Stone')))
    yield one('classes that look the same in other letters', 'read', 'Basalt 2, Granite 3, Ваsalt 1', table(put(0, 'images/Basalt0.png,Ваsalt')))
    yield one('class with a line break', 'read', 'Ba\\nsalt 3, Granite 3', table(cell(lambda c: '"Ba\nsalt"' if c == 'Basalt' else c)))
    yield one('class that is a path upwards', 'read', '../../etc 3, Granite 3', table(cell(lambda c: '../../etc' if c == 'Basalt' else c)))
    yield one('numbers of classes with one fraction', 'read', '0 2, 0.5 1, 1 3', table(cell(lambda c: str(CLASSES.index(c))), put(0, 'images/Basalt0.png,0.5')))
    yield one('numbers of classes, one of them 1e0', 'read', '0 3, 1 2, 1e0 1', table(cell(lambda c: str(CLASSES.index(c))), put(5, 'images/Granite2.png,1e0')))
    yield one('one class only', 'refused', 'one class only (Basalt)', table(cell(lambda c: 'Basalt')))
    yield one('a class for each image', 'read', 'Basalt0.png 1, Basalt1.png 1', table(each(lambda line: line.split(',')[0] + ',' + line.split(',')[0].split('/')[1])))
    # paths
    yield one('path upwards out of the folder', 'refused', 'not there', table(put(0, '../../../../../../etc/nothing.png,Basalt')))
    def outside(d):
        photos(d, 'secret/x.png')
        (d/'data').mkdir()
        lines = flat(d/'data')
        (d/'data/own.csv').write_text('\n'.join(['path,label', *lines, '../secret/x.png,Basalt']))
        return d/'data/own.csv'
    yield one('path upwards to an image that is there', 'read', 'Basalt 4, Granite 3', outside)
    def absolute(d):
        lines = flat(d)
        (d/'own.csv').write_text('\n'.join(['path,label', *(f'{d}/{line}' for line in lines)]))
        return d/'own.csv'
    yield one('absolute paths', 'read', PLAIN, absolute)
    yield one('path to a system file', 'refused', 'cannot be read', table(more('/etc/passwd,Basalt')), )
    yield one('path to a device', 'refused', 'not there', table(put(0, '/dev/zero,Basalt')))
    yield one('path to a folder', 'refused', 'not there', table(put(0, 'images,Basalt')))
    yield one('path of 5000 letters', 'refused', 'not there', table(put(0, 'a/'*2500 + 'x.png,Basalt')))
    yield one('empty path', 'refused', 'not there', table(put(0, ',Basalt')))
    yield one('path twice', 'refused', 'twice', table(more('images/Basalt0.png,Basalt')))
    yield one('path twice, written otherwise', 'refused', 'as a line before it does', table(more('images/../images/Basalt0.png,Granite')))
    yield one('path twice, in other case', 'refused', 'not there', table(more('images/BASALT0.png,Granite')))
    yield one('backslashes and slashes in turns', 'read', PLAIN, table(put(1, lambda line: line.replace('/', '\\'))))
    yield one('path that is a pattern', 'refused', 'not there', table(put(0, 'images/*.png,Basalt')))
    yield one('path that is a shell command', 'refused', 'not there', table(put(0, '$(touch x).png,Basalt')))
    yield one('path with a home', 'refused', 'not there', table(put(0, '~/Basalt0x.png,Basalt')))
    # JSON
    js = lambda value: text('own.json', json.dumps(value))
    yield one('JSON that is cut off', 'refused', 'own.json', text('own.json', b'[{"path": "images/Bas'))
    yield one('JSON that is a number', 'refused', 'own.json', js(3))
    yield one('JSON that is null', 'refused', 'own.json', js(None))
    yield one('JSON of lists in lists', 'refused', 'own.json', js([[1, 2], [3]]))
    yield one('JSON that nests 100,000 deep', 'refused', 'own.json', text('own.json', b'['*100_000 + b']'*100_000))
    yield one('JSON of columns of unequal length', 'refused', 'own.json', js(dict(path=['a', 'b'], label=['x'])))
    yield one('JSON with a number of 5000 digits', 'refused', 'own.json', text('own.json', b'[{"path": ' + b'9'*5000 + b', "label": 1}]'))
    yield one('COCO whose annotations name no image', 'refused', 'no COCO file', js(dict(images=[dict(id=1, file_name='Basalt0.png')], annotations=[dict(image_id=9, category_id=1)], categories=[dict(id=1, name='Basalt')])))
    yield one('COCO whose parts are numbers', 'refused', 'no COCO file', js(dict(images=1, annotations=2, categories=3)))
    yield one('Label Studio tasks whose results are numbers', 'refused', 'own.json', js([dict(data=dict(image='Basalt0.png'), annotations=[dict(result=[dict(type='choices', value=3)])])]))
    yield one('Label Studio tasks whose annotations are null', 'refused', 'own.json', js([dict(data=dict(image='Basalt0.png'), annotations=None)]))
    # folders
    yield one('folder with nothing', 'refused', 'no image', lambda d: d)
    yield one('path that is not there', 'refused', 'no data folder', lambda d: d/'nowhere')
    yield one('class folders in a circle of links', 'read', PLAIN, lambda d: (photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))), (d/'Basalt'/'deeper').symlink_to(d))[0])
    yield one('classes nested 200 deep', 'read', PLAIN, lambda d: photos(d, *(f'{c}/' + 'x/'*200 + f'{i}.png' for c in CLASSES for i in range(3))))
    yield one('class folder with a line break', 'read', 'Ba\\nsalt 3, Granite 3', lambda d: photos(d, *(f'{c}/{i}.png' for c in ('Ba\nsalt', 'Granite') for i in range(3))))
    yield one('class folder that is called -rf', 'read', '-rf 3, Granite 3', lambda d: photos(d, *(f'{c}/{i}.png' for c in ('-rf', 'Granite') for i in range(3))))
    yield one('pipe among the images', 'read', PLAIN, lambda d: (photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))), os.mkfifo(d/'Basalt'/'pipe'))[0])
    yield one('pipe called .png among the images', 'out', 'left out: 1 file that is no image', lambda d: (photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))), os.mkfifo(d/'Basalt'/'pipe.png'))[0])


def folds() -> Iterator[Case]:
    one = case('folds', 'folds')
    def with_folds(*lines: str, head: str = 'path,fold', name: str = 'folds.csv') -> Callable:
        def make(d: Path) -> tuple[Path, Path]:
            own = table()(d)
            rows = [line.split(',')[0] for line in flat(d)]
            (d/name).write_text('\n'.join([head, *(f'{r},{line}' for r, line in zip(rows, lines))]))
            return own, d/name
        return make
    yield one('folds as words', 'refused', "holds 'one'", with_folds('one', *'01201'))
    yield one('folds as fractions', 'refused', "holds '0.5'", with_folds('0.5', *'01201'))
    yield one('folds as 1.0', 'read', '0 2, 1 2, 2 2', with_folds('0.0', '1.0', '2.0', '0.0', '1.0', '2.0'))
    yield one('fold NaN', 'refused', "holds 'nan'", with_folds('nan', *'01201'))
    yield one('fold inf', 'refused', "holds 'inf'", with_folds('inf', *'01201'))
    yield one('fold of 30 digits', 'refused', 'folds.csv', with_folds('9'*30, *'01201'))
    yield one('empty fold', 'refused', "holds ''", with_folds('', *'01201'))
    yield one('image without fold', 'refused', 'has no row for images/Granite2.png', with_folds(*'01201'))
    yield one('no column of folds', 'refused', "no column 'fold'", with_folds(*'012012', head='path,part'))
    yield one('no folds at all', 'refused', 'is empty', lambda d: (table()(d), text('folds.csv', b'')(d)))
    yield one('folds of other images', 'refused', 'has no row for', lambda d: (table()(d), text('folds.csv', b'path,fold\nx/y.png,0\n')(d)))
    yield one('two folds for an image', 'refused', 'two folds', lambda d: (table()(d), text('folds.csv', ('path,fold\n' + ''.join(f'images/{c}{i}.png,{i}\n' for c in CLASSES for i in range(3)) + 'images/Basalt0.png,2\n').encode())(d)))
    yield one('folds that are a folder', 'refused', 'no readable', lambda d: (table()(d), d/'images'))
    yield one('folds that are not there', 'refused', 'no readable', lambda d: (table()(d), d/'nowhere.csv'))


def cases() -> list[Case]:
    return [c for kind in (images, tables, folds) for c in kind()]
