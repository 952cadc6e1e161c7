"""Settings of keepers on days when they were the weak link, to be put into a protocol with `with_(keeper=...)`."""

from underwater.config import Failure, Gas, GasStep, Keeper, Regime, UniformLatency


def black_thursday(gas_usd: float | str = "1.30", seed: int = 0) -> Keeper:
    """Keepers on Ethereum on 2020-03-12 and 13.

    What is known: the average price of gas rose about six times, to 80 gwei, with peaks of 200 and more; senders of
    oracle updates stalled; keepers with a fixed price of gas did not get their transactions in, and 36 % of Maker's
    liquidations went for nothing (accounts of the day by whiterabbit, Dragonfly, Glassnode and Blockonomi).

    What is assumed: a liquidation takes half a million gas, `gas_usd` at 13 gwei and 195 USD for an ether; from the
    first great fall at 10:30 UTC on, and for six hours, an action takes 60 to 600 seconds and half of them fail, tried
    again after ten minutes; before and after, 13 to 60 seconds. Gas falls back at midnight after the 13th.

    >>> import underwater as uw
    >>> protocol = uw.protocols.lp_pool().with_(keeper=uw.keepers.black_thursday())
    >>> protocol.keeper.regimes[0].failure.probability
    Fraction(1, 2)
    """
    congested = Regime(
        start="2020-03-12T10:30:00Z",
        end="2020-03-12T16:30:00Z",
        latency=UniformLatency(low="60s", high="600s"),
        failure=Failure(probability="0.5", retry="10m"),
    )
    series = (
        GasStep(at="2020-03-12T10:30:00Z", factor=6),
        GasStep(at="2020-03-14T00:00:00Z", factor=1),
    )
    return Keeper(
        latency=UniformLatency(low="13s", high="60s"),
        gas=Gas(base=gas_usd, series=series),
        regimes=(congested,),
        seed=seed,
    )
