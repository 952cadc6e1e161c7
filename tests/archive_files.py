"""Writes small files as vendors lay them out."""

import zipfile
from pathlib import Path

import pyarrow as pa

MS = 1_583_971_200_000
"""2020-03-12T00:00:00."""
BITMEX = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional\n"
AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """The text at the path, compressed as its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode(encoding)
    match path.suffix:
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{path.stem}.csv", data)
        case ".gz" | ".lz4" | ".zst":
            with pa.output_stream(
                path, compression={".gz": "gzip", ".lz4": "lz4", ".zst": "zstd"}[path.suffix]
            ) as file:
                file.write(data)
        case _:
            path.write_bytes(data)
    return path


def agg_trades(rows: list[tuple[int, str]], header: bool = True) -> str:
    """Text of aggTrades of (time, price)."""
    lines = [f"{i},{price},2,{i},{i},{ts},{'true' if i % 2 else 'false'}" for i, (ts, price) in enumerate(rows)]
    return "\n".join([*([AGG] if header else []), *lines, ""])
