"""What a replay found: who was liquidated, when, at what price, how much bad debt, and who paid."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from underwater import _core, metrics
from underwater._files import atomic_directory
from underwater.config import Protocol, RunOptions
from underwater.errors import ConfigError, DataError, MissingFileError
from underwater.pools import ShareAccounting, Shares, share_accounting, valuation

FRAMES = (
    "who_pays",
    "liquidations",
    "adl",
    "bad_debt",
    "timeline",
    "accounts",
    "balances",
    "positions",
    "postings",
    "rejected_events",
)
"""Names of a result's frames, and of the files that `Result.write` makes."""

_MANIFEST = "manifest.json"
_FORMAT = 1


class Result:
    """The result of `replay`, or of `Result.read`. Frames are polars; money is exact (`Decimal`), columns in USD end in
    `_usd` and have 6 decimals, times are nanoseconds in UTC."""

    def __init__(
        self,
        source: Callable[[str], pl.DataFrame],
        batches: Callable[[str], Iterator[pl.DataFrame]],
        *,
        state_hash: str | Callable[[], str],
        summary: Mapping[str, Any],
        protocol: Protocol,
        options: RunOptions,
        provenance: Mapping[str, Any],
        version: str = _core.__version__,
    ) -> None:
        self._source = source
        self._batches = batches
        self._summary = dict(summary)
        self._state_hash = state_hash
        self.protocol = protocol
        """The protocol that was replayed."""
        self.options = options
        """Reference and opening policy of the run."""
        self.provenance = dict(provenance)
        """What the ticks say of themselves: what is real and what is reconstructed."""
        self.version = version
        """Version of the package that computed the result."""

    @property
    def state_hash(self) -> str:
        """Hash of the final state and of all records; the same inputs give the same hash on every machine.

        Computed when it is first asked for.
        """
        if callable(self._state_hash):
            self._state_hash = self._state_hash()
        return self._state_hash

    def who_pays(self, by: Literal["owner"] | None = None) -> pl.DataFrame:
        """Who bears the loss.

        Without `by`, columns `section`, `line`, `amount_usd`, `share` (of the payers' sum, Float64 or null),
        `accounts`, `first_ts`. Sections: `loss` (bad debt, opening, ADL overshoot, subsidies, less what was recovered),
        `payer` (the layers in order, ADL give-up among them, then `uncovered`) and `beside` (open shortfalls, gross,
        takeover and price results, capped and refused payouts, rounding: never netted into the loss). The payers sum
        to the loss, exactly.

        With `by="owner"`, one row per owner (an account without one is its own), the largest result first: `owner`,
        `accounts`, `result_usd` (closing less opening equity less net deposits), `bad_debt_usd`, `adl_give_up_usd`,
        `socialised_usd`, `unpaid_profit_usd`.

        Raises:
            ValueError: `by` is something else.
        """
        if by is None:
            return self._frame("who_pays")
        if by != "owner":
            raise ValueError(f"by: expected None or 'owner', got {by!r}")
        return (
            self.accounts.with_columns(
                owner=pl.coalesce("owner", "account"),
                result_usd=pl.col("closing_equity_usd") - pl.col("opening_equity_usd") - pl.col("deposits_usd"),
            )
            .group_by("owner")
            .agg(
                accounts=pl.col("account").n_unique(),
                **{
                    name: pl.col(name).sum()
                    for name in ("result_usd", "bad_debt_usd", "adl_give_up_usd", "socialised_usd", "unpaid_profit_usd")
                },
            )
            .sort("result_usd", "owner", descending=[True, False])
        )

    @cached_property
    def liquidations(self) -> pl.DataFrame:
        """One row per fill of a closed account: `ts`, `account`, `market`, `event`, `trigger_ts`, `trigger_price`,
        `trigger_equity_usd` and `trigger_notional_usd` (the detection, and the account then at the trigger feed),
        `route` (`market`, `pool`, `vault`), `side` (that was closed), `size`, `price`, `reference_price`, `asset`,
        `amount` (signed cash to the account, in the asset), `notional_usd`, `equity_usd` (of the account before the
        event, at the reference), `price_subsidy_usd`, `opening`."""
        return self._frame("liquidations")

    @cached_property
    def adl(self) -> pl.DataFrame:
        """One row per ADL fill: `kind` (`bankruptcy`: with an account that is closed; `vault`: with the vault; `pool_factor`:
        with the pool, `loser` is `pool`, give-ups are 0), `ts`, `account` (the counterparty), `market`, `event`, `loser`,
        `trigger_ts`,
        `trigger_equity_usd`, `trigger_notional_usd` (the loser at its detection), `loser_equity_usd` (before the event, at the
        reference), `side` (of the counterparty), `size`, `asset`, `amount` (received by the loser), `price`,
        `mark_price`, `reference_price`, `notional_usd` (at the mark), `give_up_usd` (split into `forgone_profit_usd`
        and `principal_usd`), `equity_usd` (of the counterparty's account, legs at the mark; null for the outside) and
        `pnl_usd` (of its position, at the mark) just before the fill, `rank`, `score`."""
        return self._frame("adl")

    @cached_property
    def bad_debt(self) -> pl.DataFrame:
        """One row per account and asset that went bad: `ts`, `account`, `market` (null if cross), `event`, `asset`,
        `amount`, `bad_debt_usd` (`principal_usd`, `funding_borrow_usd`, `third_party_fees_usd`, `assessments_usd`),
        `waived_usd`, one column per payer, `treasury_later_usd` and `token_later_usd` (of `treasury_usd` and `token_usd`, what
        was paid after a decision or in an auction), `adl_overshoot_usd`, `subsidy_usd`, `change_of_prepaid_usd`,
        `recovered_usd`, `opening`, `status` (`realised` or `open`).
        Payers + ADL give-up + uncovered = bad debt + overshoot + subsidy + change of prepaid, in every row."""
        return self._frame("bad_debt")

    @cached_property
    def timeline(self) -> pl.DataFrame:
        """Cumulative counts and totals by time: `ts`, `liquidations`, `adl_fills`, `liquidated_usd`, `adl_usd`,
        `bad_debt_usd`, `uncovered_usd` (as it was lost, whatever was paid later), the equity of the layers at the reference
        (`token_usd`: minus what sales of tokens have raised), `queue`. A row for each instant with a fill, an ADL fill or a
        loss, or at which the money of a layer moved."""
        return self._frame("timeline")

    @cached_property
    def accounts(self) -> pl.DataFrame:
        """One row per margin account: `account`, `market` (null if cross), `margin_mode`, `owner`, `status` (`open`,
        `queued`, `liquidated`, `defaulted`, `rejected`), `trigger_ts`, `closed_ts`, `opening_equity_usd`,
        `closing_equity_usd`, `deposits_usd` (net), `bad_debt_usd`, `adl_give_up_usd`, `socialised_usd`, `unpaid_profit_usd`
        (capped or refused payouts), `opening`."""
        return self._frame("accounts")

    @cached_property
    def balances(self) -> pl.DataFrame:
        """`holder`, `market`, `asset`, `opening`, `closing`: every margin account and entity that held something."""
        return self._frame("balances")

    @cached_property
    def positions(self) -> pl.DataFrame:
        """`holder`, `market`, `opening_size`, `closing_size`, `closing_entry_value`."""
        return self._frame("positions")

    @cached_property
    def postings(self) -> pl.DataFrame:
        """The ledger after the open: `ts`, `event`, `kind`, `from`, `from_market`, `to`, `to_market`, `asset`,
        `amount`, `amount_usd`."""
        return self._frame("postings")

    @cached_property
    def rejected_events(self) -> pl.DataFrame:
        """What was refused: `ts`, `account`, `market`, `kind` (`deposit`, `withdrawal`, `trade`, `opening`), `asset`, `amount`,
        `size` (of a trade), `reason`."""
        return self._frame("rejected_events")

    def shares(
        self,
        entity: Literal["pool", "vault"] = "pool",
        flows: pl.DataFrame | Iterable[Mapping[str, Any]] = (),
        shares: Shares | None = None,
        *,
        prices: pl.DataFrame | None = None,
    ) -> ShareAccounting:
        """Shares of the pool or vault through the day: path of the price, requests, holders (docs/pools.md).

        Args:
            entity: `pool` or `vault`.
            flows: deposits and withdrawals of liquidity providers, see `uw.pools.share_accounting`.
            shares: rules; None: price 1 at the open, executed at once.
            prices: value the entity at each of these (`uw.pools.valuation`); None: at the reference, whenever something happened.
        """
        nav = metrics.path(self, entity) if prices is None else valuation(self, prices, entity)
        return share_accounting(nav, flows, shares, entity=entity)

    def batches(self, name: str) -> Iterator[pl.DataFrame]:
        """The frame of this name (`FRAMES`) piece by piece, at least one: for records that do not fit in memory.

        Raises:
            ConfigError: there is no such frame.
            EngineError: records cannot be read back.
        """
        if name not in FRAMES:
            raise ConfigError(f"there is no frame {name!r}; there are {', '.join(FRAMES)}")
        return self._batches(name)

    def summary(self) -> dict[str, Any]:
        """Counts and totals of the run; under `metrics` the figures of `uw.metrics.headline`, computed when first asked for."""
        if "metrics" not in self._summary:
            self._summary["metrics"] = metrics.headline(self)
        return dict(self._summary)

    def write(self, directory: str | PathLike[str]) -> Path:
        """Writes one Parquet file per frame and `manifest.json`. The directory appears whole or not at all.

        Raises:
            FileExistsError: the path exists and is not an earlier result.
        """
        target = Path(directory)
        if (
            target.exists()
            and not (target / _MANIFEST).is_file()
            and not (target.is_dir() and not any(target.iterdir()))
        ):
            raise FileExistsError(f"{target}: exists and is not an earlier result; not overwritten")
        manifest = {
            "format": _FORMAT,
            "version": self.version,
            "state_hash": self.state_hash,
            "protocol": json.loads(self.protocol.to_json()),
            "options": json.loads(self.options.to_json()),
            "provenance": self.provenance,
            "summary": self.summary(),
        }
        with atomic_directory(target) as part:
            for name in FRAMES:
                _write(self.batches(name), part / f"{name}.parquet")
            (part / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        return target

    @classmethod
    def read(cls, directory: str | PathLike[str]) -> Self:
        """A result that was written; frames are read when they are asked for.

        Raises:
            MissingFileError: there is no manifest.
            DataError: the manifest cannot be read, or is of another format.
        """
        path = Path(directory) / _MANIFEST
        if not path.is_file():
            raise MissingFileError(f"{path}: no such file; expected a directory written by Result.write")
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            if manifest["format"] != _FORMAT:
                raise DataError(f"{path}: expected format {_FORMAT}, got {manifest['format']!r}")
            return cls(
                lambda name: pl.read_parquet(Path(directory) / f"{name}.parquet"),
                lambda name: _read(Path(directory) / f"{name}.parquet"),
                state_hash=manifest["state_hash"],
                summary=manifest["summary"],
                protocol=Protocol.from_dict(manifest["protocol"]),
                options=RunOptions.from_dict(manifest["options"]),
                provenance=manifest["provenance"],
                version=manifest["version"],
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise DataError(f"{path}: not a manifest: {error!r}") from None

    def _frame(self, name: str) -> pl.DataFrame:
        return self._source(name)

    def __repr__(self) -> str:
        return f"Result({self.protocol.name or 'protocol'!r}, {self.version}, state hash {self.state_hash[:12]})"


def _write(batches: Iterator[pl.DataFrame], path: Path) -> None:
    """Writes a frame that comes piece by piece."""
    first = next(batches)
    second = next(batches, None)
    if second is None:
        first.write_parquet(path)
        return
    with pq.ParquetWriter(path, first.to_arrow().schema, compression="zstd") as writer:
        writer.write_table(first.to_arrow())
        while second is not None:
            writer.write_table(second.to_arrow())
            second = next(batches, None)


def _read(path: Path) -> Iterator[pl.DataFrame]:
    """Reads a frame piece by piece."""
    with pq.ParquetFile(path) as file:
        empty = file.schema_arrow.empty_table()
        for batch in file.iter_batches():
            yield pl.DataFrame(pa.table(batch))
        if file.metadata.num_rows == 0:
            yield pl.DataFrame(empty)
