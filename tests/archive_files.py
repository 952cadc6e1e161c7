"""Writes small files as vendors lay them out."""

import gzip
import zipfile
from pathlib import Path

import lz4.frame

AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


def write(path: Path, text: str) -> Path:
    """The text at the path, compressed as its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    match path.suffix:
        case ".zip":
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(f"{path.stem}.csv", data)
        case ".gz":
            path.write_bytes(gzip.compress(data))
        case ".lz4":
            path.write_bytes(lz4.frame.compress(data))
        case _:
            path.write_bytes(data)
    return path


def agg_trades(rows: list[tuple[int, str]], header: bool = True) -> str:
    """Text of aggTrades of (time, price)."""
    lines = [f"{i},{price},2,{i},{i},{ts},{'true' if i % 2 else 'false'}" for i, (ts, price) in enumerate(rows)]
    return "\n".join([*([AGG] if header else []), *lines, ""])
