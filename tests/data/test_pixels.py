"""Odd but valid files, each with its right pixels: computed here with numpy and ImageCms from the array that was written."""
import io, struct, zlib
from dataclasses import dataclass, field

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageCms

from rock_nb.core import BadInput, read_json
from rock_nb.data.audit import (
    data_white, decode, group_duplicates, image_notes, inspect_file, readable, unusual_files)
from rock_nb.speed.background_cache import background_free
from rock_nb.data.image import ImageReader, read_image
from rock_nb.data.dataset import ImageDataset
from rock_nb.speed.decoded_cache import packed, read_small
from rock_nb.data.table import read_data
from rock_nb.predict import InferenceDataset, predict_images
from rock_nb.train import fit

H, W = 44, 60
# EXIF: what makes it upright
TURNS = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: lambda a: np.rot90(a)}

def stone(h: int = H, w: int = W) -> np.ndarray:
    "A picture without any symmetry, from 0 to 255 in each band."
    y, x = np.mgrid[:h, :w]/np.array([h, w]).reshape(2, 1, 1)
    bands = [x**2, y*(1 - x)/.9, .5 + .5*np.sin(9*x + 4*y*y)]
    noise = np.random.default_rng(1).normal(0, .03, (h, w))
    a = np.stack([b + noise for b in bands], -1)
    return (255*(a - a.min((0, 1)))/(np.ptp(a, (0, 1)))).round().astype(np.uint8)

RGB = stone()
GREY = RGB[..., 2]
as_rgb = lambda a: np.repeat(a[..., None], 3, 2) if a.ndim == 2 else a
scaled = lambda values, white: (
    np.floor(values.astype(float).clip(0) * 255 / white + 0.5).clip(0, 255).astype(np.uint8))
over_white = lambda a, alpha: (
    (a.astype(float) * (alpha / 255.0)[..., None] + 255 * (1 - (alpha / 255.0)[..., None])) .round()
    .astype(np.uint8))

# ---- writers

def tiff(
    values: np.ndarray,
    order: str = '<',
    tile: int = 0,
    planar: bool = False,
    predictor: int = 1,
    deflate: bool = False,
    big: bool = False,
    after: bytes = b'',
    **tags,
) -> bytes:
    "A TIFF of an array (h, w, bands), as its specification has it; tags: t338=(2,)."
    values = values[..., None] if values.ndim == 2 else values
    (h, w, n), size = values.shape, values.dtype.itemsize
    def encode(block):
        if predictor == 2:
            block = np.diff(block, axis=1, prepend=np.zeros_like(block[:, :1]))
        if predictor == 3:
            raw = block.astype(block.dtype.newbyteorder('>')).reshape(len(block), -1).view(np.uint8)
            planes = (
                raw.reshape(len(block), -1, size) .swapaxes(1, 2)
                .reshape(len(block), -1, block.shape[2]))
            data = np.diff(planes, axis=1, prepend=np.zeros_like(planes[:, :1])).tobytes()
        else: data = block.astype(block.dtype.newbyteorder(order)).tobytes()
        return zlib.compress(data) if deflate else data
    parts = []
    for plane in np.split(values, n, 2) if planar else [values]:
        if not tile:
            parts += [encode(plane[y : y + 16]) for y in range(0, h, 16)]
            continue
        whole = np.zeros((-(-h // tile) * tile, -(-w // tile) * tile, plane.shape[2]), values.dtype)
        whole[:h, :w] = plane
        parts += [
            encode(whole[y : y + tile, x : x + tile]) for y in range(0, h, tile)
            for x in range(0, w, tile)]
    at, lengths = (324, 325) if tile else (273, 279)
    entries = {
        256: (w,), 257: (h,), 258: (8 * size,) * n, 259: (8 if deflate else 1,),
        262: (2 if n >= 3 else 1,), 277: (n,), 284: (2 if planar else 1,), 317: (predictor,),
        339: ({'u': 1, 'i': 2, 'f': 3}[values.dtype.kind],) * n, lengths: tuple(map(len, parts)),
        at: (0,) * len(parts)} | ({322: (tile,), 323: (tile,)} if tile else {278: (16,)})
    entries |= {int(k[1:]): v for k, v in tags.items()}
    head, one, place = (16, 20, 'Q') if big else (8, 12, 'I')
    start = head + struct.calcsize(place) + len(entries)*one + struct.calcsize(place)*2
    def table(offset):
        rows, data = b'', b''
        for tag, v in sorted(entries.items()):
            kind, code = (
                (7, 'B') if isinstance(v, bytes) else (3, 'H')
                if tag in (258, 259, 262, 274, 277, 284, 317, 338, 339) else (4, 'I'))
            packed_ = v if isinstance(v, bytes) else struct.pack(f'{order}{len(v)}{code}', *v)
            rows += struct.pack(f'{order}HH{place}', tag, kind, len(v))
            if len(packed_) <= struct.calcsize(place):
                rows += packed_.ljust(struct.calcsize(place), b'\0')
            else:
                rows += struct.pack(order + place, offset + len(data))
                data += packed_ + bytes(len(packed_) % 2)
        return struct.pack(order + ('Q' if big else 'H'), len(entries)) + rows + struct.pack(
            order + place, 0), data
    size_of_table = len(table(0)[0])
    rows, data = table(head + size_of_table)
    first = head + len(rows) + len(data)
    entries[at] = tuple((first + np.cumsum([0, *map(len, parts[:-1])])).tolist())
    rows, data = table(head + size_of_table)
    magic = (b'II' if order == '<' else b'MM') + (
        struct.pack(f'{order}HHHQ', 43, 8, 0, 16) if big else struct.pack(f'{order}HI', 42, 8))
    return magic + rows + data + b''.join(parts) + after

def saved(a, fmt: str, mode: str | None = None, turn: int | None = None, **how) -> bytes:
    "What Pillow writes of an array or image."
    im = a if isinstance(a, Image.Image) else Image.fromarray(np.ascontiguousarray(a))
    im = im.convert(mode) if mode else im
    if turn:
        exif = Image.Exif()
        exif[0x0112] = turn
        how['exif'] = exif
    f = io.BytesIO()
    im.save(f, fmt, **how)
    return f.getvalue()

def opencv(a, ending: str) -> bytes:
    return cv2.imencode(ending, a[..., [2, 1, 0, 3][: a.shape[2]]] if a.ndim == 3 else a)[
        1].tobytes()

def with_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    "A PNG with another chunk after its head."
    return (
        png[:33] + struct.pack('>I', len(data)) + name + data
        + struct.pack('>I', zlib.crc32(name + data)) + png[33:])

# ---- profiles

def profile(
    space: bytes = b'RGB ',
    primaries=((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    gamma: float = 2.2,
    name: str = 'a wide space',
) -> bytes:
    "An ICC profile of version 2: of three primaries, of a lightness alone, or a table for CMYK."
    white, d65 = np.array([.9642, 1, .8249]), np.array([.3127/.329, 1, (1 - .3127 - .329)/.329])
    bradford = np.array([[.8951, .2664, -.1614], [-.7502, 1.7135, .0367], [.0389, -.0685, 1.0296]])
    adapt = np.linalg.inv(bradford)@np.diag((bradford@white)/(bradford@d65))@bradford
    fixed = lambda *v: struct.pack(f'>{len(v)}i', *(round(x*65536) for x in v))
    curve = b'curv' + bytes(4) + struct.pack('>IH', 1, round(gamma*256)) + bytes(2)
    text = name.encode() + b'\0'
    tags = [
        (b'desc', b'desc' + bytes(4) + struct.pack('>I', len(text)) + text + bytes(78)),
        (b'cprt', b'text' + bytes(4) + b'none\0'), (b'wtpt', b'XYZ ' + bytes(4) + fixed(*white))]
    if space == b'GRAY': tags += [(b'kTRC', curve)]
    elif space == b'RGB ':
        xyz = np.array([(x/y, 1, (1 - x - y)/y) for x, y in primaries]).T
        columns = adapt@(xyz*np.linalg.solve(xyz, d65))
        tags += [
            (t + b'XYZ', b'XYZ ' + bytes(4) + fixed(*c))
            for t, c in zip((b'r', b'g', b'b'), columns.T)
        ] + [(t + b'TRC', curve) for t in (b'r', b'g', b'b')]
    else:                    # lut8: the corners of the inks, in Lab
        corners = np.array(
            [
                [
                    (1 - k) * 100 * (1 - 0.4 * c - 0.35 * m - 0.1 * y),
                    128 + (1 - k) * 60 * (m - c), 128 + (1 - k) * 70 * (y - 0.5 * c - 0.2 * m)]
                for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)])
        corners[:, 0] *= 2.55
        line = bytes(range(256))
        tags += [
            (
                b'A2B0', b'mft1' + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
                + line * 4 + corners.round().clip(0, 255).astype(np.uint8).tobytes() + line * 3)]
    at, rows, data = 132 + 12*len(tags), b'', b''
    for sig, d in tags:
        d += bytes(-len(d) % 4)
        rows += sig + struct.pack('>II', at + len(data), len(d))
        data += d
    pcs = b'Lab ' if space == b'CMYK' else b'XYZ '
    return (
        struct.pack('>I', at + len(data)) + bytes(4) + struct.pack('>I', 0x02400000)
        + (b'prtr' if space == b'CMYK' else b'mntr') + space + pcs + bytes(12) + b'acsp' + bytes(28)
        + fixed(*white) + bytes(48) + struct.pack('>I', len(tags)) + rows + data)

SRGB = ImageCms.createProfile('sRGB')
def converted(im: Image.Image, icc: bytes) -> np.ndarray:
    return np.asarray(
        ImageCms.profileToProfile(
            im, ImageCms.ImageCmsProfile(io.BytesIO(icc)), SRGB, outputMode='RGB'))
P3 = profile()
PROPHOTO = profile(
    primaries=((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), gamma=1.8,
    name='a very wide space')
DOT, INKS = profile(b'GRAY', gamma=1.7), profile(b'CMYK')

# ---- the corpus

@dataclass
class Case:
    name: str
    data: bytes
    right: np.ndarray          # (h, w) or (h, w, 3)
    tolerance: float = 0       # of 255
    reader: ImageReader = field(default_factory=ImageReader)

def corpus():
    im = Image.fromarray(RGB)
    cmyk = Image.merge(
        'CMYK',
        [
            Image.fromarray(b)
            for b in (*np.moveaxis(255 - RGB, -1, 0), np.full((H, W), 30, np.uint8))])
    inks = (RGB.astype(float)*(225/255)).round()
    ramp = np.tile(np.linspace(0, 255, W).round().astype(np.uint8), (H, 1))
    alpha, hole = ramp, np.where(ramp > 128, 255, 0).astype(np.uint8)
    for t, turned in TURNS.items():                # orientations
        for mode, right, off in (
            ('L', GREY, 0),
            ('RGB', RGB, 0),
            ('CMYK', inks, 1),
            ('I;16', GREY, 0),
            ('RGBA', over_white(RGB, alpha), 1),
        ):
            source = dict(L=GREY, RGB=im, CMYK=cmyk, RGBA=np.dstack([RGB, alpha])).get(
                mode, GREY.astype(np.uint16) * 257)
            yield Case(f'turned {t} {mode}.tif', saved(source, 'TIFF', turn=t), turned(right), off)
        yield Case(
            f'turned {t} deflate.tif',
            saved(GREY, 'TIFF', turn=t, compression='tiff_adobe_deflate'), turned(GREY))
        yield Case(f'turned {t}.png', saved(RGB, 'PNG', turn=t), turned(RGB))
        yield Case(f'turned {t}.webp', saved(RGB, 'WEBP', turn=t, lossless=True), turned(RGB))
        yield Case(
            f'turned {t}.jpg', saved(RGB, 'JPEG', turn=t, quality=97, subsampling=0), turned(RGB),
            14)
        yield Case(
            f'turned {t} 16 bit RGB.tif', tiff(RGB.astype(np.uint16) * 257, t274=(t,)), turned(RGB))
        yield Case(
            f'turned {t} 16 bit.png', saved(GREY.astype(np.uint16) * 257, 'PNG', turn=t),
            turned(GREY))
    for bits in (8, 10, 12, 14, 16):               # depths
        white = 2**bits - 1
        deep = (RGB.astype(float)*white/255).round().astype(np.uint16)
        for name, data, right in (
            ('grey.png', opencv(deep[..., 2], '.png'), GREY),
            ('RGB.png', opencv(deep, '.png'), RGB),
            ('grey.tif', opencv(deep[..., 2], '.tif'), GREY),
            ('RGB.tif', opencv(deep, '.tif'), RGB),
            ('int32.tif', tiff(deep[..., 2].astype(np.int32)), GREY),
            ('int16 RGB.tif', tiff(deep.astype(np.int16)), RGB),
        ):
            if bits != 16 or 'int16' not in name:
                yield Case(f'{bits} bits {name}', data, right)
    for white in (1, 255, 65535):
        for kind in ('f4', 'f8', *(['f2'] if white < 256 else [])):
            yield Case(
                f'0…{white} {kind}.tif', tiff((RGB * (white / 255)).astype(kind)), RGB,
                0 if kind != 'f2' else 1)
    yield Case('float grey.tif', saved((GREY/255).astype(np.float32), 'TIFF'), GREY)
    deep = (GREY.astype(float)*4095/255).round().astype(np.uint16)
    yield Case('uint32.tif', tiff(deep.astype(np.uint32)), GREY)
    yield Case('states 14 bits.tif', tiff(deep, t281=(16383,)), scaled(deep, 16383))
    yield Case(
        'sBIT, not stretched.png', with_chunk(opencv(deep // 2, '.png'), b'sBIT', bytes([12])),
        scaled(deep // 2, 4095))
    yield Case(
        'sBIT, stretched.png',
        with_chunk(opencv(deep * 16 + (deep >> 8), '.png'), b'sBIT', bytes([12])), GREY, 1)
    packed12 = np.packbits(
        np.unpackbits(deep.astype('>u2').view(np.uint8).reshape(H, W, 2), axis=2)[..., 4:].reshape(
            H, -1),
        axis=1)
    yield Case('12 bits, packed.tif', tiff(packed12, t256=(W,), t258=(12,)), GREY)
    yield Case('white is zero.tif', tiff(255 - GREY, t262=(0,)), GREY)
    yield Case(
        'white is zero, 16 bits.tif',
        tiff((65535 - GREY.astype(int) * 257).astype(np.uint16), t262=(0,)), GREY, 1)
    yield Case(
        'given white.tif', tiff(deep), scaled(deep, 5000), reader=ImageReader(max_value=5000))
    yield Case(
        'negative, white given.tif', tiff((GREY / 255 * 2 - 1).astype(np.float32)),
        scaled(GREY / 255 * 2 - 1, 1), 1, ImageReader(max_value=1.0))
    whole, tenth = RGB.astype(np.uint16)*257, (RGB/255).astype(np.float32)   # structures
    for name, how in dict(
        tiles=dict(tile=16),
        planes=dict(planar=True),
        both=dict(tile=16, planar=True),
        big_endian=dict(order='>'),
        BigTIFF=dict(big=True),
        deflate=dict(deflate=True),
        differences=dict(deflate=True, predictor=2),
        tiled_differences=dict(deflate=True, predictor=2, tile=16, order='>'),
    ).items():
        yield Case(f'{name}.tif', tiff(whole, **how), RGB)
    for name, how in dict(
        float_differences=dict(deflate=True, predictor=3),
        tiled=dict(deflate=True, predictor=3, tile=32),
        big_endian=dict(deflate=True, predictor=3, order='>')).items():
        yield Case(f'float {name}.tif', tiff(tenth, **how), RGB)
    for ending, right in (
        ('PNG', converted(im, P3)),
        ('TIFF', converted(im, P3)),
        ('JPEG', None),
        ('WEBP', converted(im, P3)),
    ):  # profiles
        data = saved(
            RGB, ending, icc_profile=P3,
            **dict(JPEG=dict(quality=97, subsampling=0), WEBP=dict(lossless=True)).get(ending, {}))
        yield Case(
            f'P3.{ending.lower()}', data,
            converted(Image.open(io.BytesIO(data)).convert('RGB'), P3) if right is None else right)
        yield Case(
            f'P3 ignored.{ending.lower()}', data, RGB, 14 * (ending == 'JPEG'),
            ImageReader(icc=False))
    yield Case('ProPhoto.png', saved(RGB, 'PNG', icc_profile=PROPHOTO), converted(im, PROPHOTO))
    yield Case('ProPhoto 16 bit.tif', tiff(whole, t34675=PROPHOTO), converted(im, PROPHOTO), 1)
    yield Case(
        'grey profile.png', saved(GREY, 'PNG', icc_profile=DOT),
        converted(Image.fromarray(GREY), DOT))
    yield Case(
        'grey profile.jpg', saved(GREY, 'JPEG', icc_profile=DOT, quality=100),
        converted(Image.fromarray(GREY), DOT), 5)
    yield Case(
        'grey profile 16 bit.png', saved(GREY.astype(np.uint16) * 257, 'PNG', icc_profile=DOT),
        converted(Image.fromarray(GREY), DOT))
    yield Case('CMYK profile.tif', saved(cmyk, 'TIFF', icc_profile=INKS), converted(cmyk, INKS))
    yield Case(
        'CMYK profile.jpg', saved(cmyk, 'JPEG', icc_profile=INKS, quality=100),
        converted(cmyk, INKS), 12)
    yield Case(
        'grey of an RGB profile.png', saved(GREY, 'PNG', icc_profile=P3),
        converted(Image.fromarray(as_rgb(GREY)), P3))
    yield Case('RGB of a grey profile.png', saved(RGB, 'PNG', icc_profile=DOT), RGB)
    yield Case('broken profile.png', saved(RGB, 'PNG', icc_profile=b'none'), RGB)
    yield Case(
        'sRGB.png', saved(RGB, 'PNG', icc_profile=ImageCms.ImageCmsProfile(SRGB).tobytes()), RGB)
    yield Case(
        'RGBA of a profile.png', saved(np.dstack([RGB, alpha]), 'PNG', icc_profile=P3),
        over_white(converted(im, P3), alpha), 1)
    few = im.quantize(40)
    yield Case(
        'palette of a profile.png', saved(few, 'PNG', icc_profile=P3),
        converted(few.convert('RGB'), P3))
    # transparency
    yield Case('RGBA.png', saved(np.dstack([RGB, alpha]), 'PNG'), over_white(RGB, alpha), 1)
    yield Case('LA.png', saved(np.dstack([GREY, alpha]), 'PNG'), over_white(as_rgb(GREY), alpha), 1)
    keyed = RGB.copy()
    keyed[:, :9] = (1, 2, 3)
    yield Case(
        'colour key.png', saved(keyed, 'PNG', transparency=(1, 2, 3)),
        np.where((keyed == (1, 2, 3)).all(-1, keepdims=True), 255, keyed))
    yield Case(
        'grey key.png', saved(GREY, 'PNG', transparency=200), np.where(GREY == 200, 255, GREY))
    index = np.asarray(few)
    colours = np.asarray(few.convert('RGB'))
    yield Case(
        'palette with a hole.png', saved(few, 'PNG', transparency=3),
        np.where((index == 3)[..., None], 255, colours))
    yield Case(
        'palette with a hole.gif', saved(few, 'GIF', transparency=3),
        np.where((index == 3)[..., None], 255, colours))
    yield Case(
        '16 bit RGBA.png', opencv(np.dstack([whole, alpha.astype(np.uint16) * 257]), '.png'),
        over_white(RGB, alpha), 1)
    yield Case(
        '16 bit colour key.png',
        with_chunk(
            opencv(keyed.astype(np.uint16) * 257, '.png'), b'tRNS',
            struct.pack('>3H', 257, 514, 771)),
        np.where((keyed == (1, 2, 3)).all(-1, keepdims=True), 255, keyed))
    yield Case(
        'RGBA.webp', saved(np.dstack([RGB, hole]), 'WEBP', lossless=True), over_white(RGB, hole))
    yield Case(
        '16 bit RGBA.tif', tiff(np.dstack([whole, alpha.astype(np.uint16) * 257]), t338=(2,)),
        over_white(RGB, alpha), 1)
    ahead = (whole*(alpha[..., None]/255.)).round().astype(np.uint16)
    yield Case(
        'premultiplied 16 bit.tif',
        tiff(np.dstack([ahead, alpha.astype(np.uint16) * 257]), t338=(1,)), over_white(RGB, alpha),
        2)
    yield Case(
        'opaque alpha of 12 bits.tif',
        tiff(np.dstack([deep, deep, deep, np.full((H, W), 4095, np.uint16)]), t338=(2,)), GREY)
    pages = [Image.fromarray(a) for a in (RGB, RGB[::-1], RGB[:, ::-1])]     # pages
    for fmt, how in (('TIFF', {}), ('GIF', {}), ('WEBP', dict(lossless=True)), ('PNG', {})):
        data = saved(pages[0], fmt, save_all=True, append_images=pages[1:], **how)
        if fmt == 'GIF':
            first, second = (
                np.asarray((g.seek(i), g.convert('RGB'))[1]) for g in [Image.open(io.BytesIO(data))]
                for i in (0, 1))
        else:
            first, second = RGB, RGB[::-1]
        yield Case(f'three pages.{fmt.lower()}', data, first)
        yield Case(f'second page.{fmt.lower()}', data, second, reader=ImageReader(page=2))
    mpo = saved(pages[0], 'MPO', save_all=True, append_images=pages[1:2], quality=97, subsampling=0)
    yield Case('two pictures.mpo', mpo, RGB, 14)
    yield Case('second picture.mpo', mpo, RGB[::-1], 14, ImageReader(page=2))
    stack = saved(
        Image.fromarray(whole[..., 0]), 'TIFF', save_all=True,
        append_images=[Image.fromarray(whole[..., 2])])
    yield Case('deep stack.tif', stack, RGB[..., 0])
    yield Case('deep stack, second.tif', stack, GREY, reader=ImageReader(page=2))
    yield Case(
        'one page of a JPEG.jpg', saved(RGB, 'JPEG', quality=97, subsampling=0), RGB, 14,
        ImageReader(page=2))
    more = np.dstack([RGB, RGB[::-1]])             # bands
    yield Case('4 bands.tif', tiff(more[..., :4], t338=(0,)), RGB)
    yield Case('4 bands that say nothing.tif', tiff(more[..., :4]), RGB)
    yield Case('5 bands.tif', tiff(more[..., :5], t262=(1,), t338=(0,) * 4), RGB)
    yield Case(
        '6 bands in planes.tif', tiff(more, planar=True, deflate=True, t262=(1,), t338=(0,) * 5),
        RGB)
    yield Case('2 bands.tif', tiff(more[..., :2], t338=(0,)), RGB[..., 0])
    yield Case(
        '7 bands of 16 bits.tif', tiff(np.dstack([more, GREY]).astype(np.uint16) * 257, tile=16),
        RGB)
    yield Case(
        '5 bands of floats.tif', tiff((more[..., :5] / 255).astype(np.float32), planar=True), RGB)
    yield Case(
        'bands 6 5 4.tif', tiff(more), RGB[::-1, :, ::-1], reader=ImageReader(bands=(6, 5, 4)))
    yield Case(
        'band 5.tif', tiff(more.astype(np.uint16) * 257), more[..., 4],
        reader=ImageReader(bands=(5,)))
    yield Case(
        'bands of RGB.tif', saved(RGB, 'TIFF'), RGB[..., ::-1], reader=ImageReader(bands=(3, 2, 1)))
    yield Case(
        'near infrared and alpha.tif', tiff(np.dstack([more[..., :4], hole]), t338=(0, 2)), RGB)
    for name, mode, right in (
        ('1.tif', '1', as_rgb(np.asarray(im.convert('1')).astype(np.uint8) * 255)),
        ('P.tif', 'P', np.asarray(im.convert('P').convert('RGB'))),
        ('YCbCr.tif', 'YCbCr', np.asarray(im.convert('YCbCr').convert('RGB')))):
        yield Case(f'mode {name}', saved(RGB, 'TIFF', mode), right)
    lab = ImageCms.profileToProfile(im, SRGB, ImageCms.createProfile('LAB'), outputMode='LAB')
    yield Case(
        'LAB.tif', saved(lab, 'TIFF'),
        np.asarray(
            ImageCms.profileToProfile(lab, ImageCms.createProfile('LAB'), SRGB, outputMode='RGB')),
        1)
    yield Case('bitmap.bmp', saved(RGB, 'BMP'), RGB)
    yield Case(
        '16 bit.pgm', b'P5 %d %d 65535\n' % (W, H) + (GREY.astype('>u2') * 257).tobytes(), GREY)
    yield Case('an ending that lies.jpg', saved(GREY.astype(np.uint16) * 257, 'PNG'), GREY)
    yield Case('AVIF.avif', saved(RGB, 'AVIF', quality=100, subsampling='4:4:4'), RGB, 8)

CASES = list(corpus())

@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    d = tmp_path_factory.mktemp('corpus')
    for c in CASES: (d/c.name).write_bytes(c.data)
    return d

def test_there_are_many():
    assert len(CASES) >= 90 and len({c.name for c in CASES}) == len(CASES)

@pytest.mark.parametrize('case', CASES, ids=lambda c: c.name)
def test_pixels(case, folder):
    "Reader, audit and prediction see the right pixels, and the same ones."
    file, right = str(folder/case.name), as_rgb(case.right).astype(int)
    seen = case.reader(file)
    assert seen.dtype == np.uint8 and seen.shape == right.shape
    assert np.abs(seen - right).max() <= case.tolerance
    given = InferenceDataset([file], 'stretch', seen.shape[:2], False, case.reader)
    image, label, _ = given[0]
    assert label == -1 and (image.numpy() == seen).all()
    facts, plain = inspect_file(file, case.reader), look_at_png(seen)
    assert facts['error'] == '' and (facts['width'], facts['height']) == right.shape[1::-1]
    colours = ['red', 'green', 'blue', 'brightness', 'contrast']
    assert np.abs(np.array([facts[c] - plain[c] for c in colours])).max() <= (
        2 if case.data[:2] == b'\xff\xd8' else 1e-3)
    close = bytes_apart(facts['small'][:64], plain['small'][:64])
    assert close <= (3 if case.data[:2] == b'\xff\xd8' else 0) and bin(
        (facts['phash'] ^ plain['phash']) & (1 << 64) - 1
    ).count('1') <= (6 if case.data[:2] == b'\xff\xd8' else 0)

def look_at_png(image: np.ndarray) -> dict:
    "The facts of the same picture as an upright PNG."
    return decode(saved(image, 'PNG'))

def bytes_apart(a: bytes, b: bytes) -> int:
    return int(np.abs(np.frombuffer(a, np.uint8).astype(int) - np.frombuffer(b, np.uint8)).max())

# ---- whole data sets

CLASSES = dict(Basalt=(60, 60, 70), Granite=(190, 160, 150))

def photographs(n: int = 12) -> dict[str, np.ndarray]:
    "Drawn photographs by path without ending, none as bright as white."
    gen = np.random.default_rng(5)
    return {
        f'{c}/{i}': np.clip(np.array(rgb) + gen.normal(0, 20, (40, 48, 3)), 0, 255).astype(np.uint8)
        for c, rgb in CLASSES.items() for i in range(n)}

FORMS = dict(
    eight=('png', lambda a: opencv(a, '.png'), None),
    ten=('png', lambda a: opencv((a * (1023 / 255)).round().astype(np.uint16), '.png'), 1023),
    twelve=('tif', lambda a: tiff((a * (4095 / 255)).round().astype(np.uint16)), 4095),
    floats=('tif', lambda a: tiff((a / 255).astype(np.float32)), 1),
    sixteen=('tif', lambda a: tiff(a.astype(np.uint16) * 257, deflate=True, predictor=2), 65535))

def write(folder, form: str):
    ending, encode, _ = FORMS[form]
    for name, a in photographs().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f'{name}.{ending}').write_bytes(encode(a))
    return folder

@pytest.mark.parametrize('form', FORMS)
def test_one_white_for_all(form, tmp_path):
    "A data set has one white, and its images are those of the same photographs in 8 bits."
    data = read_data(write(tmp_path/'photos', form))
    readable(data, out=tmp_path)
    white = data_white(data, tmp_path)
    assert white == FORMS[form][2]
    reader = ImageReader(white)
    for path, file in zip(data.train.path, data.files(data.train)):
        assert np.abs(reader(file).astype(int) - photographs()[path.rpartition('.')[0]]).max() <= 0
    assert len(image_notes(unusual_files(data, tmp_path), white)) == (form != 'eight')

def test_a_dark_image_stays_dark(tmp_path):
    "The scale is that of the data set, not of a file."
    folder = write(tmp_path/'photos', 'twelve')
    (folder/'Basalt/dark.tif').write_bytes(tiff(np.full((40, 48), 200, np.uint16)))
    data = read_data(folder)
    readable(data, out=tmp_path)
    assert ImageReader(data_white(data, tmp_path))(folder / 'Basalt/dark.tif').max() == round(
        200 * 255 / 4095)
    facts = readable(data, out=tmp_path) and inspect_file(folder/'Basalt/dark.tif', ImageReader(4095))
    assert abs(facts['brightness'] - 200*255/4095) < 1

@pytest.mark.parametrize('values, says', [
    (np.full((9, 9), -3, np.int16), 'values from -3 to -3, which fit no usual range; say with '
                                    'max_value'), (np.full((9, 9), -.2, np.float32), 'say with max_value'), (np.full((9, 9), 70_000, np.int32), 'say with max_value'),
    (np.full((9, 9), np.nan, np.float32), 'no numbers'), (np.full((9, 9), np.inf, np.float32), 'no numbers'), (np.full((9, 9), 1.8, np.float32), 'say with max_value'), (np.full((9, 9), .7, np.float32),
        'would be black; scale them alike, or say with max_value'), (np.full((9, 9), 3, np.uint16), 'would be black')])
def test_what_fits_no_scale_is_refused(values, says, tmp_path):
    "One sentence that names the file and what to do, before any training."
    folder = write(tmp_path/'photos', 'twelve')
    (folder/'Granite/odd one.tif').write_bytes(tiff(values))
    with pytest.raises(BadInput) as e:
        fit(data=folder, out=tmp_path / 'out', run='r', **SMALL)
    assert 'odd one.tif' in str(e.value) and says in str(e.value) and '\n' not in str(e.value)

def test_a_given_white_is_obeyed(tmp_path):
    folder = write(tmp_path/'photos', 'twelve')
    data = read_data(folder)
    assert (
        readable(data, out=tmp_path, reader=ImageReader(max_value=5000))
        and data_white(data, tmp_path, ImageReader(max_value=5000)) == 5000)
    with pytest.raises(
        BadInput, match='a twentieth of them above max_value 100; give a greater one'):
        readable(data, out=tmp_path, reader=ImageReader(max_value=100))

SMALL = dict(
    version='baseline', arch='resnet18', pretrained=False, img_size=32, epochs=1, batch_size=8,
    workers=0, device='cpu')

@pytest.mark.slow
def test_runs(tmp_path, capsys):
    """A run of deep images learns from the same pixels as one of 8 bits, says and keeps its white,
    and answers with it."""
    runs = {
        form: fit(
            data=write(tmp_path / form, form), out=tmp_path / 'out', run=form, show=lambda *_: None,
            **SMALL)
        for form in ('eight', 'twelve', 'floats')}
    assert '4095 is white in all of them' in capsys.readouterr().out
    kept = {form: read_json(r.recipe)['recipe'] for form, r in runs.items()}
    assert 'max_value' not in kept['eight'] and (
        kept['twelve']['max_value'], kept['floats']['max_value']) == (4095, 1)
    assert set(kept['twelve']) - set(kept['eight']) == {'max_value'}
    histories = [pd.read_csv(r.history) for r in runs.values()]
    for h in histories[1:]:
        assert (
            (h[['train_loss', 'valid_loss']] == histories[0][['train_loss', 'valid_loss']]) .all()
            .all())
    # complete: nothing is done twice
    fit(data=tmp_path/'twelve', out=tmp_path/'out', run='twelve', **SMALL)
    how = dict(workers=0, device='cpu')
    a = photographs()['Granite/1']
    deep = (a * (4095 / 255)).round().astype(np.uint16)
    by_file, by_array, by_image = (
        predict_images(runs['twelve'], [i], **how).logits
        for i in (str(tmp_path / 'twelve/Granite/1.tif'), deep, Image.fromarray(a)))
    assert (by_file == by_array).all() and (by_file == by_image).all()
    dim = (deep//9).astype(np.uint16)                     # by itself it would be taken for 10 bits
    assert (
        predict_images(runs['twelve'], [dim], **how).logits
        == predict_images(runs['twelve'], [scaled(dim, 4095)], **how).logits).all()
    with pytest.raises(BadInput, match='above white, 4095; give another max_value'):
        predict_images(runs['twelve'], [a.astype(np.uint16) * 257], **how)
    with pytest.raises(BadInput, match='black where 4095 is white'):
        predict_images(runs['twelve'], [(a / 255).astype(np.float32)], **how)

def test_packs_and_backgrounds(tmp_path):
    "What is kept of an image is what the reader sees, for each reader."
    folder = tmp_path / 'photos'
    folder.mkdir()
    wide = saved(np.kron(RGB, np.ones((8, 8, 1), np.uint8)), 'JPEG', icc_profile=P3, quality=95)
    for name, data in {
        'deep.tif': tiff(RGB.astype(np.uint16) * 16), 'wide.jpg': wide,
        'turned.tif': saved(GREY, 'TIFF', turn=6)}.items():
        (folder / name).write_bytes(data)
    files = sorted(map(str, folder.iterdir()))
    for reader in (ImageReader(4095), ImageReader(8000), ImageReader(4095, icc=False)):
        photos = ImageDataset(files, read=reader)
        kept, _ = packed(photos, 'raw', 9, tmp_path, spare=0)
        for _ in range(2):
            for i, f in enumerate(files):
                assert (kept[i][0].numpy() == reader(f)).all()
        small = read_small(str(folder/'wide.jpg'), 100, reader)
        assert (
            min(small.shape[:2]) == 100
            and np.abs(small.mean((0, 1)) - reader(folder / 'wide.jpg').mean((0, 1))).max() < 2)
    bare = [
        background_free(files[:1], tmp_path, workers=0, reader=ImageReader(w))[0]
        for w in (4095, 16383)]
    assert bare[0] != bare[1]

@pytest.mark.parametrize('name', ['L.tif', 'deep.tif', 'five.tif', 'a.png', 'deep.png', 'a.jpg', 'profile.jpg', 'a.webp'])
def test_large_mosaics_by_allowance(name, tmp_path, monkeypatch):
    "Beyond Pillow's limit a sentence names the field that allows them; with it they are read."
    made = {
        'L.tif': saved(GREY, 'TIFF'), 'deep.tif': tiff(RGB.astype(np.uint16) * 257),
        'five.tif': tiff(np.dstack([RGB, RGB])[..., :5]), 'a.png': saved(RGB, 'PNG'),
        'deep.png': opencv(RGB.astype(np.uint16) * 257, '.png'), 'a.jpg': saved(RGB, 'JPEG'),
        'profile.jpg': saved(RGB, 'JPEG', icc_profile=P3), 'a.webp': saved(RGB, 'WEBP')}
    (tmp_path/name).write_bytes(made[name])
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    with pytest.raises(
        BadInput,
        match=f'{name} has 2,640 pixels, more than is usual; if it is to be trusted, give '
              'max_pixels 2640',
    ):
        read_image(tmp_path / name)
    assert 'give max_pixels 2640' in inspect_file(tmp_path/name)['error']
    with pytest.raises(BadInput, match='give max_pixels 2640'):
        ImageReader(max_pixels=2639)(tmp_path / name)
    assert (
        ImageReader(max_pixels=2640)(tmp_path / name).shape == (H, W, 3)
        and inspect_file(tmp_path / name, ImageReader(max_pixels=2640))['error'] == '')

def test_a_tiff_and_its_jpeg_are_the_same_picture(tmp_path):
    "In every orientation and depth they land on one side of a split."
    gen = np.random.default_rng(3)
    for i in range(8):
        a = cv2.resize(
            gen.integers(0, 255, (7, 9, 3), np.uint8), (90, 70), interpolation=cv2.INTER_CUBIC)
        for c, data in (
            ('a', saved(a, 'JPEG', quality=90)),
            ('b', tiff(a.astype(np.uint16) * 257, t274=(1,))),
            ('c', None),
        ):
            (tmp_path/'photos'/c).mkdir(parents=True, exist_ok=True)
            if data is None:
                data = saved(np.ascontiguousarray(UNDO[i + 1](a)), 'TIFF', turn=i + 1)
            (tmp_path/'photos'/c/f'{i}.{"jpg" if c == "a" else "tif"}').write_bytes(data)
    groups = group_duplicates(read_data(tmp_path/'photos'), tmp_path)
    assert groups.alike.nunique() == 8 and (groups.alike.value_counts() == 3).all()
    facts = [
        inspect_file(tmp_path / 'photos' / c / f'{i}.{"jpg" if c == "a" else "tif"}') for i in range(8)
        for c in 'abc']
    assert {(f['width'], f['height']) for f in facts} == {(90, 70)}

UNDO = TURNS | {6: TURNS[8], 8: TURNS[6]}   # what EXIF then turns upright
