"""Fetching from a server on loopback that has the archives' layout, and its bad days."""

import gzip
import hashlib
import io
import threading
import time
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from archive_files import agg_trades

import underwater as uw
from underwater.data import archives
from underwater.data.archives import parse_days
from underwater.data.formats import of_file

MS = 1_583_971_200_000
DAY = "data/futures/um/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-2020-03-12.zip"
NEXT = DAY.replace("-12.zip", "-13.zip")
QUICK = uw.data.Manners(requests_per_second=1000, timeout=0.5, attempts=4, back_off=0.01)


def zipped(days: int) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        rows = [(MS + days * 86_400_000 + i, f"{7000 + i * 7919 % 1000}.{i % 10}") for i in range(20_000)]
        archive.writestr("x.csv", agg_trades(rows))
    return data.getvalue()


class Server(ThreadingHTTPServer):
    """Files by path; each answer may be spoilt by the next of `bad`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.bad: list[str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, path: str, data: bytes) -> None:
        self.files[f"/{path}"] = data
        self.files[f"/{path}.CHECKSUM"] = f"{hashlib.sha256(data).hexdigest()}  {path.split('/')[-1]}\n".encode()

    @property
    def counts(self) -> Counter[str]:
        return Counter(path.rpartition(".")[2] for path, _ in self.asked)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Range"]))
        self.server.agents.add(self.headers["User-Agent"])
        data = self.server.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        bad = self.server.bad.pop(0) if self.server.bad and not self.path.endswith(".CHECKSUM") else ""
        if bad.isdigit():
            self.send_response(int(bad))
            self.send_header("Retry-After", "0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        start = 0
        if (said := self.headers["Range"]) and self.headers["If-Range"] == etag and bad != "no ranges":
            start = int(said.removeprefix("bytes=").rstrip("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        if bad == "corrupt":
            body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if bad in ("truncated", "slow"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if bad == "slow":
                time.sleep(1.2)
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.add(DAY, zipped(0))
        server.add(NEXT, zipped(1))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(server, tmp_path):
    def fetch(days="2020-03-12", archive="binance-um", symbol="BTCUSDT", **how):
        return uw.data.fetch(archive, symbol, days, directory=tmp_path, base_url=server.url, manners=QUICK, **how)

    return fetch


def test_files_are_fetched_verified_kept_and_importable(fetch, server, tmp_path):
    found = fetch("2020-03-12..13")
    assert [path.relative_to(tmp_path).as_posix() for path in found.paths] == [
        f"binance-um/{DAY}",
        f"binance-um/{NEXT}",
    ]
    assert (found.downloaded, found.retried, found.resumed, found.missing) == (2, 0, 0, [])
    assert found.paths[0].read_bytes() == server.files[f"/{DAY}"]
    assert all(agent.startswith(f"underwater/{uw.__version__}") for agent in server.agents)
    before = len(server.asked)
    again = fetch("2020-03-12..13")
    assert (again.downloaded, len(server.asked)) == (0, before), "taken from the cache"
    done = uw.data.import_ticks(again.paths, tmp_path / "x.parquet")
    assert (done.written, done.ticks.markets[0].name) == (40_000, "BTCUSDT")


def test_a_copy_that_changed_is_fetched_again(fetch, server):
    path = fetch().paths[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert fetch().downloaded == 1
    assert path.read_bytes() == server.files[f"/{DAY}"]


@pytest.mark.parametrize("bad", ["truncated", "slow"])
def test_a_download_that_stops_goes_on_where_it_stopped(fetch, server, bad):
    server.bad = [bad, bad]
    found = fetch()
    size = len(server.files[f"/{DAY}"])
    assert (found.retried, found.resumed, found.bytes_downloaded) == (2, 2, size)
    ranges = [said for path, said in server.asked if path.endswith(".zip")]
    assert ranges == [None, f"bytes={size // 2}-", f"bytes={size // 2 + (size - size // 2) // 2}-"]
    assert found.paths[0].read_bytes() == server.files[f"/{DAY}"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(fetch, server, tmp_path):
    server.bad = ["truncated"] + ["500"] * 9
    with pytest.raises(ConnectionError, match="500"):
        fetch()
    folder = (tmp_path / "binance-um" / DAY).parent
    assert {path.suffix for path in folder.iterdir()} == {".part", ".version"}
    server.bad = []
    assert fetch().resumed == 1
    assert {path.suffix for path in folder.iterdir()} == {".zip", ".CHECKSUM"}


def test_a_file_that_changed_meanwhile_is_begun_anew(fetch, server):
    server.bad = ["truncated"] + ["500"] * 9
    with pytest.raises(ConnectionError):
        fetch()
    server.bad = []
    server.add(DAY, zipped(5))
    found = fetch()
    assert (found.resumed, found.paths[0].read_bytes()) == (0, server.files[f"/{DAY}"])


def test_a_server_without_ranges_is_read_from_the_start(fetch, server):
    server.bad = ["truncated", "no ranges"]
    found = fetch()
    assert (found.resumed, found.paths[0].read_bytes()) == (0, server.files[f"/{DAY}"])


def test_a_corrupt_answer_is_fetched_again_whole(fetch, server):
    server.bad = ["corrupt"]
    found = fetch()
    assert (found.retried, found.resumed) == (1, 0)
    assert found.paths[0].read_bytes() == server.files[f"/{DAY}"]


def test_a_file_that_never_fits_its_checksum_is_refused(fetch, server, tmp_path):
    server.bad = ["corrupt"] * 9
    with pytest.raises(uw.DataError, match=r"expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}, after 4 tries"):
        fetch()
    assert list((tmp_path / "binance-um" / DAY).parent.iterdir()) == []


@pytest.mark.parametrize("code", ["429", "500", "503"])
def test_a_busy_archive_is_asked_again(fetch, server, code):
    server.bad = [code, code]
    assert fetch().retried == 2


def test_a_refusal_is_final(fetch, server):
    server.bad = ["403"]
    with pytest.raises(ConnectionError, match="403"):
        fetch()
    assert server.counts["zip"] == 1


def test_what_of_an_archive_is_free_is_told_when_it_refuses(fetch, server):
    server.files["/bitmex/trades/2020/03/12/XBTUSD.csv.gz"] = b""
    server.bad = ["401"]
    with pytest.raises(ConnectionError, match="401 Unauthorized; without a key, the first day of each month is free"):
        fetch(archive="tardis-bitmex", symbol="XBTUSD")


def test_missing_days_are_told_after_the_others_were_fetched(fetch, tmp_path):
    with pytest.raises(uw.MissingFileError, match=r"the archive has no .*2020-03-11\.zip"):
        fetch("2020-03-11..13")
    assert (tmp_path / "binance-um" / NEXT).is_file()
    found = fetch("2020-03-11..13", skip_missing=True)
    assert (len(found.paths), len(found.missing)) == (2, 1)


def test_a_checksum_that_is_none_is_refused(fetch, server):
    server.files[f"/{DAY}.CHECKSUM"] = b"<html>"
    with pytest.raises(ConnectionError, match="expected a SHA-256"):
        fetch()


def test_nobody_there(tmp_path):
    manners = uw.data.Manners(requests_per_second=1000, attempts=2, back_off=0.01)
    where = {"directory": tmp_path, "base_url": "http://127.0.0.1:9"}
    with pytest.raises(ConnectionError, match="after 2 tries"):
        uw.data.fetch("binance-um", "X", "2020-03-12", manners=manners, **where)


def test_archives_without_checksums_are_verified_by_decompressing(fetch, server):
    place = "/trading/BTCUSDT/BTCUSDT2020-03-12.csv.gz"
    server.files[place] = gzip.compress(b"timestamp,symbol\n" * 1000)
    assert fetch(archive="bybit").paths[0].read_bytes() == server.files[place]
    server.files["/trading/BTCUSDT/BTCUSDT2020-03-13.csv.gz"] = server.files[place][:-4]
    with pytest.raises(uw.DataError, match="damaged or cut off"):
        fetch("2020-03-13", archive="bybit")


def test_requests_are_spaced(server, tmp_path):
    manners = uw.data.Manners(requests_per_second=20)
    start = time.monotonic()
    uw.data.fetch("binance-um", "BTCUSDT", "2020-03-12..13", directory=tmp_path, base_url=server.url, manners=manners)
    assert time.monotonic() - start >= 3 / 20, "four requests, three pauses"


def test_progress(fetch):
    told = []
    fetch(progress=lambda *said: told.append(said))
    assert told[0][0] == "file 1 of 1"
    assert told[-1][0] == "download"
    assert told[-1][1] == told[-1][2] > 0


def test_the_cache_is_where_it_is_said(server, tmp_path, monkeypatch):
    monkeypatch.setenv("UNDERWATER_CACHE", str(tmp_path / "cache"))
    found = uw.data.fetch("binance-um", "BTCUSDT", "2020-03-12", base_url=server.url, manners=QUICK)
    assert found.paths[0] == tmp_path / "cache" / "archives" / "binance-um" / DAY


@pytest.mark.parametrize(
    ("archive", "kind", "place"),
    [
        ("binance-cm", None, "data/futures/cm/daily/aggTrades/S/S-aggTrades-2020-03-12.zip"),
        ("binance-spot", "klines", "data/spot/daily/klines/S/1m/S-1m-2020-03-12.zip"),
        ("binance-um", "markPriceKlines", "data/futures/um/daily/markPriceKlines/S/1m/S-1m-2020-03-12.zip"),
        ("binance-um", "fundingRate", "data/futures/um/monthly/fundingRate/S/S-fundingRate-2020-03.zip"),
        ("binance-um", "bookDepth", "data/futures/um/daily/bookDepth/S/S-bookDepth-2020-03-12.zip"),
        ("bybit", None, "trading/S/S2020-03-12.csv.gz"),
        ("bybit-spot", None, "spot/S/S_2020-03-12.csv.gz"),
        ("bitmex", None, "data/trade/20200312.csv.gz"),
        ("tardis-bitmex", None, "bitmex/trades/2020/03/12/S.csv.gz"),
        ("tardis-okex-swap", "liquidations", "okex-swap/liquidations/2020/03/12/S.csv.gz"),
    ],
)
def test_layouts(archive, kind, place):
    assert archives.get(archive).paths("S", kind, "1m", parse_days("2020-03-12")) == [place]


def test_a_day_of_utc_may_be_in_two_files():
    """OKX's days are those of UTC+8: that of the 11th begins on the 10th at 16:00 UTC."""
    places = archives.get("okx").paths("BTC-USDT-SWAP", None, "1m", parse_days("2025-10-10"))
    folder = "cdn/okex/traderecords/trades/daily"
    assert places == [f"{folder}/202510{day}/BTC-USDT-SWAP-trades-2025-10-{day}.zip" for day in (10, 11)]
    assert len(archives.get("okx").paths("BTC-USDT-SWAP", None, "1m", parse_days("2025-10"))) == 32


VENUES = {"bybit.trading": "bybit.trades", "bybit-spot.spot": "bybit.spot", "bitmex.trade": "bitmex.trades"}


@pytest.mark.parametrize("archive", [*uw.data.ARCHIVES, "tardis-binance-futures"])
def test_what_is_fetched_can_be_imported(archive, tmp_path):
    known = archives.get(archive)
    for kind in known.kinds:
        symbol = {"okx": "BTC-USDT-SWAP", "binance-cm": "DOTUSD_PERP"}.get(archive, "BTCUSDT")
        place = known.paths(symbol, kind, "1m", parse_days("2020-03-12"))[0]
        found = of_file(tmp_path / place)
        assert found.name == VENUES.get(f"{archive}.{kind}", f"{archive.partition('-')[0]}.{kind}")
        # A file without a column of markets has the market in its name.
        assert found.has("market") or found.market_name(tmp_path / place) == symbol


def test_a_month_that_is_asked_for_by_days_is_fetched_once():
    archive = uw.data.ARCHIVES["binance-um"]
    assert len(archive.paths("S", "fundingRate", "1m", parse_days("2020-03-30..2020-04-02"))) == 2


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"archive": "kraken"}, "archive: expected one of binance-um, .*, or tardis-EXCHANGE, got 'kraken'"),
        ({"archive": "tardis-../x"}, "archive: expected one of binance-um, .*, got 'tardis-../x'"),
        ({"kind": "orders"}, "kind: binance-um has aggTrades, .*, got 'orders'"),
        ({"symbol": "../x"}, "symbol: expected letters"),
        ({"symbol": ".."}, "symbol: expected letters"),
        ({"interval": "1 m"}, "interval: expected"),
        ({"days": "2020-02-30"}, "days: expected such as"),
        ({"days": "2020-03-12..11"}, "an end that is not before the start"),
        ({"days": "2020-03-12..x"}, "days: expected such as"),
        ({"days": "yesterday"}, "days: expected such as"),
    ],
)
def test_bad_requests(fetch, server, how, message):
    with pytest.raises(uw.ConfigError, match=message):
        fetch(**how)
    assert server.asked == []


def test_only_the_web(tmp_path):
    with pytest.raises(uw.ConfigError, match="base_url: expected http"):
        uw.data.fetch("bitmex", "XBTUSD", "2020-03-12", directory=tmp_path, base_url="file:///etc")


@pytest.mark.parametrize(
    ("text", "first", "number"),
    [
        ("2020-03-12", "2020-03-12", 1),
        ("2020-03-12..13", "2020-03-12", 2),
        ("2020-03-30..04-02", "2020-03-30", 4),
        ("2020-12-31..2021-01-01", "2020-12-31", 2),
        ("2020-02", "2020-02-01", 29),
    ],
)
def test_days(text, first, number):
    days = parse_days(text)
    assert (str(days[0]), len(days)) == (first, number)
