"""The hostile corpus: files, tables, records and words that are broken or odd, each with what must come of it.

A case is made by code in an empty folder. `test_hostile.py` reads them all; `docs/hostile.md` is written from this
table by `python tests/helpers/hostile.py`. What crashes or hangs a library that this project uses is not here.
"""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

VERDICTS = dict(
    refused='refused, with one sentence',
    out='left out, and reported',
    read='read, with the result in brackets',
)


@dataclass(frozen=True)
class Case:
    "A hostile input: how it is made, what reads it, and what must come of it."

    kind: str
    name: str
    make: Callable  # (an empty folder) -> what the reader takes
    reader: str  # a name in `test_hostile.READERS`
    verdict: str  # of `VERDICTS`
    says: str  # a part of the sentence, or the result
    root: bool = True  # whether it says the same to root


def case(kind: str, reader: str) -> Callable:
    "Makes cases of a kind that one reader reads."
    return lambda name, verdict, says, make, **more: Case(
        kind, name, make, reader, verdict, says, **more
    )


def several(one: Callable, verdict: str, says: str, made: dict[str, Callable]) -> list[Case]:
    "Cases of which the same must come: by name, how they are made."
    return [one(name, verdict, says, make) for name, make in made.items()]


# --- images

W, H = 40, 30
CORNERS = dict(red=(200, 30, 30), green=(30, 160, 30), blue=(30, 30, 200), white=(230, 230, 230))


def picture(w: int = W, h: int = H) -> np.ndarray:
    "Four quarters: red, green / blue, white."
    a = np.zeros((h, w, 3), np.uint8)
    quarters = [
        (y, x)
        for y in (slice(0, h // 2), slice(h // 2, h))
        for x in (slice(0, w // 2), slice(w // 2, w))
    ]
    for at, colour in zip(quarters, CORNERS.values()):
        a[at] = colour
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
        (d / name).write_bytes(data() if callable(data) else data)
        return d / name

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
    return (
        b'Exif\0\0II*\0\x08\0\0\0'
        + struct.pack('<H', n)
        + b''.join(tags)
        + struct.pack('<I', following)
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    "A chunk of a PNG."
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(w: int, h: int, *more: bytes, bits: int = 8, colour: int = 2, data: bytes = b'') -> bytes:
    "A PNG that says how large it is, whatever it holds."
    head = struct.pack('>IIBBBBB', w, h, bits, colour, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', head)
        + b''.join(more)
        + chunk(b'IDAT', data or zlib.compress(bytes(100)))
        + chunk(b'IEND', b'')
    )


def tiff_bytes(**tags: tuple) -> bytes:
    "A grey TIFF of 4 × 4 bytes in one strip, with some tags in another way: t273=(4, 1, offset)."
    entries = {
        256: (4, 1, 4),
        257: (4, 1, 4),
        258: (3, 1, 8),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 8),
        277: (3, 1, 1),
        278: (4, 1, 4),
        279: (4, 1, 16),
    }
    following = tags.pop('following', 0)
    entries |= {int(k[1:]): v for k, v in tags.items()}
    table = b''.join(tag(k, *v) for k, v in sorted(entries.items()))
    return (
        b'II*\0'
        + struct.pack('<I', 24)
        + bytes(range(0, 160, 10))
        + struct.pack('<H', len(entries))
        + table
        + struct.pack('<I', following)
    )


# TIFFs of bytes whose pixels are all there in spite of what is wrong
WHOLE = ('whose strip is longer than the file', 'of an unknown predictor', 'with tiles of 0 pixels')


def images() -> Iterator[Case]:
    one = case('images', 'image')
    jpeg, plain = saved('JPEG', quality=95), saved('PNG')
    # --- cut
    for form, ending in dict(
        JPEG='jpg', PNG='png', TIFF='tif', BMP='bmp', GIF='gif', WEBP='webp', JPEG2000='jp2',
        AVIF='avif').items():
        whole = saved(form)
        for share in (0.3, 0.75):
            yield one(
                f'{form} cut off behind {share:.0%}', 'refused', 'cannot be read',
                file(f'cut.{ending}', whole[: int(share * len(whole))]))
    yield one('JPEG without its last two bytes', 'refused', 'truncated', file('end.jpg', jpeg[:-2]))
    yield from several(one, 'read', UPRIGHT, {
        'JPEG with a second one behind it': file('two.jpg', jpeg + jpeg),
        'JPEG with a megabyte of zeros behind it': file('tail.jpg', jpeg + bytes(10**6))})
    yield from several(one, 'refused', 'cannot be read', {
        'JPEG that is its first two bytes': file('soi.jpg', jpeg[:2]),
        'JPEG whose pixels are zeros': file('zeros.jpg', jpeg[:30] + bytes(len(jpeg) - 30))})
    yield one('PNG without its end chunk', 'read', UPRIGHT, file('noend.png', plain[:-12]))
    yield from several(one, 'refused', 'cannot be read', {
        'PNG with a wrong checksum of its pixels': file(
            'crc.png', plain[:-20] + b'\0\0\0\0' + plain[-16:]),
        'empty file': file('empty.jpg', b''),
        'thousand zero bytes': file('zeros.png', bytes(1000)),
        'text': file('text.jpg', b'no picture'),
        'web page of a failed download': file('page.jpg', b'<!DOCTYPE html><html>404</html>'),
        'pointer of Git LFS': file(
            'lfs.jpg', b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n'),
        'SVG': file(
            'drawing.png', b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        'PDF': file('page.jpg', b'%PDF-1.7\n%\xe2\xe3\n'),
        'PostScript, which an interpreter would run': file(
            'run.jpg',
            b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n'),
        'pickle': file('p.png', pickle.dumps(dict(a=1)))})
    # --- shapes
    for w, h in ((1, 1), (1, 500), (500, 1), (30_000, 10), (10, 30_000)):
        yield one(
            f'{w} × {h} pixels', 'read', f'{w}×{h} grey',
            file('thin.png', lambda w=w, h=h: saved('PNG', Image.new('RGB', (w, h), (9, 99, 9)))))
    yield from several(one, 'refused', 'cannot be read', {
        'PNG of 0 × 10 pixels': file('zero.png', png(0, 10)),
        'PNG of 10 × 0 pixels': file('zero.png', png(10, 0))})
    # --- larger than they are
    for w, h in ((50_000, 50_000), (2**31 - 1, 2**31 - 1), (178_956_971, 1)):
        yield one(
            f'PNG that says it has {w} × {h} pixels', 'refused', 'more than is usual',
            file('bomb.png', png(w, h)))
    big = jpeg.replace(struct.pack('>HH', H, W), struct.pack('>HH', 65500, 65500))
    yield one(
        'JPEG that says it has 65500 × 65500 pixels', 'refused', 'more than is usual',
        file('bomb.jpg', big))
    gif = saved('GIF')
    yield from several(one, 'refused', 'more than is usual', {
        'GIF that says it has 65535 × 65535 pixels': file(
            'bomb.gif', gif[:6] + b'\xff\xff\xff\xff' + gif[10:]),
        'TIFF that says it has 60000 × 60000 pixels': file(
            'bomb.tif', tiff_bytes(t256=(4, 1, 60_000), t257=(4, 1, 60_000))),
        '16-bit TIFF that says it has 60000 × 60000 pixels': file(
            'bomb.tif', tiff_bytes(t256=(4, 1, 60_000), t257=(4, 1, 60_000), t258=(3, 1, 16))),
        'BMP that says it has 60000 × 60000 pixels': file(
            'bomb.bmp',
            saved('BMP').replace(struct.pack('<II', W, H), struct.pack('<II', 60_000, 60_000)))})
    yield one(
        'PNG whose text is packed a thousandfold', 'refused', 'cannot be read',
        file(
            'text.png',
            lambda: png(
                4, 4, chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(80_000_000))),
                data=zlib.compress(bytes(4 * 13)))))
    # --- names that lie
    for form, ending in (
        ('PNG', 'jpg'), ('JPEG', 'png'), ('WEBP', 'tif'), ('TIFF', 'jpg'), ('BMP', 'png'),
        ('GIF', 'webp')):
        yield one(
            f'{form} called .{ending}', 'read', UPRIGHT.replace('white', 'white'),
            file(f'lie.{ending}', saved(form)))
    yield from several(one, 'read', UPRIGHT, {
        'JPEG without an ending': file('photo', jpeg),
        'JPEG whose name has a line break': file('a\nb.jpg', jpeg)})
    yield one(
        'text whose name has a line break', 'refused', 'cannot be read',
        file('a\nb.jpg', b'no picture'))
    yield one(
        'JPEG whose name is no UTF-8', 'read', UPRIGHT, file(os.fsdecode(b'\xb0\xc5.jpg'), jpeg))
    yield one(
        'text whose name is no UTF-8', 'refused', 'cannot be read',
        file(os.fsdecode(b'\xb0\xc5.jpg'), b'no picture'))

    # --- no files
    def folder(d):
        (d / 'x.jpg').mkdir()
        return d / 'x.jpg'

    def broken_link(d):
        (d / 'x.jpg').symlink_to(d / 'nowhere.jpg')
        return d / 'x.jpg'

    def circle(d):
        (d / 'x.jpg').symlink_to(d / 'x.jpg')
        return d / 'x.jpg'

    def link(d):
        (d / 'y').write_bytes(jpeg)
        (d / 'x.jpg').symlink_to(d / 'y')
        return d / 'x.jpg'

    def closed(d):
        (d / 'x.jpg').write_bytes(jpeg)
        (d / 'x.jpg').chmod(0)
        return d / 'x.jpg'

    yield from several(one, 'refused', 'cannot be read', {
        'folder called x.jpg': folder,
        'link that leads nowhere': broken_link,
        'link that leads to itself': circle})
    yield one('link to an image', 'read', UPRIGHT, link)
    yield one('file that may not be read', 'refused', 'cannot be read', closed, root=False)
    yield from several(one, 'refused', 'cannot be read', {
        'name of 300 letters': lambda d: d / ('a' * 300 + '.jpg'),
        'name with a NUL': lambda d: d / 'a\0b.jpg'})
    # --- EXIF
    for number in (0, 9, 255, 65535):
        yield one(
            f'EXIF orientation {number}', 'read', UPRIGHT,
            file('turn.jpg', with_exif(exif(tag(274, 3, 1, number)))))
    yield one(
        'EXIF orientation as text', 'read', UPRIGHT,
        file('turn.jpg', with_exif(exif(tag(274, 2, 2, ord('6'))))))
    yield from several(one, 'read', f'{H}×{W} blue red white green', {
        'EXIF orientation as two numbers': file(
            'turn.jpg', with_exif(exif(tag(274, 3, 2, 6 | 6 << 16)))),
        'EXIF orientation of 32 bits': file('turn.jpg', with_exif(exif(tag(274, 4, 1, 6))))})
    yield from several(one, 'read', UPRIGHT, {
        'EXIF orientation as a fraction that lies outside': file(
            'turn.jpg', with_exif(exif(tag(274, 5, 1, 10**9)))),
        'EXIF orientation as a fraction over 0': file(
            'turn.jpg', with_exif(exif(tag(274, 5, 1, 26)) + struct.pack('<II', 6, 0))),
        'EXIF orientation as a floating-point NaN': file(
            'turn.jpg', with_exif(exif(tag(274, 11, 1, 0x7FC00000)))),
        'EXIF orientation as -6': file('turn.jpg', with_exif(exif(tag(274, 8, 1, 65530)))),
        'EXIF of no bytes': file('none.jpg', with_exif(b'')),
        'EXIF of its name alone': file('name.jpg', with_exif(b'Exif\0\0')),
        'EXIF of noise': file(
            'noise.jpg', with_exif(b'Exif\0\0' + np.random.default_rng(0).bytes(500))),
        'EXIF cut off': file('cut.jpg', with_exif(exif(tag(274, 3, 1, 6))[:20]))})
    yield from several(one, 'read', f'{H}×{W} blue red white green', {
        'EXIF whose directory leads to itself': file(
            'circle.jpg', with_exif(exif(tag(274, 3, 1, 6), following=8))),
        'EXIF that says it has 65535 tags': file(
            'many.jpg', with_exif(exif(tag(274, 3, 1, 6), count=65535))),
        'EXIF whose sub-directory leads to itself': file(
            'circle.jpg', with_exif(exif(tag(274, 3, 1, 6), tag(34665, 4, 1, 8))))})
    yield from several(one, 'read', UPRIGHT, {
        'PNG with EXIF of noise': file(
            'noise.png', plain[:33] + chunk(b'eXIf', b'\1\2\3' * 30) + plain[33:]),
        'WebP with EXIF of noise': file(
            'noise.webp', saved('WEBP', exif=b'Exif\0\0' + b'\1\2\3' * 30, lossless=True))})
    # --- TIFF, read by this project where it is deep
    for what, tags in {
        'whose strip lies outside': dict(t273=(4, 1, 10**6)),
        'whose strip is longer than the file': dict(t279=(4, 1, 10**6)),
        'that lacks its strips': dict(t273=(4, 0, 0)), 'of 0 rows': dict(t257=(4, 1, 0)),
        'of 0 bits': dict(t258=(3, 1, 0)), 'of 0 bands': dict(t277=(3, 1, 0)),
        'of 65535 bands': dict(t277=(3, 1, 65535)),
        'of an unknown compression': dict(t259=(3, 1, 999)),
        'of unknown colours': dict(t262=(3, 1, 99)), 'of 0 rows a strip': dict(t278=(4, 1, 0)),
        'of an unknown predictor': dict(t317=(3, 1, 9)),
        'with tiles of 0 pixels': dict(
            t322=(4, 1, 0), t323=(4, 1, 0), t324=(4, 1, 8), t325=(4, 1, 16))}.items():
        for bits in (8, 16) if 't258' not in tags else (0,):
            given = tags if 't258' in tags else tags | dict(t258=(3, 1, bits))
            whole = bits == 8 and what in WHOLE
            yield one(
                f'TIFF {what}, {given["t258"][2]} bits', 'read' if whole else 'refused',
                '4×4' if whole else 'cannot be read', file('t.tif', tiff_bytes(**given)))
    yield one(
        'TIFF whose directory leads to itself', 'read', '4×4',
        file('circle.tif', tiff_bytes(following=24)))
    yield from several(one, 'refused', 'cannot be read', {
        'TIFF whose directory lies outside': file('out.tif', b'II*\0' + struct.pack('<I', 10**6)),
        'TIFF that is its first four bytes': file('four.tif', b'II*\0')})
    # --- others
    yield one(
        '16-bit PNG cut off', 'refused', 'cannot be read',
        file(
            'deep.png',
            lambda: saved(
                'PNG', Image.fromarray(np.arange(10000, dtype=np.uint16).reshape(100, 100)))[:150]))
    yield one(
        'floating-point TIFF with NaN', 'refused', 'no numbers',
        file(
            'nan.tif', lambda: saved('TIFF', Image.fromarray(np.full((9, 9), np.nan, np.float32)))))
    yield one(
        'animation whose second picture is cut off', 'read', UPRIGHT,
        file('cut.gif', lambda: _animation()[:-20]))
    yield one(
        'PNG with a palette that lacks its colours', 'read', '4×4',
        file('pal.png', png(4, 4, colour=3, data=zlib.compress(bytes(20)))))
    yield from several(one, 'refused', 'cannot be read', {
        'PNG of a colour type that is not there': file('type.png', png(4, 4, colour=5)),
        'PNG of 3 bits': file('bits.png', png(4, 4, bits=3))})
    yield from several(one, 'read', UPRIGHT, {
        'colour profile of noise in a JPEG': file(
            'icc.jpg', lambda: saved('JPEG', icc_profile=b'noise' * 50, quality=95)),
        'colour profile cut off in a PNG': file(
            'icc.png', lambda: saved('PNG', icc_profile=_srgb()[:200]))})


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
        (d / p).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 6), (90, 80, 70)).save(d / p)
    return d


def flat(d: Path, n: int = 3) -> list[str]:
    "Images of two classes in one folder, and a line for each: path,class."
    names = [f'{c}{i}.png' for c in CLASSES for i in range(n)]
    photos(d, *(f'images/{name}' for name in names))
    return [f'images/{name},{name[:-5]}' for name in names]


def table(
    *change: Callable,
    head: str = 'path,label',
    name: str = 'own.csv',
    encoding: str = 'utf-8',
    end: str = '\n',
) -> Callable:
    "Makes six images and their table, its lines changed by functions of all lines."

    def make(d: Path) -> Path:
        lines = flat(d)
        for f in change:
            lines = f(lines)
        (d / name).write_bytes(end.join([head, *lines, '']).encode(encoding, 'surrogateescape'))
        return d / name

    return make


def put(at: int, line: str | Callable) -> Callable:
    "Another line in the place of one."

    def change(lines: list[str]) -> list[str]:
        new = line(lines[at]) if callable(line) else line
        return [*lines[:at], new, *lines[at + 1 :]]

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
        (d / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return d / name

    return make


PLAIN = 'Basalt 3, Granite 3'


def excel(*rows: tuple) -> Callable:
    def make(d: Path) -> Path:
        import openpyxl

        flat(d)
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        book.save(d / 'own.xlsx')
        return d / 'own.xlsx'

    return make


def zipped(name: str, **members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as z:
        for member, content in members.items():
            z.writestr(member, content)
    return buffer.getvalue()


def tables() -> Iterator[Case]:
    one = case('tables', 'table')
    two = lambda label: [(f'images/{c}{i}.png', label(c, i)) for c in CLASSES for i in range(3)]
    # formulas are text
    yield one(
        'formulas as classes', 'read', '=1+1 3, =HYPERLINK("http://x") 3',
        table(cell(lambda c: '=1+1' if c == 'Basalt' else '"=HYPERLINK(""http://x"")"')))
    yield one(
        'formulas as paths', 'refused', "=cmd|' /C calc'!A0",
        table(put(0, "=cmd|' /C calc'!A0,Basalt")))
    yield one(
        'formula as the name of a column', 'read', PLAIN,
        table(head='path,=label()', name='own.csv'))
    yield one(
        'Excel with formulas that were never computed', 'refused', 'empty class',
        excel(('path', 'label'), *two(lambda c, i: '="Basalt"' if i == 0 else c)))
    yield one(
        'Excel with numbers as classes', 'read', '1 3, 2 3',
        excel(('path', 'label'), *two(lambda c, i: 1 + CLASSES.index(c))))
    yield one(
        'Excel with dates as classes', 'read', '2020-01-01 00:00:00 3, 2021-01-01 00:00:00 3',
        excel(
            ('path', 'label'),
            *two(lambda c, i: __import__('datetime').datetime(2020 + CLASSES.index(c), 1, 1))))
    yield one('Excel without rows', 'refused', 'empty', excel())
    yield from several(one, 'refused', 'no readable Excel file', {
        'Excel that is a zip of something else': text('own.xlsx', zipped('x', a=b'1')),
        'Excel cut off': text('own.xlsx', zipped('x', a=b'1' * 1000)[:60]),
        'CSV called .xlsx': table(name='own.xlsx')})
    yield one(
        'zip called .csv', 'refused', 'own.csv is an archive; unpack it',
        text('own.csv', zipped('x', a=b'1')))
    yield one(
        'Parquet cut off', 'refused', 'no readable Parquet file',
        text('own.parquet', b'PAR1' + bytes(40)))
    # bytes
    yield one(
        'NUL in a cell', 'refused', 'bytes that are no text',
        table(put(0, 'images/Basalt0.png,Ba\0salt')))
    yield one(
        'binary called .csv', 'refused', 'no readable',
        text('own.csv', np.random.default_rng(1).bytes(3000)))
    yield from several(one, 'refused', 'is empty', {
        'empty table': text('own.csv', b''),
        'table of blank lines': text('own.csv', b'\n\n \n')})
    yield one(
        'names of columns alone', 'refused', 'no image to train on',
        text('own.csv', b'path,label\n'))
    yield one('mark of UTF-8 twice', 'read', PLAIN, table(head='\ufeff\ufeffpath,label'))
    yield one(
        'one column', 'refused', 'one class only',
        table(each(lambda line: line.split(',')[0]), head='path'))
    # quotes and separators
    yield one(
        'quote that is never closed', 'refused', 'own.csv', table(put(2, lambda line: '"' + line)))
    yield one(
        'quote in the middle of a cell', 'read', 'Ba"salt 3, Granite 3',
        table(cell(lambda c: c.replace('Ba', 'Ba"'))))
    yield one(
        'comma and semicolon in turns', 'refused', 'own.csv',
        table(put(1, lambda line: line.replace(',', ';'))))
    yield one(
        'decimal commas beside semicolons', 'read', PLAIN,
        table(each(lambda line: line.replace(',', ';') + ';1,5'), head='path;label;weight'))
    yield one(
        'tabs and spaces in turns', 'refused', 'own.csv',
        table(
            each(lambda line: line.replace(',', '\t')),
            put(1, lambda line: line.replace('\t', ' ')), head='path\tlabel'))
    yield one(
        'more cells than names', 'refused', 'line 3 has 3 cells, 2 expected',
        table(put(1, lambda line: line + ',wet')))
    yield one(
        'cell of a megabyte', 'read', PLAIN,
        table(each(lambda line: line + ',' + 'x' * 10**6), head='path,label,note'))
    yield from several(one, 'refused', "has the column 'label' twice", {
        'column twice': table(each(lambda line: line + ',x'), head='path,label,label'),
        'column twice, once with spaces': table(
            each(lambda line: line + ',x'), head='path,label, label ')})
    yield one(
        'columns that differ in case', 'read', PLAIN,
        table(each(lambda line: line + ',x'), head='path,label,LABEL'))
    wide = lambda n: table(
        each(lambda line: line + ',1' * n), head='path,label' + ''.join(f',x{i}' for i in range(n))
    )
    yield from several(one, 'refused', 'more than 20,000', {
        '100,000 columns': wide(100_000),
        '1,000,000 names of columns and no row': text(
            'own.csv', ('path,label' + ''.join(f',x{i}' for i in range(10**6)) + '\n').encode())})
    # classes
    yield one(
        'class NaN in some lines', 'read', 'Basalt 2, Granite 3, NaN 1',
        table(put(0, 'images/Basalt0.png,NaN')))
    yield from several(one, 'refused', 'has an empty class', {
        'empty class in one line': table(put(0, 'images/Basalt0.png,')),
        'class of spaces': table(put(0, 'images/Basalt0.png,"   "'))})
    yield one(
        'classes with spaces around them', 'read', PLAIN,
        table(put(0, 'images/Basalt0.png,  Basalt ')))
    yield from several(one, 'refused', 'differ in', {
        'classes that differ in case': table(put(0, 'images/Basalt0.png,basalt')),
        'classes that differ in spaces within': table(
            cell(lambda c: 'Mud Stone' if c == 'Basalt' else c),
            put(0, 'images/Basalt0.png,Mud  Stone'))})
    yield one(
        'classes that look the same in other letters', 'read', 'Basalt 2, Granite 3, Ваsalt 1',
        table(put(0, 'images/Basalt0.png,Ваsalt')))
    yield one(
        'class with a line break', 'read', 'Ba\\nsalt 3, Granite 3',
        table(cell(lambda c: '"Ba\nsalt"' if c == 'Basalt' else c)))
    yield one(
        'class that is a path upwards', 'read', '../../etc 3, Granite 3',
        table(cell(lambda c: '../../etc' if c == 'Basalt' else c)))
    yield one(
        'numbers of classes with one fraction', 'read', '0 2, 0.5 1, 1 3',
        table(cell(lambda c: str(CLASSES.index(c))), put(0, 'images/Basalt0.png,0.5')))
    yield one(
        'numbers of classes, one of them 1e0', 'read', '0 3, 1 2, 1e0 1',
        table(cell(lambda c: str(CLASSES.index(c))), put(5, 'images/Granite2.png,1e0')))
    yield one(
        'one class only', 'refused', 'one class only (Basalt)', table(cell(lambda c: 'Basalt')))
    yield one(
        'a class for each image', 'read', 'Basalt0.png 1, Basalt1.png 1',
        table(each(lambda line: line.split(',')[0] + ',' + line.split(',')[0].split('/')[1])))
    # paths
    yield one(
        'path upwards out of the folder', 'refused', 'not there',
        table(put(0, '../../../../../../etc/nothing.png,Basalt')))

    def outside(d):
        photos(d, 'secret/x.png')
        (d / 'data').mkdir()
        lines = flat(d / 'data')
        (d / 'data/own.csv').write_text('\n'.join(['path,label', *lines, '../secret/x.png,Basalt']))
        return d / 'data/own.csv'

    yield one('path upwards to an image that is there', 'read', 'Basalt 4, Granite 3', outside)

    def absolute(d):
        lines = flat(d)
        (d / 'own.csv').write_text('\n'.join(['path,label', *(f'{d}/{line}' for line in lines)]))
        return d / 'own.csv'

    yield one('absolute paths', 'read', PLAIN, absolute)
    yield one(
        'path to a system file', 'refused', 'cannot be read', table(more('/etc/passwd,Basalt')))
    yield from several(one, 'refused', 'not there', {
        'path to a device': table(put(0, '/dev/zero,Basalt')),
        'path to a folder': table(put(0, 'images,Basalt')),
        'path of 5000 letters': table(put(0, 'a/' * 2500 + 'x.png,Basalt')),
        'empty path': table(put(0, ',Basalt'))})
    yield one('path twice', 'refused', 'twice', table(more('images/Basalt0.png,Basalt')))
    yield one(
        'path twice, written otherwise', 'refused', 'as a line before it does',
        table(more('images/../images/Basalt0.png,Granite')))
    yield one(
        'path twice, in other case', 'refused', 'not there',
        table(more('images/BASALT0.png,Granite')))
    yield one(
        'backslashes and slashes in turns', 'read', PLAIN,
        table(put(1, lambda line: line.replace('/', '\\'))))
    yield from several(one, 'refused', 'not there', {
        'path that is a pattern': table(put(0, 'images/*.png,Basalt')),
        'path that is a shell command': table(put(0, '$(touch x).png,Basalt')),
        'path with a home': table(put(0, '~/Basalt0x.png,Basalt'))})
    # JSON
    js = lambda value: text('own.json', json.dumps(value))
    yield from several(one, 'refused', 'own.json', {
        'JSON that is cut off': text('own.json', b'[{"path": "images/Bas'),
        'JSON that is a number': js(3),
        'JSON that is null': js(None),
        'JSON of lists in lists': js([[1, 2], [3]]),
        'JSON that nests 100,000 deep': text('own.json', b'[' * 100_000 + b']' * 100_000),
        'JSON of columns of unequal length': js(dict(path=['a', 'b'], label=['x'])),
        'JSON with a number of 5000 digits': text(
            'own.json', b'[{"path": ' + b'9' * 5000 + b', "label": 1}]')})
    yield from several(one, 'refused', 'no COCO file', {
        'COCO whose annotations name no image': js(
            dict(
                images=[dict(id=1, file_name='Basalt0.png')],
                annotations=[dict(image_id=9, category_id=1)],
                categories=[dict(id=1, name='Basalt')])),
        'COCO whose parts are numbers': js(dict(images=1, annotations=2, categories=3))})
    yield from several(one, 'refused', 'own.json', {
        'Label Studio tasks whose results are numbers': js(
            [
                dict(
                    data=dict(image='Basalt0.png'),
                    annotations=[dict(result=[dict(type='choices', value=3)])])]),
        'Label Studio tasks whose annotations are null': js(
            [dict(data=dict(image='Basalt0.png'), annotations=None)])})
    # folders
    yield one('folder with nothing', 'refused', 'no image', lambda d: d)
    yield one('path that is not there', 'refused', 'no data folder', lambda d: d / 'nowhere')
    yield from several(one, 'read', PLAIN, {
        'class folders in a circle of links': lambda d: (
            photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))),
            (d / 'Basalt' / 'deeper').symlink_to(d))[0],
        'classes nested 200 deep': lambda d: photos(
            d, *(f'{c}/' + 'x/' * 200 + f'{i}.png' for c in CLASSES for i in range(3)))})
    yield one(
        'class folder with a line break', 'read', 'Ba\\nsalt 3, Granite 3',
        lambda d: photos(d, *(f'{c}/{i}.png' for c in ('Ba\nsalt', 'Granite') for i in range(3))))
    yield one(
        'class folder that is called -rf', 'read', '-rf 3, Granite 3',
        lambda d: photos(d, *(f'{c}/{i}.png' for c in ('-rf', 'Granite') for i in range(3))))
    yield one(
        'pipe among the images', 'read', PLAIN,
        lambda d: (
            photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))),
            os.mkfifo(d / 'Basalt' / 'pipe'))[0])
    yield one(
        'pipe called .png among the images', 'out', 'left out: 1 file that is no image',
        lambda d: (
            photos(d, *(f'{c}/{i}.png' for c in CLASSES for i in range(3))),
            os.mkfifo(d / 'Basalt' / 'pipe.png'))[0])


def folds() -> Iterator[Case]:
    one = case('folds', 'folds')

    def with_folds(*lines: str, head: str = 'path,fold', name: str = 'folds.csv') -> Callable:
        def make(d: Path) -> tuple[Path, Path]:
            own = table()(d)
            rows = [line.split(',')[0] for line in flat(d)]
            (d / name).write_text(
                '\n'.join([head, *(f'{r},{line}' for r, line in zip(rows, lines))])
            )
            return own, d / name

        return make

    yield one('folds as words', 'refused', "holds 'one'", with_folds('one', *'01201'))
    yield one('folds as fractions', 'refused', "holds '0.5'", with_folds('0.5', *'01201'))
    yield one(
        'folds as 1.0', 'read', '0 2, 1 2, 2 2',
        with_folds('0.0', '1.0', '2.0', '0.0', '1.0', '2.0'))
    yield one('fold NaN', 'refused', "holds 'nan'", with_folds('nan', *'01201'))
    yield one('fold inf', 'refused', "holds 'inf'", with_folds('inf', *'01201'))
    yield one('fold of 30 digits', 'refused', 'folds.csv', with_folds('9' * 30, *'01201'))
    yield one('empty fold', 'refused', "holds ''", with_folds('', *'01201'))
    yield one(
        'image without fold', 'refused', 'has no row for images/Granite2.png', with_folds(*'01201'))
    yield one(
        'no column of folds', 'refused', "no column 'fold'",
        with_folds(*'012012', head='path,part'))
    yield one(
        'no folds at all', 'refused', 'is empty', lambda d: (table()(d), text('folds.csv', b'')(d)))
    yield one(
        'folds of other images', 'refused', 'has no row for',
        lambda d: (table()(d), text('folds.csv', b'path,fold\nx/y.png,0\n')(d)))
    yield one(
        'two folds for an image', 'refused', 'two folds',
        lambda d: (
            table()(d),
            text(
                'folds.csv',
                (
                    'path,fold\n'
                    + ''.join(f'images/{c}{i}.png,{i}\n' for c in CLASSES for i in range(3))
                    + 'images/Basalt0.png,2\n').encode())(d)))
    yield from several(one, 'refused', 'no readable', {
        'folds that are a folder': lambda d: (table()(d), d / 'images'),
        'folds that are not there': lambda d: (table()(d), d / 'nowhere.csv')})


# --- what runs leave

FIRST = {}  # a complete run, and one that was stopped: folders, set by the test


def run_folder(*change: Callable, of: str = 'done') -> Callable:
    "Makes a copy of a run, its folder changed by functions of it; the folder of runs."

    def make(d: Path) -> Path:
        shutil.copytree(FIRST[of], d / 'runs' / 'one')
        for f in change:
            f(d / 'runs' / 'one')
        return d / 'runs'

    return make


def without(name: str) -> Callable:
    return lambda run: (run / name).unlink()


def holds(name: str, content: str | bytes | Callable) -> Callable:
    def change(run: Path):
        data = content((run / name).read_bytes()) if callable(content) else content
        (run / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return change


def edited(name: str, f: Callable) -> Callable:
    "A JSON file of a run, changed by a function of what it holds."
    return holds(name, lambda data: json.dumps(f(json.loads(data))))


def field_of(name: str, value: object) -> Callable:
    "Another value of a field of the recipe."
    return edited('recipe.json', lambda r: r | dict(recipe=r['recipe'] | {name: value}))


class Bomb:
    "What would make a file called opened if it were unpickled."

    def __reduce__(self):
        return open, ('opened', 'w')


def arrays(name: str, f: Callable) -> Callable:
    "The arrays of a .npz, changed by a function of them; objects become pickles."

    def change(run: Path):
        with np.load(run / name) as z:
            held = {k: z[k] for k in z.files}
        with open(run / name, 'wb') as out:
            np.savez(out, **f(held))

    return change


def objects(held: dict) -> dict:
    return held | {next(iter(held)): np.array([Bomb()], dtype=object)}


def tensors(name: str, f: Callable) -> Callable:
    "The tensors of a weight file, changed by a function of them."

    def change(run: Path):
        from safetensors.torch import load_file, save_file

        save_file(f(load_file(run / name)), run / name)

    return change


def torch_bytes(held: object) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(held, buffer)
    return buffer.getvalue()


ANSWERED = '7 classes, sum 1'


# what the sentence says where it is not the field's name
OTHERWISE = {
    'tta': 'set of views',
    'phases': 'no phase',
    'phases ': 'no recipe',
    'phases  ': 'no recipe',
    'phases   ': 'epochs -1',
    'phases    ': 'field of a phase',
}


def records() -> Iterator[Case]:
    one = case('run folders, asked for an answer', 'network')
    for what, content in {
        'empty': b'', 'cut off': lambda b: b[: len(b) // 2], 'zeros': bytes(300),
        'a list': b'[1, 2]', 'null': b'null', 'a number': b'3',
        'nested 100,000 deep': b'[' * 100_000, 'not UTF-8': b'\xff\xfe\xfd{',
        'NaN': b'NaN'}.items():
        yield one(
            f'recipe.json that is {what}', 'refused', 'recipe.json',
            run_folder(holds('recipe.json', content)))
    for name in ('recipe', 'classes'):
        yield one(
            f'recipe.json without {name}', 'refused', name,
            run_folder(
                edited(
                    'recipe.json', lambda r, name=name: {k: v for k, v in r.items() if k != name})))
        for value in (None, 3, 'x', []):
            yield one(
                f'recipe.json whose {name} is {json.dumps(value)}', 'refused', 'recipe.json',
                run_folder(
                    edited('recipe.json', lambda r, name=name, value=value: r | {name: value})))
    yield one(
        'recipe.json with a field that no recipe has', 'refused', "unknown recipe field 'colour'",
        run_folder(field_of('colour', 1)))
    for name, value in {
        'arch': 'os.system', 'arch ': None, 'target': 3, 'img_size': 'NaN', 'batch_size': -1,
        'batch_size ': None, 'tta': 7, 'phases': [], 'phases ': [[]], 'phases  ': 'x',
        'phases   ': [dict(epochs=-1)], 'phases    ': [dict(epocs=1)], 'seed': 1e300,
        'drop_rate': float('nan'), 'clip': float('inf'), 'img_size ': [32, 32, 32],
        'resize_mode': ['pad'], 'normalize': {'a': 1}, 'bands': [1, 2], 'max_value': -1,
        'augment': 'nowhere.json', 'loss': '__import__("os")', 'head': None}.items():
        yield one(
            f'recipe whose {name.strip()} is {json.dumps(value)}', 'refused',
            OTHERWISE.get(name, name.strip()), run_folder(field_of(name.strip(), value)))

    def own_code(run: Path):
        (run.parent.parent / 'evil.py').write_text('open("opened", "w")\ndef loss(x): return x\n')
        field_of('loss', f'{run.parent.parent}/evil.py:loss')(run)

    yield one(
        'recipe whose loss is a function of a file that came along', 'read', ANSWERED,
        run_folder(own_code))
    yield one(
        'classes twice', 'refused', 'recipe.json',
        run_folder(edited('recipe.json', lambda r: r | dict(classes=['Basalt'] * 7))))
    yield one(
        'a class more than the network has', 'refused', 'do not fit',
        run_folder(edited('recipe.json', lambda r: r | dict(classes=[*r['classes'], 'More']))))
    yield one('no recipe.json', 'refused', 'has no recipe.json', run_folder(without('recipe.json')))
    yield one(
        'no weights', 'refused', 'has no best.safetensors', run_folder(without('best.safetensors')))
    yield from several(one, 'read', ANSWERED, {
        'metrics.json that is empty': run_folder(holds('metrics.json', b'')),
        'no environment.json': run_folder(without('environment.json'))})
    yield from several(one, 'refused', 'environment.json', {
        'environment.json that is a list': run_folder(holds('environment.json', b'[]')),
        'environment.json cut off': run_folder(holds('environment.json', lambda b: b[:40]))})
    yield one(
        'unknown precision in environment.json', 'read', ANSWERED,
        run_folder(edited('environment.json', lambda e: e | dict(precision='int2'))))
    yield one(
        'members that are not there', 'refused', 'a member of one',
        run_folder(
            holds(
                'recipe.json',
                json.dumps(
                    dict(
                        members=[dict(name='two', folder='two')], weights=[1.0], classes=['a', 'b'])))))
    yield from several(one, 'refused', 'recipe.json', {
        'an ensemble whose member is itself': run_folder(
            holds(
                'recipe.json',
                json.dumps(
                    dict(
                        members=[dict(name='one', folder='one')], weights=[1.0], classes=['a', 'b'])))),
        'members that are a number': run_folder(holds('recipe.json', json.dumps(dict(members=3)))),
        'members without folder': run_folder(
            holds('recipe.json', json.dumps(dict(members=[dict(name='two')]))))})
    # weights
    yield from several(one, 'refused', 'best.safetensors', {
        'weights that are empty': run_folder(holds('best.safetensors', b'')),
        'weights cut off': run_folder(holds('best.safetensors', lambda b: b[: len(b) // 2])),
        'weights whose header says 2⁶³ bytes': run_folder(
            holds('best.safetensors', lambda b: b'\xff' * 7 + b'\x7f' + b[8:])),
        'weights that are a pickle': run_folder(holds('best.safetensors', pickle.dumps(Bomb()))),
        'weights that are a pickle of torch': run_folder(
            holds('best.safetensors', lambda b: torch_bytes(Bomb())))})
    nan = lambda t: {k: v * float('nan') if v.is_floating_point() else v for k, v in t.items()}
    yield from several(one, 'refused', 'not finite', {
        'weights NaN': run_folder(tensors('best.safetensors', nan)),
        'weights infinite': run_folder(
            tensors(
                'best.safetensors',
                lambda t: {k: v / 0 if v.is_floating_point() else v for k, v in t.items()})),
        'one NaN in the running variance': run_folder(
            tensors(
                'best.safetensors',
                lambda t: {
                    k: v * float('nan') if k.endswith('running_var') else v for k, v in t.items()}))})
    yield from several(one, 'refused', 'do not fit', {
        'weights without one tensor': run_folder(
            tensors(
                'best.safetensors',
                lambda t: {
                    k: v for i,
                    (k, v) in enumerate(t.items()) if k.endswith('num_batches_tracked') or i != [
                        n for n, k in enumerate(t) if k.endswith('weight')][0]})),
        'weights with one tensor more': run_folder(
            tensors('best.safetensors', lambda t: t | dict(more=next(iter(t.values())).clone()))),
        'weights of another shape': run_folder(
            tensors(
                'best.safetensors',
                lambda t: {
                    k: v.repeat(2, *[1] * (v.ndim - 1)) if v.ndim else v for k, v in t.items()}))})
    yield one(
        'weights as whole numbers', 'refused', 'best.safetensors',
        run_folder(tensors('best.safetensors', lambda t: {k: v.int() for k, v in t.items()})))
    # what tells how sure it is
    for name in ('outliers.npz', 'conformal.json'):
        yield from several(one, 'refused', name, {
            f'{name} that is empty': run_folder(holds(name, b'')),
            f'{name} cut off': run_folder(holds(name, lambda b: b[: len(b) // 2]))})
    yield from several(one, 'refused', 'outliers.npz', {
        'outliers.npz with a pickle': run_folder(arrays('outliers.npz', objects)),
        'outliers.npz that is a pickle': run_folder(holds('outliers.npz', pickle.dumps(Bomb()))),
        'outliers.npz of text': run_folder(
            arrays('outliers.npz', lambda a: a | dict(bank=np.array(['x'])))),
        'outliers.npz with more neighbours than images': run_folder(
            arrays('outliers.npz', lambda a: a | dict(k=10**6))),
        'outliers.npz with NaN': run_folder(
            arrays('outliers.npz', lambda a: a | dict(bank=a['bank'] * np.float16('nan'))))})
    yield one(
        'outliers.npz of another network', 'read', ANSWERED,
        run_folder(arrays('outliers.npz', lambda a: a | dict(bank=a['bank'][:, :3]))))
    yield from several(one, 'refused', 'conformal.json', {
        'conformal.json that is a list': run_folder(holds('conformal.json', b'[1]')),
        'conformal.json with text for numbers': run_folder(
            edited('conformal.json', lambda c: c | dict(temperature='hot'))),
        'conformal.json with temperature 0': run_folder(
            edited('conformal.json', lambda c: c | dict(temperature=0))),
        'conformal.json with too few thresholds': run_folder(
            edited('conformal.json', lambda c: c | dict(least_of=[0.5])))})
    yield one(
        'conformal.json of other classes', 'read', ANSWERED,
        run_folder(edited('conformal.json', lambda c: c | dict(classes=list('abcdefg')))))

    one = case('run folders, read', 'results')
    for what, content in {
        'empty': b'', 'cut off': lambda b: b[: len(b) // 2], 'a list': b'[]',
        'zeros': bytes(200)}.items():
        yield one(
            f'metrics.json that is {what}', 'refused', 'metrics.json',
            run_folder(holds('metrics.json', content)))
    yield one(
        'metrics.json without scores', 'read', '1 run', run_folder(holds('metrics.json', b'{}')))
    for what, content in {
        'empty': b'', 'cut off in a line': lambda b: b[:-20], 'of one column': b'epoch\n1\n',
        'binary': bytes(range(256))}.items():
        yield one(
            f'history.csv that is {what}', 'refused', 'history.csv',
            run_folder(holds('history.csv', content)))
    yield from several(one, 'refused', 'history.csv', {
        'no history.csv': run_folder(without('history.csv')),
        'history.csv with text for numbers': run_folder(
            holds('history.csv', lambda b: b.decode().replace('\n1,', '\none,')))})
    for what, change in {
        'empty': holds('valid.npz', b''), 'cut off': holds('valid.npz', lambda b: b[: len(b) // 2]),
        'a pickle': holds('valid.npz', pickle.dumps(Bomb())),
        'one array': holds('valid.npz', lambda b: saved_array(np.arange(9))),
        'with a pickle': arrays('valid.npz', objects),
        'without logits': arrays(
            'valid.npz', lambda a: {k: v for k, v in a.items() if k != 'logits'}),
        'without ids': arrays('valid.npz', lambda a: {k: v for k, v in a.items() if k != 'ids'}),
        'with NaN': arrays('valid.npz', lambda a: a | dict(logits=a['logits'] * np.float32('nan'))),
        'with an image twice': arrays(
            'valid.npz', lambda a: a | dict(ids=np.repeat(a['ids'][:1], len(a['ids'])))),
        'with fewer labels than images': arrays(
            'valid.npz', lambda a: a | dict(labels=a['labels'][1:])),
        'with fewer ids than logits': arrays('valid.npz', lambda a: a | dict(ids=a['ids'][1:])),
        'with labels that no class has': arrays(
            'valid.npz', lambda a: a | dict(labels=a['labels'] + 100)),
        'with negative labels': arrays('valid.npz', lambda a: a | dict(labels=a['labels'] - 100)),
        'with labels of text': arrays('valid.npz', lambda a: a | dict(labels=a['ids'])),
        'with logits of text': arrays('valid.npz', lambda a: a | dict(logits=a['ids'])),
        'with flat logits': arrays('valid.npz', lambda a: a | dict(logits=a['logits'].reshape(-1))),
        'with fewer classes than logits': arrays(
            'valid.npz', lambda a: a | dict(classes=a['classes'][1:])),
        'of no images': arrays(
            'valid.npz',
            lambda a: {k: v[:0] if k in ('ids', 'logits', 'labels') else v for k, v in a.items()})}.items():
        yield one(
            f'valid.npz {what}', 'refused', 'valid.npz' if what not in OF_RUN else 'one',
            run_folder(change))
    yield one('no valid.npz', 'refused', 'valid.npz', run_folder(without('valid.npz')))
    yield from several(one, 'refused', 'split.csv', {
        'split.csv that is empty': run_folder(holds('split.csv', b'')),
        'split.csv without parts': run_folder(holds('split.csv', b'path,label\na,b\n')),
        'no split.csv': run_folder(without('split.csv'))})

    one = case('run folders, gone on with', 'resume')
    for what, change in {
        'history cut in the middle of a line': holds('history.csv', lambda b: b[:-9]),
        'history empty': holds('history.csv', b''), 'no history': without('history.csv'),
        'no split': without('split.csv'), 'split empty': holds('split.csv', b''),
        'no best weights': without('best.safetensors'), 'no timing': without('timing.csv'),
        'best weights cut off, and the last epoch is better': holds(
            'best.safetensors', lambda b: b[:999])}.items():
        yield one(
            f'stopped run: {what}', 'read', 'as if never stopped', run_folder(change, of='half'))
    yield one(
        'stopped run: timing empty', 'refused', 'timing.csv',
        run_folder(holds('timing.csv', b''), of='half'))
    yield one(
        'stopped run: both checkpoints cut off', 'refused', 'is damaged',
        run_folder(
            *(holds(n, lambda b: b[:999]) for n in ('last.ckpt', 'previous.ckpt')), of='half'))
    yield one(
        'stopped run: the checkpoint is cut off, the one before it is whole', 'read',
        'as if never stopped', run_folder(holds('last.ckpt', lambda b: b[:999]), of='half'))
    yield one(
        'stopped run: the checkpoint is a pickle', 'refused', 'is damaged',
        run_folder(
            *(holds(n, pickle.dumps(Bomb())) for n in ('last.ckpt', 'previous.ckpt')), of='half'))
    yield from several(one, 'refused', 'last.ckpt', {
        'stopped run: the checkpoint is a pickle with its digest': run_folder(
            *(
                holds(
                    n,
                    lambda b: _digested(
                        torch_bytes(Bomb()))) for n in ('last.ckpt', 'previous.ckpt')),
            of='half'),
        'stopped run: the checkpoint holds a list': run_folder(
            *(
                holds(
                    n,
                    lambda b: _digested(torch_bytes([1]))) for n in ('last.ckpt', 'previous.ckpt')),
            of='half')})
    yield one(
        'stopped run: no checkpoint', 'read', 'as if never stopped',
        run_folder(without('last.ckpt'), without('previous.ckpt'), of='half'))
    yield one(
        'stopped run: recipe empty', 'refused', 'recipe.json',
        run_folder(holds('recipe.json', b''), of='half'))
    yield one(
        'stopped run: recipe of another run', 'refused', 'holds another run',
        run_folder(field_of('batch_size', 9), of='half'))
    yield one(
        'stopped run: half a checkpoint left by a kill', 'read', 'as if never stopped',
        run_folder(lambda run: (run / '.last.ckpt.99.tmp').write_bytes(b'half'), of='half'))


# what is said of a run and not of its file
OF_RUN = ('with NaN', 'with an image twice', 'of no images')


def _digested(data: bytes) -> bytes:
    import hashlib

    return hashlib.blake2b(data, digest_size=16).digest() + data


def saved_array(a: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, a)
    return buffer.getvalue()


def weights() -> Iterator[Case]:
    one = case('weight files', 'weights')
    yield from several(one, 'refused', 'no whole file', {
        'safetensors of a header that is no JSON': file(
            'w.safetensors', struct.pack('<Q', 8) + b'{"a":1,,' + bytes(99)),
        'safetensors whose tensors overlap the end': file(
            'w.safetensors',
            struct.pack('<Q', 62)
            + b'{"w":{"dtype":"F32","shape":[999999],"data_offsets":[0,3999996]}}'[:62]
            + bytes(9))})
    yield from several(one, 'refused', 'w.safetensors', {
        'safetensors of a shape of 10¹⁸': file(
            'w.safetensors', _tensors_header('F32', [10**9, 10**9])),
        'safetensors of an unknown type': file('w.safetensors', _tensors_header('Q9', [1]))})
    yield from several(one, 'refused', 'w.pth', {
        'zip with a pickle that is no archive of torch': file(
            'w.pth', lambda: zipped('w', **{'data.pkl': pickle.dumps(Bomb())})),
        'archive of torch whose pickle opens a file': file('w.pth', lambda: torch_bytes(Bomb())),
        'archive of torch with a pickle among its tensors': file(
            'w.pth', lambda: torch_bytes(dict(state_dict=dict(a=Bomb())))),
        'pickle of protocol 0': file('w.pth', pickle.dumps(Bomb(), 0)),
        'pickle of protocol 5': file('w.pth', pickle.dumps(Bomb(), 5))})
    yield one(
        'arrays of numpy', 'refused', 'w.npz', file('w.npz', lambda: saved_array(np.arange(9.0))))
    yield one('ONNX cut off', 'refused', 'w.onnx', file('w.onnx', b'\x08\x08\x12\x07pytorch'))
    yield one(
        'folder that holds itself', 'refused', 'holds none of',
        lambda d: ((d / 'w').mkdir(), (d / 'w' / 'w').symlink_to(d / 'w'), d / 'w')[-1])
    yield one('pipe', 'refused', 'w.pth', lambda d: (os.mkfifo(d / 'w.pth'), d / 'w.pth')[-1])
    yield one(
        'link that leads nowhere', 'refused', 'no weight file',
        lambda d: ((d / 'w.pth').symlink_to(d / 'x'), d / 'w.pth')[-1])


def _tensors_header(kind: str, shape: list[int]) -> bytes:
    head = json.dumps(dict(w=dict(dtype=kind, shape=shape, data_offsets=[0, 4]))).encode()
    return struct.pack('<Q', len(head)) + head + bytes(4)


# --- files of answers, and of corrections


def answers() -> Iterator[Case]:
    one = case('answers that vote', 'answers')
    for name, content, verdict, says in (
        (
            'probabilities that are NaN', 'id,Basalt,Granite\n1,nan,.5\n2,.5,.5\n', 'refused',
            'no probabilities'),
        (
            'probabilities that are infinite', 'id,Basalt,Granite\n1,inf,.5\n', 'refused',
            'no probabilities'),
        ('negative probabilities', 'id,Basalt,Granite\n1,-.5,1.5\n', 'refused', 'no probabilities'),
        (
            'probabilities that are all 0', 'id,Basalt,Granite\n1,0,0\n', 'refused',
            'no probabilities'),
        (
            'probabilities of 1e308', 'id,Basalt,Granite\n1,1e308,1e308\n', 'refused',
            'no probabilities'),
        ('probabilities that sum to 2', 'id,Basalt,Granite\n1,1.5,.5\n', 'out', 'do not sum to 1'),
        ('id twice', 'id,rock_type\n1,Basalt\n1,Granite\n', 'refused', 'twice'),
        ('empty id', 'id,rock_type\n,Basalt\n', 'refused', 'an empty id'),
        ('empty class', 'id,rock_type\n1,\n2,Basalt\n', 'refused', 'no class for'),
        ('formula as a class', 'id,rock_type\n1,=1+1\n2,Basalt\n', 'read', '1 =1+1, 2 Basalt'),
        ('no rows', 'id,rock_type\n', 'refused', 'no line below'),
        ('one column', 'id\n1\n', 'refused', 'expected two or more'),
        ('numbers without names', '1,.4,.6\n2,.1,.9\n', 'refused', 'no header'),
        ('two columns of classes', 'id,a,b\n1,x,y\n2,x,z\n', 'refused', 'no column of classes'),
        ('NUL', 'id,rock_type\n1,Bas\0alt\n', 'refused', 'no text'),
        (
            'probabilities as text', 'id,Basalt,Granite\n1,high,low\n2,low,high\n', 'refused',
            'no column of classes')):
        yield one(name, verdict, says, file('a.csv', content.encode()))
    one = case('answers of people', 'people')
    for name, content, verdict, says in (
        ('a table of something else', 'a,b\n1,2\n', 'refused', 'holds no answers'),
        ('nothing', '', 'refused', 'is empty'),
        ('no line filled in', 'file,new_label\nx.jpg,\n', 'read', '0 answers'),
        ('a formula', 'file,new_label\nx.jpg,=1+1\n', 'read', '1 answers')):
        yield one(name, verdict, says, file('review.csv', content.encode()))
    for name, value in {
        'JSON that is a number': 3, 'JSON that is null': None, 'tasks that are numbers': [1, 2],
        'tasks without answers': [dict(data=dict(image='x.jpg'), annotations=[])],
        'tasks whose annotations are null': [dict(data=dict(image='x.jpg'), annotations=None)],
        'tasks whose results are null': [
            dict(data=dict(image='x.jpg'), annotations=[dict(result=None)])],
        'tasks whose choices are a number': [
            dict(
                data=dict(image='x.jpg'),
                annotations=[dict(result=[dict(type='choices', value=dict(choices=3))])])],
        'tasks without an image': [
            dict(
                data=dict(),
                annotations=[dict(result=[dict(type='choices', value=dict(choices=['a']))])])]}.items():
        read = name == 'tasks without answers'
        yield one(
            name, 'read' if read else 'refused', '0 answers' if read else 'tasks.json',
            file('tasks.json', json.dumps(value).encode()))
    yield one(
        'JSON nested 100,000 deep', 'refused', 'tasks.json', file('tasks.json', b'[' * 100_000))

    one = case('augmentations', 'augment')
    for name, value in {
        'a list': [1], 'a number': 3, 'null': None, 'an object without a pipeline': {},
        'a class that is none of albumentations': dict(
            transform=dict(__class_fullname__='os.system', command='touch opened')),
        'a class of another library': dict(
            transform=dict(__class_fullname__='subprocess.Popen', args=['touch', 'opened'])),
        'code': dict(transform=dict(__class_fullname__='Lambda', image='lambda x: x')),
        'a step with an unknown setting': dict(
            transform=dict(__class_fullname__='HorizontalFlip', colour=3)),
        'a probability of 7': dict(transform=dict(__class_fullname__='HorizontalFlip', p=7)),
        'a probability NaN': dict(
            transform=dict(__class_fullname__='HorizontalFlip', p=float('nan'))),
        'steps that are a number': dict(transform=dict(__class_fullname__='Compose', transforms=3)),
        'a step that makes no image': dict(
            transform=dict(__class_fullname__='ToTensorV2'))}.items():
        yield one(name, 'refused', 'augment', file('a.json', json.dumps(value).encode()))
    yield from several(one, 'refused', 'a.json', {
        'nested 100,000 deep': file('a.json', b'[' * 100_000),
        'not there': lambda d: d / 'a.json'})

    one = case('jobs of the queue', 'job')
    job = dict(kind='train', id='a', given={})
    for name, value in {
        'a list': [], 'a number': 3, 'null': None, 'no kind': dict(id='a', given={}),
        'an unknown kind': job | dict(kind='shell'), 'an unknown field': job | dict(command='rm'),
        'id with a path': job | dict(id='../../x'), 'id of 200 letters': job | dict(id='a' * 200),
        'id that is empty': job | dict(id=''), 'given that is a list': job | dict(given=[]),
        'retries -1': job | dict(retries=-1), 'retries that are true': job | dict(retries=True),
        'priority NaN': job | dict(priority=float('nan')),
        'time NaN': job | dict(published=float('nan')),
        'an unknown state': job | dict(state='gone'),
        '100 KB': job | dict(given=dict(run='x' * 100_000)), 'after itself': job | dict(after=3),
        'a learning rate NaN': job | dict(given=dict(lr=float('nan'))),
        'an option that is not there': job | dict(given=dict(lrr=1))}.items():
        yield one(name, 'refused', '', file('job.json', json.dumps(value).encode()))
    yield one('a pickle', 'refused', 'cannot be read', file('job.json', pickle.dumps(Bomb())))
    yield one('nested 100,000 deep', 'refused', '', file('job.json', b'[' * 30_000))


# --- words of commands

COMMANDS = dict(
    train='rock_nb.train',
    folds='rock_nb.folds',
    predict='rock_nb.predict',
    ensemble='rock_nb.ensemble',
    pipeline='rock_nb.pipeline',
    sweep='rock_nb.sweep',
    queue='rock_nb.queue',
    serve='rock_nb.serve',
    label='rock_nb.label',
    export='rock_nb.export',
    verify='rock_nb.verify',
)


def words(command: str, *args: str) -> Callable:
    "Makes an image and the folder of a complete run; the words of a command, in which {d} is the folder."

    def make(d: Path) -> tuple[str, list[str]]:
        (d / 'x.png').write_bytes(saved('PNG'))
        run_folder()(d)
        return command, [a.replace('{d}', str(d)) for a in args]

    return make


def commands() -> Iterator[Case]:
    one = case('words of commands', 'words')
    for c in COMMANDS:
        ask = dict(queue=['list'], label=['write']).get(c, [])
        yield one(
            f'{c}: an option that is not there', 'refused', '--colour',
            words(c, *ask, '--colour', 'red'))
        yield one(
            f'{c}: an option cut short', 'refused', 'unknown option' if c != 'queue' else '',
            words(
                c, *ask,
                *dict(
                    queue=['--fold', 'x'], predict=['--devic', 'cpu'], ensemble=['--weight', '1'],
                    label=['--pref', 'x'], export=['--licens', 'mit'], verify=['--par', 'data'],
                    serve=['--por', '1'], sweep=['--gri', 'lr=1'],
                    pipeline=['--floo', '1']).get(c, ['--epoch', '1'])))
    at = ('--out', '{d}/runs', '--run', 'one')
    for name, value in dict(
        batch_size='NaN', workers='-1', tta='../d4', device='cpu:x', amp='x',
        view_weights='nan,1').items():
        yield one(
            f'predict --{name} {value}', 'refused',
            dict(tta='unknown', amp='unknown', view_weights='weights').get(name, name),
            words('predict', '{d}/x.png', *at, f'--{name}', value))
    yield one(
        'predict: batch_size of 30 digits', 'refused', 'batch_size',
        words('predict', '{d}/x.png', *at, '--batch_size', '9' * 30))
    yield from several(one, 'refused', 'cannot be written', {
        'predict: a table into a folder that is none': words(
            'predict', '{d}/x.png', *at, '--workers', '0', '--csv', '{d}/x.png/answers.csv'),
        'predict: a table in the place of a folder': words(
            'predict', '{d}/x.png', *at, '--workers', '0', '--csv', '{d}/runs')})
    yield one(
        'predict: run ..', 'refused', "no complete run '..'",
        words('predict', '{d}/x.png', '--out', '{d}/runs', '--run', '..'))
    yield one(
        'predict: run with a line break', 'refused', 'no complete run',
        words('predict', '{d}/x.png', '--out', '{d}/runs', '--run', 'a\nb'))
    yield one(
        'predict: run with a NUL', 'refused', 'NUL',
        words('predict', '{d}/x.png', '--out', '{d}/runs', '--run', 'a\0b'))
    yield one(
        'predict: run with what a terminal obeys', 'refused', 'no complete run',
        words('predict', '{d}/x.png', '--out', '{d}/runs', '--run', '\x1b[2J'))
    yield one(
        'predict: an image with a NUL in its name', 'refused', 'NUL',
        words('predict', 'a\0b.png', *at))
    yield one(
        'predict: an image of 5000 letters', 'refused', 'there is no file',
        words('predict', 'a' * 5000, *at))
    yield one(
        'predict: onnx into a folder that is not there', 'refused', 'cannot be written',
        words('predict', *at, '--onnx', '/proc/nowhere/m.onnx'))
    for name, value in dict(
        port='-1', max_images='0', max_mb='NaN', max_megapixels='-3', host='not a host').items():
        yield one(
            f'serve --{name} {value}', 'refused', name,
            words(
                'serve', *at, '--device', 'cpu', *(() if name == 'port' else ('--port', '0')),
                f'--{name}', value))
    yield one(
        'serve: port of 30 digits', 'refused', 'port', words('serve', *at, '--port', '9' * 30))
    for name, value in dict(n='0', part='train', to='').items():
        yield one(
            f'label write --{name} {value!r}', 'refused', name,
            words(
                'label', 'write', *at, *(('--to', '{d}/review') if name != 'to' else ()),
                f'--{name}', value))
    yield one(
        'label read of nothing', 'refused', 'there is no file',
        words('label', 'read', '{d}/nowhere.csv', *at, '--to', '{d}/t.csv'))
    yield one(
        'label read of an image', 'refused', 'x.png',
        words('label', 'read', '{d}/x.png', *at, '--to', '{d}/t.csv'))
    yield one(
        'export into a folder that is full', 'refused', 'holds something else',
        words('export', 'one', '--runs', '{d}/runs', '--out', '{d}'))
    yield one(
        'export to a repository of another form', 'refused', 'push',
        words('export', 'one', '--runs', '{d}/runs', '--push', '../../x y'))
    yield one(
        'export with a licence that is none', 'refused', 'license',
        words('export', 'one', '--runs', '{d}/runs', '--license', 'a\nb: c'))
    yield one(
        'verify of a part that is not there', 'refused', "unknown part",
        words('verify', 'one', '--runs', '{d}/runs', '--part', 'x'))
    yield one(
        'verify of data that is not there', 'refused', 'no longer at',
        words('verify', 'one', '--runs', '{d}/runs', '--data', '{d}/nowhere'))
    for name, value in dict(weights='NaN', combine='os', decide='x', precision='7').items():
        yield one(
            f'ensemble --{name} {value}', 'refused', '',
            words('ensemble', '--runs', 'one', '--out', '{d}/runs', f'--{name}', value))
    yield one(
        'ensemble of an image', 'refused', 'x.png',
        words('ensemble', '{d}/x.png', '--out', '{d}/runs'))
    yield one(
        'ensemble: name with a path', 'refused', "'../two'",
        words('ensemble', '--runs', 'one', '--out', '{d}/runs', '--name', '../two'))
    for name, value in dict(
        grid='lr', space='lr=1..x', seeds='a,b', trials='-1', search='x', queue='http://x').items():
        yield one(
            f'sweep --{name} {value}', 'refused', '',
            words('sweep', '--out', '{d}/runs', '--data', '{d}', f'--{name}', value))
    yield one(
        'sweep: name with a path', 'refused', "'../two'",
        words(
            'sweep', '--grid', 'lr=1e-3', '--data', '{d}', '--out', '{d}/runs', '--name', '../two'))
    yield one(
        'queue: a command that is not there', 'refused', 'unknown command', words('queue', 'run'))
    yield one(
        'queue: jobs in a file that is an image', 'refused', 'x.png',
        words('queue', 'publish', '--on', 'folder', '--folder', '{d}/q', '--jobs', '{d}/x.png'))
    yield one(
        'queue: status of a job with a path', 'refused', 'no job',
        words('queue', 'status', '../../x', '--on', 'folder', '--folder', '{d}/q'))
    yield one(
        'queue: delete of a job with a path', 'refused', '../../x',
        words('queue', 'delete', '../../x', '--on', 'folder', '--folder', '{d}/q'))
    yield one(
        'queue: port NaN', 'refused', 'port',
        words('queue', 'list', '--on', 'redis', '--port', 'nan'))

    one = case('options of train, folds, pipeline, sweep and queue', 'option')
    for name, kind in numeric_options():
        yield one(
            f'--{name} {", ".join(map(short, NASTY))}', 'refused', name, lambda d, name=name: name)


def short(value: str) -> str:
    return repr(value) if len(value) < 12 else f'{value[:3]}… ({len(value)} digits)'


def numeric_options() -> list[tuple[str, type]]:
    "Options of trainings that are numbers or switches."
    from rock_nb.core.options import TYPES
    from rock_nb.training.command import PARAMETERS

    return [(n, TYPES[n]) for n in PARAMETERS if TYPES.get(n) in (int, float, bool)]


NASTY = (
    'NaN',
    '-inf',
    'ten',
    '9' * 400,
    '-' + '9' * 400,
    '',
    ' ',
    '0x10',
    '1,5',
    '[1]',
    '--',
    'None ',
)


# --- races


def races() -> Iterator[Case]:
    one = case('what changes meanwhile', 'race')

    def later(*change: Callable) -> Callable:
        def make(d: Path) -> tuple[Path, Callable]:
            own = table()(d)
            return own, lambda: [f(d) for f in change]

        return make

    yield from several(one, 'refused', 'cannot be found', {
        'an image goes after its table was read': later(
            lambda d: (d / 'images/Basalt1.png').unlink()),
        'the folder goes after its table was read': later(lambda d: shutil.rmtree(d / 'images'))})
    yield from several(one, 'refused', 'Basalt1.png', {
        'an image is cut off after its table was read': later(
            lambda d: (d / 'images/Basalt1.png').write_bytes(b'\x89PNG')),
        'an image becomes a folder': later(
            lambda d: ((d / 'images/Basalt1.png').unlink(), (d / 'images/Basalt1.png').mkdir())),
        'an image becomes a pipe': later(
            lambda d: ((d / 'images/Basalt1.png').unlink(), os.mkfifo(d / 'images/Basalt1.png')))})
    yield from several(one, 'read', '6 images', {
        'an image becomes another': later(
            lambda d: (d / 'images/Basalt1.png').write_bytes(saved('PNG'))),
        'an image grows while it is read': later(
            lambda d: (d / 'images/Basalt1.png').open('ab').write(bytes(999)))})
    one = case('what changes meanwhile', 'race in training')
    yield one(
        'an image goes between audit and training', 'refused', 'cannot be', lambda d: (d, 'unlink'))
    yield one(
        'an image is cut off between audit and training', 'refused', 'cannot be read',
        lambda d: (d, 'cut'))
    yield one(
        'the folder of runs goes during training', 'refused', 'cannot be', lambda d: (d, 'out'))


KINDS = (images, tables, folds, records, weights, answers, commands, races)


def cases() -> list[Case]:
    return [c for kind in KINDS for c in kind()]


# --- the page

HEAD = '''# Hostile inputs

What comes of files, tables, records and words that are broken or odd: {n} of them and every option,
made by code in `tests/helpers/hostile.py` and read in `tests/faults/test_hostile.py`. Nothing here
ends in a traceback, waits, is written beside the folders at hand, or is unpickled. Odd but valid
images, tables and weight files have tests of their own (`tests/data`, `tests/model`). This page is
written by `python tests/helpers/hostile.py`.
'''


def plain(text: str) -> str:
    "Text as a page shows it."
    return (
        text.replace('|', '\\|')
        .replace('<', '&lt;')
        .replace('*', '\\*')
        .replace('_', '\\_')
        .replace('\n', ' ')
    )


def page() -> str:
    "The corpus as a page: for each kind what is refused, left out and read."
    found = [c for c in cases() if c.reader != 'option']
    lines = [HEAD.format(n=len(found))]
    for kind in dict.fromkeys(c.kind for c in found):
        of = [c for c in found if c.kind == kind]
        lines += [f'## {kind.capitalize()}', '', '| what | how many | which |', '|---|---|---|']
        for verdict, words in VERDICTS.items():
            some = [c for c in of if c.verdict == verdict]
            names = '; '.join(
                plain(c.name + (f' ({c.says})' if verdict == 'read' else '')) for c in some
            )
            if some:
                lines.append(f'| {words} | {len(some)} | {names} |')
        lines.append('')
    nasty = ', '.join(plain(short(v)) for v in NASTY)
    lines += [
        '## Options of trainings',
        '',
        f'Every option that is a number or a switch refuses each of {nasty} with one sentence.',
        '',
    ]
    return '\n'.join(lines)


if __name__ == '__main__':
    (Path(__file__).parents[2] / 'docs' / 'hostile.md').write_text(page(), encoding='utf-8')
