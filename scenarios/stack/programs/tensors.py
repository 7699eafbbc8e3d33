"""Reading and writing of .safetensors files, with the standard library."""

import json
import sys
from array import array
from pathlib import Path
from typing import NamedTuple


class Tensor(NamedTuple):
    dtype: str
    shape: list[int]
    data: bytes


def dump(tensors: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": metadata}
    offset = 0
    for name in sorted(tensors):
        tensor = tensors[name]
        header[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [offset, offset + len(tensor.data)],
        }
        offset += len(tensor.data)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(tensors[name].data for name in sorted(tensors))


def load(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    if not 2 <= size <= len(raw) - 8:
        raise ValueError(f"{path}: not a safetensors file")
    header = json.loads(raw[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if not 0 <= start <= end <= len(raw) - 8 - size:
            raise ValueError(f"{path}: tensor {name} reaches beyond the file")
        tensors[name] = Tensor(entry["dtype"], entry["shape"], raw[8 + size + start : 8 + size + end])
    return tensors, metadata


def floats(data: bytes) -> list[float]:
    values = array("f")
    values.frombytes(data)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tolist()


def packed(values: list[float]) -> bytes:
    result = array("f", values)
    if sys.byteorder == "big":
        result.byteswap()
    return result.tobytes()
