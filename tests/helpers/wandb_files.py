"What offline files of Weights & Biases hold."
import json
import struct
from pathlib import Path

import pandas as pd


def wandb_records(file: str | Path):
    """The records of a `.wandb` file, up to where it is torn; the format is
    github.com/google/leveldb/blob/main/doc/log_format.md behind seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record
    data, at, record = Path(file).read_bytes(), 7, b''
    while at + 7 <= len(data):
        rest = 32768 - at % 32768
        if rest < 7:      # the end of a block is too short for a header
            at += rest
            continue
        _, size, kind = struct.unpack('<IHB', data[at:at + 7])
        if kind == 0 or at + 7 + size > len(data): return
        record, at = record + data[at + 7:at + 7 + size], at + 7 + size
        if kind in (1, 4):      # full, or the last piece
            yield Record.FromString(record)
            record = b''


def wandb_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.glob('wandb/*run-*/*.wandb') if not f.parent.is_symlink())


def is_whole(file: Path) -> bool:
    "`finish` may come back a moment before the file has its end."
    return any(r.WhichOneof('record_type') == 'exit' for r in wandb_records(file))


def wandb_history(folder: Path) -> pd.DataFrame:   # indexed by step; in the order of the files
    "What the run files below a folder hold of a history."
    found = [
        r.history for f in wandb_files(folder) for r in wandb_records(f)
        if r.WhichOneof('record_type') == 'history']
    rows = [
        {i.key or '/'.join(i.nested_key): json.loads(i.value_json) for i in h.item} for h in found]
    return pd.DataFrame(rows, index=pd.Index([h.step.num for h in found], name='step', dtype=int))


def wandb_values(folder: Path, kind: str) -> dict:
    "What the pieces of a run say of their 'summary' or 'config'."
    found = {}
    for f in wandb_files(folder):
        for r in wandb_records(f):
            of = r.WhichOneof('record_type')
            items = (
                r.summary.update if kind == of == 'summary'
                else r.run.config.update if kind == 'config' and of == 'run' else ())
            found |= {i.key or '/'.join(i.nested_key): json.loads(i.value_json) for i in items}
    return found
