"""The pool of GMX v1 in tokens, by its contracts: reserves, guaranteed dollars, assets under management, GLP.

Where the ledger counts a pool in dollars, this counts it as Vault.sol and GlpManager.sol do, to the last unit: dollars with 30
decimals, tokens in their own, every division rounded down. docs/pools.md has the formulas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from underwater.errors import ConfigError, EngineError
from underwater.numbers import Dollars, parse_exact

USD = 10**30
GLP = 10**18
_RATE = 10**6
_BASIS = 10_000


@dataclass
class Token:
    """A token of the pool, and what the contract stores of it: amounts in units of the token."""

    decimals: int
    """Decimals of an amount."""
    stable: bool = False
    """Whether it is a stable coin, which shorts reserve."""
    low: int = 0
    """Lower price, 30 decimals."""
    high: int = 0
    """Higher price."""
    pool: int = 0
    """poolAmounts."""
    reserved: int = 0
    """reservedAmounts."""
    fees: int = 0
    """feeReserves, which have left the pool."""
    guaranteed: int = 0
    """guaranteedUsd: sizes less collateral of longs."""
    short_size: int = 0
    """globalShortSizes."""
    short_average: int = 0
    """globalShortAveragePrices, which the last close leaves as it is."""
    rate: int = 0
    """cumulativeFundingRates, 6 decimals."""

    @property
    def unit(self) -> int:
        """Units of one whole token."""
        return int(10**self.decimals)

    def usd(self, amount: int, price: int) -> int:
        """Dollars of an amount."""
        return amount * price // self.unit

    def units(self, usd: int, price: int) -> int:
        """Amount of dollars."""
        return usd * self.unit // price


@dataclass(frozen=True)
class GmxPosition:
    """A position as the contract stores it."""

    token: str
    """Index token."""
    collateral_token: str
    """The same for a long, a stable coin for a short."""
    long: bool
    size: int
    """Dollars."""
    collateral: int
    """Dollars, after the fee."""
    average: int
    """Entry price."""
    reserved: int
    """Units of the collateral token."""
    rate: int
    """Cumulative rate at the entry."""


@dataclass(frozen=True)
class GmxHealth:
    """What validateLiquidation says."""

    state: int
    """0 healthy, 1 liquidatable with nothing returned, 2 with too much leverage: closed as any other."""
    profit: int
    """Dollars, negative: loss."""
    fees: int
    """Margin and borrow fees, as the state caps them."""


@dataclass
class GmxPool:
    """The pool, changed by each call. Amounts are written as people do, exactly: 0.00025 BTC, 90 dollars."""

    tokens: dict[str, Token]
    """By name."""
    margin_fee: Dollars = "0.001"
    """marginFeeBasisPoints over 10,000."""
    liquidation_fee: Dollars = 5
    """liquidationFeeUsd, to the keeper, from the pool."""
    mint_fee: Dollars = "0.003"
    """Of what is brought and of what is taken out: mintBurnFeeBasisPoints over 10,000."""
    funding_factor: int = 100
    """fundingRateFactor, millionths of an interval at a utilisation of 1."""
    max_leverage: int = 50
    """maxLeverage over 10,000."""
    aum_addition: Dollars = 0
    """Dollars, a manual lever."""
    aum_deduction: Dollars = 0
    """As above."""
    supply: int = 0
    """GLP, 18 decimals."""
    positions: dict[str, GmxPosition] = field(default_factory=dict)
    """By key."""

    def quote(self, token: str, low: Dollars, high: Dollars | None = None) -> None:
        """Sets the prices of a token; without a higher one both are the same."""
        it = self._token(token)
        it.low, it.high = _scaled(low, USD, "low"), _scaled(low if high is None else high, USD, "high")
        if not 0 < it.low <= it.high:
            raise ConfigError(f"price of {token!r}: expected 0 < low <= high, got {low!r} and {high!r}")

    def aum(self, *, maximise: bool) -> int:
        """Assets under management, 30 decimals: what GLP is minted at (maximise), or redeemed at.

        A short's loss counts in full until it is closed, as does a long's through guaranteed dollars.
        """
        total = _scaled(self.aum_addition, USD, "aum_addition")
        profits = 0
        for token in self.tokens.values():
            price = token.high if maximise else token.low
            if token.stable:
                total += token.usd(token.pool, price)
                continue
            if token.short_size:
                delta = token.short_size * abs(token.short_average - price) // token.short_average
                if price > token.short_average:
                    total += delta
                else:
                    profits += delta
            total += token.guaranteed + token.usd(token.pool - token.reserved, price)
        deduction = _scaled(self.aum_deduction, USD, "aum_deduction") + profits
        return max(0, total - deduction)

    def glp_price(self, *, maximise: bool) -> Fraction:
        """Dollars of a GLP; 1 while there is none."""
        if self.supply == 0:
            return Fraction(1)
        return Fraction(self.aum(maximise=maximise) * GLP, self.supply * USD)

    def add_liquidity(self, token: str, amount: Dollars) -> Decimal:
        """GLP for tokens, at the AUM of the higher prices before they come; the tokens count at the lower."""
        it = self._token(token)
        aum = self.aum(maximise=True) * GLP // USD
        units = _scaled(amount, it.unit, "amount")
        kept = units * (_BASIS - self._basis(self.mint_fee, "mint_fee")) // _BASIS
        brought = it.usd(kept, it.low) * GLP // USD
        minted = brought if aum == 0 else brought * self.supply // aum
        it.fees += units - kept
        it.pool += kept
        self.supply += minted
        return Decimal(f"{minted}e-18")

    def remove_liquidity(self, token: str, glp: Dollars) -> Decimal:
        """Tokens for GLP, at the AUM of the lower prices and the higher price of the token.

        Raises:
            EngineError: what positions reserve would not be left, or there is not so much GLP.
        """
        it = self._token(token)
        burnt = _scaled(glp, GLP, "glp")
        if burnt > self.supply:
            raise EngineError(f"glp: there are {Decimal(self.supply) / GLP}, got {glp!r}")
        dollars = burnt * (self.aum(maximise=False) * GLP // USD) // self.supply
        units = it.units(dollars * USD // GLP, it.high)
        if it.pool - units < it.reserved:
            raise EngineError(f"{token}: reserve exceeds pool")
        paid = units * (_BASIS - self._basis(self.mint_fee, "mint_fee")) // _BASIS
        it.fees += units - paid
        it.pool -= units
        self.supply -= burnt
        return Decimal(f"{paid}e-{it.decimals}")

    def utilisation(self, token: str) -> Fraction:
        """Reserved over pool."""
        it = self._token(token)
        return Fraction(it.reserved, it.pool) if it.pool else Fraction(0)

    def accrue(self, token: str, intervals: int) -> None:
        """Raises the cumulative borrow rate by some intervals at the utilisation of now."""
        it = self._token(token)
        if it.pool:
            it.rate += self.funding_factor * it.reserved * intervals // it.pool

    def open(
        self, key: str, token: str, collateral: Dollars, size: Dollars, *, short_of: str | None = None
    ) -> GmxPosition:
        """Opens a position of some dollars: a long with its collateral in the token, or a short with a stable coin's.

        Args:
            key: a name that is not in use.
            token: index token.
            collateral: amount of the collateral token.
            size: dollars.
            short_of: the stable coin of a short; None: a long.

        Raises:
            EngineError: the pool is smaller than what would be reserved, or the leverage is too high.
        """
        if key in self.positions:
            raise EngineError(f"{key!r} is open")
        index, asset = self._token(token), self._token(short_of or token)
        units, dollars = _scaled(collateral, asset.unit, "collateral"), _scaled(size, USD, "size")
        brought = asset.usd(units, asset.low)
        fee = dollars - dollars * (_BASIS - self._basis(self.margin_fee, "margin_fee")) // _BASIS
        fee_units = asset.units(fee, asset.high)
        reserved = asset.units(dollars, asset.low)
        pool = asset.pool + (units - fee_units if short_of is None else 0)
        if asset.reserved + reserved > pool:
            raise EngineError(f"{short_of or token}: reserve exceeds pool")
        if brought < fee or (brought - fee) * self.max_leverage < dollars:
            raise EngineError(f"{key!r}: more leverage than {self.max_leverage}")
        asset.fees += fee_units
        asset.pool, asset.reserved = pool, asset.reserved + reserved
        if short_of is None:
            index.guaranteed += dollars + fee - brought
            average = index.high
        else:
            average = index.low
            index.short_average = self._next_short_average(index, dollars)
            index.short_size += dollars
        self.positions[key] = GmxPosition(
            token, short_of or token, short_of is None, dollars, brought - fee, average, reserved, asset.rate
        )
        return self.positions[key]

    def health(self, key: str) -> GmxHealth:
        """The tests of a liquidation, in the contract's order: loss, fees, fees and keeper's, leverage."""
        it = self.positions[key]
        index, asset = self.tokens[it.token], self.tokens[it.collateral_token]
        price = index.low if it.long else index.high
        move = price - it.average if it.long else it.average - price
        profit = it.size * abs(move) // it.average * (1 if move >= 0 else -1)
        margin = it.size - it.size * (_BASIS - self._basis(self.margin_fee, "margin_fee")) // _BASIS
        fees = margin + it.size * (asset.rate - it.rate) // _RATE
        remaining = it.collateral + profit
        if remaining < 0:
            return GmxHealth(1, profit, fees)
        if remaining < fees:
            return GmxHealth(1, profit, remaining)
        if remaining < fees + _scaled(self.liquidation_fee, USD, "liquidation_fee"):
            return GmxHealth(1, profit, fees)
        return GmxHealth(2 if remaining * self.max_leverage < it.size else 0, profit, fees)

    def liquidate(self, key: str) -> Decimal:
        """Closes a position of state 1; what the keeper gets, in the collateral token.

        Raises:
            EngineError: it is not in state 1.
        """
        found = self.health(key)
        if found.state != 1:
            raise EngineError(f"{key!r}: cannot be liquidated, state {found.state}")
        it = self.positions.pop(key)
        index, asset = self.tokens[it.token], self.tokens[it.collateral_token]
        fee_units = asset.units(found.fees, asset.high)
        asset.fees += fee_units
        asset.reserved -= it.reserved
        if it.long:
            index.guaranteed -= it.size - it.collateral
            asset.pool -= fee_units
        else:
            if found.fees < it.collateral:
                asset.pool += asset.units(it.collateral - found.fees, asset.high)
            index.short_size -= it.size
        reward = asset.units(_scaled(self.liquidation_fee, USD, "liquidation_fee"), asset.high)
        asset.pool -= reward
        return Decimal(f"{reward}e-{asset.decimals}")

    def bad_debt(self, key: str) -> Fraction:
        """Dollars that loss, fees and the keeper's fee exceed the collateral by: what a liquidation now costs the pool."""
        it, found = self.positions[key], self.health(key)
        owed = found.fees + _scaled(self.liquidation_fee, USD, "liquidation_fee") - found.profit
        return Fraction(max(0, owed - it.collateral), USD)

    def figures(self) -> Mapping[str, Decimal]:
        """AUM at both prices and GLP, and of each token pool, reserved, fees and guaranteed dollars, as decimals."""
        found = {
            "aum_min_usd": Decimal(f"{self.aum(maximise=False)}e-30"),
            "aum_max_usd": Decimal(f"{self.aum(maximise=True)}e-30"),
            "glp": Decimal(f"{self.supply}e-18"),
        }
        for name, token in self.tokens.items():
            for what in ("pool", "reserved", "fees"):
                found[f"{name}.{what}"] = Decimal(f"{getattr(token, what)}e-{token.decimals}")
            found[f"{name}.guaranteed_usd"] = Decimal(f"{token.guaranteed}e-30")
        return found

    def _next_short_average(self, index: Token, size: int) -> int:
        """The rule of getNextGlobalShortAveragePrice; the first short sets it."""
        price = index.low
        if index.short_size == 0:
            return price
        delta = index.short_size * abs(index.short_average - price) // index.short_average
        total = index.short_size + size
        return price * total // (total - delta if index.short_average > price else total + delta)

    def _token(self, name: str) -> Token:
        if name not in self.tokens:
            raise ConfigError(f"there is no token {name!r}; there are {', '.join(self.tokens)}")
        return self.tokens[name]

    @staticmethod
    def _basis(rate: Dollars, name: str) -> int:
        found = parse_exact(rate) * _BASIS
        if found.denominator != 1 or not 0 <= found <= _BASIS:
            raise ConfigError(f"{name}: expected whole basis points, got {rate!r}")
        return int(found)


def _scaled(value: Dollars, unit: int, name: str) -> int:
    try:
        found = parse_exact(value) * unit
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None
    if found < 0 or found.denominator != 1:
        raise ConfigError(f"{name}: expected at least 0 and no more decimals than there are, got {value!r}")
    return int(found)
