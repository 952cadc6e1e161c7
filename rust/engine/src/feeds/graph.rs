//! Which feeds a run needs, and what each is made from: a graph without cycles, each node after its sources, none twice.

use std::sync::Arc;

use super::halts::Halts;
use super::sampled::Cadence;
use super::{paused, push};
use crate::config::{FeedConfig, Outage, Prints, Protocol, Source};
use crate::error::{Error, Result};
use crate::units::Ratio;

/// How a feed is made from its sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Ticks(Source),
    Push(push::Rules),
    Paused(paused::Rules),
    Periodic(Cadence),
    Ema { time_constant: i64, cadence: Cadence },
    Twap { window: i64, cadence: Cadence },
    Basis { time_constant: i64, cadence: Cadence },
    Median,
    Lagged,
    WorstOf,
    Spread(Ratio),
}

impl Rule {
    /// True if longs and shorts see prices of their own.
    pub fn two_sided(&self) -> bool {
        matches!(self, Self::WorstOf | Self::Spread(_))
    }
}

/// A feed: how it is made, and the numbers of what it is made from, which come before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub rule: Rule,
    pub sources: Vec<usize>,
}

/// A feed as a use names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    pub node: usize,
    pub prints: Prints,
}

/// A guard over feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GuardPlan {
    pub divergence: Option<([usize; 2], Ratio)>,
    pub staleness: Option<i64>,
    pub halts: Arc<Halts>,
}

/// Which series a run needs and what for: equal plans make equal feeds of a tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPlan {
    pub(super) nodes: Vec<Node>,
    pub(super) trigger: Use,
    pub(super) execution: Use,
    pub(super) adl: Use,
    /// Of ADL matches; None: at the mark, or at bankruptcy.
    pub(super) adl_price: Option<Use>,
    /// The price of ADL is named, and is the trigger feed.
    pub(super) adl_price_is_trigger: bool,
    pub(super) collateral: Use,
    /// By delisting: the price of the settlement, if it is that of a feed.
    pub(super) settlement: Vec<Option<Use>>,
    pub(super) reference: Use,
    pub(super) guard: Option<GuardPlan>,
    /// Whether orders fill with the sizes of prints.
    pub(super) sizes: bool,
}

/// What an index is made of: the trigger feed, the mark of ADL and the collateral feed, and the guard. Equal plans make equal indices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexPlan {
    nodes: Vec<Node>,
    uses: [(usize, Prints); 3],
    guard: Option<GuardPlan>,
}

/// What feeds are used for, where a market needs an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedUse {
    /// Tests accounts.
    Trigger,
    /// Closes positions.
    Execution,
    /// Mark of ADL.
    Adl,
    /// Price of ADL.
    AdlPrice,
    /// Values losses.
    Reference,
    /// Settles delisted markets.
    Settlement,
    /// Blocks liquidation.
    Guard,
}

impl FeedPlan {
    /// True if what is used so is made from the ticks of index markets.
    pub fn needs_index(&self, used: FeedUse) -> bool {
        let nodes = match used {
            FeedUse::Trigger => vec![self.trigger.node],
            FeedUse::Execution => vec![self.execution.node],
            FeedUse::Adl => vec![self.adl.node],
            FeedUse::AdlPrice => self.adl_price.iter().map(|used| used.node).collect(),
            FeedUse::Reference => vec![self.reference.node],
            FeedUse::Settlement => self.settlement.iter().flatten().map(|used| used.node).collect(),
            FeedUse::Guard => {
                let divergence = self.guard.iter().filter_map(|guard| guard.divergence);
                divergence.flat_map(|(feeds, _)| feeds).collect()
            }
        };
        nodes.into_iter().any(|node| self.reads_index(node))
    }

    fn reads_index(&self, node: usize) -> bool {
        let Node { rule, sources } = &self.nodes[node];
        *rule == Rule::Ticks(Source::Index) || sources.iter().any(|&source| self.reads_index(source))
    }

    /// What an index over these feeds is made of.
    pub fn index(&self) -> IndexPlan {
        // Numbered again from what the index needs: what else the run needs makes no difference.
        let mut nodes = Vec::new();
        let uses = [self.trigger, self.adl, self.collateral].map(|u| (self.copy(u.node, &mut nodes), u.prints));
        let guard = self.guard.as_ref().map(|guard| GuardPlan {
            divergence: guard
                .divergence
                .map(|(feeds, limit)| (feeds.map(|node| self.copy(node, &mut nodes)), limit)),
            staleness: guard.staleness,
            halts: Arc::clone(&guard.halts),
        });
        IndexPlan { nodes, uses, guard }
    }

    fn copy(&self, node: usize, nodes: &mut Vec<Node>) -> usize {
        let Node { rule, sources } = &self.nodes[node];
        let sources = sources.iter().map(|&source| self.copy(source, nodes)).collect();
        add(
            nodes,
            Node {
                rule: rule.clone(),
                sources,
            },
        )
    }
}

/// The number of a node, which is added if it is not there.
pub(super) fn add(nodes: &mut Vec<Node>, node: Node) -> usize {
    nodes.iter().position(|known| *known == node).unwrap_or_else(|| {
        nodes.push(node);
        nodes.len() - 1
    })
}

/// The feed of a name; without a protocol, one of those that everyone has.
pub(super) fn named(protocol: Option<&Protocol>, name: &str, field: &str) -> Result<FeedConfig> {
    let own = protocol.and_then(|p| p.feeds.get(name).cloned());
    own.or_else(|| predefined(name))
        .ok_or_else(|| Error::Config(format!("{field}: there is no feed {name:?}")))
}

fn predefined(name: &str) -> Option<FeedConfig> {
    let source = match name {
        "last" => Source::Own,
        "index" => Source::Index,
        _ => return None,
    };
    Some(FeedConfig::Last {
        source,
        prints: Prints::LastOfInstant,
    })
}

/// Adds feeds to a graph.
pub(super) struct Grower<'a> {
    pub nodes: Vec<Node>,
    /// Whose feeds sources are looked for among.
    pub protocol: Option<&'a Protocol>,
    /// First timestamp of the tape.
    pub opening: i64,
    /// Names from the use down to the feed that is being added.
    path: Vec<String>,
}

impl<'a> Grower<'a> {
    /// A graph of prints, which are at hand whatever the feeds are: an order may fill at the next one.
    pub fn with_prints(opening: i64) -> Self {
        Self {
            nodes: vec![Node {
                rule: Rule::Ticks(Source::Own),
                sources: Vec::new(),
            }],
            protocol: None,
            opening,
            path: Vec::new(),
        }
    }

    /// A named feed.
    pub fn named(&mut self, name: &str, field: &str) -> Result<Use> {
        let config = named(self.protocol, name, field)?;
        if let Some(at) = self.path.iter().position(|known| known == name) {
            let cycle = [&self.path[at..], &[name.to_owned()]].concat().join(" -> ");
            return Err(Error::Config(format!("{field}: a feed is made from itself: {cycle}")));
        }
        self.path.push(name.to_owned());
        let found = self.feed(&config, &format!("protocol: feeds.{name}"));
        self.path.pop();
        found
    }

    /// A feed.
    pub fn feed(&mut self, config: &FeedConfig, field: &str) -> Result<Use> {
        let fail = |expected: &str| Err(Error::Config(format!("{field}: expected {expected}")));
        let rule = match config {
            FeedConfig::Last { source, .. } => Rule::Ticks(*source),
            FeedConfig::Push {
                deviation,
                heartbeat,
                latency,
                seed,
                observed,
                outages,
                ..
            } => {
                if deviation.num < 0 || *heartbeat <= 0 {
                    return fail("a deviation that is not negative and a positive heartbeat");
                }
                if let Err((name, expected)) = latency.check("latency") {
                    return Err(Error::Config(format!("{field}.{name}: {expected}")));
                }
                let outages = self.outages(outages, field)?;
                Rule::Push(push::Rules {
                    deviation: *deviation,
                    heartbeat: *heartbeat,
                    latency: latency.clone(),
                    seed: *seed,
                    observed: *observed,
                    outages,
                })
            }
            FeedConfig::Paused { outages, catch_up, .. } => Rule::Paused(paused::Rules {
                outages: self.outages(outages, field)?,
                catch_up: *catch_up,
            }),
            FeedConfig::Periodic { every, offset, .. } => Rule::Periodic(cadence(*every, *offset, field)?),
            FeedConfig::Ema {
                time_constant,
                every,
                offset,
                ..
            }
            | FeedConfig::Basis {
                time_constant,
                every,
                offset,
                ..
            } => {
                if *time_constant <= 0 {
                    return fail("a positive time constant");
                }
                let (time_constant, cadence) = (*time_constant, cadence(*every, *offset, field)?);
                match config {
                    FeedConfig::Basis { .. } => Rule::Basis { time_constant, cadence },
                    _ => Rule::Ema { time_constant, cadence },
                }
            }
            FeedConfig::Twap {
                window, every, offset, ..
            } => {
                if *window <= 0 {
                    return fail("a positive window");
                }
                Rule::Twap {
                    window: *window,
                    cadence: cadence(*every, *offset, field)?,
                }
            }
            FeedConfig::Median { sources } | FeedConfig::WorstOf { sources } if sources.is_empty() => {
                return fail("at least one source");
            }
            FeedConfig::Median { .. } => Rule::Median,
            FeedConfig::WorstOf { .. } => Rule::WorstOf,
            FeedConfig::Lagged { .. } => Rule::Lagged,
            FeedConfig::Spread { limit, .. } => {
                if limit.num < 0 {
                    return fail("a limit that is not negative");
                }
                Rule::Spread(*limit)
            }
        };
        let sources = config
            .sources()
            .into_iter()
            .map(|name| self.one_sided(name, &format!("{field}.source")).map(|used| used.node))
            .collect::<Result<_>>()?;
        Ok(Use {
            node: add(&mut self.nodes, Node { rule, sources }),
            prints: match config {
                FeedConfig::Last { prints, .. } => *prints,
                _ => Prints::LastOfInstant,
            },
        })
    }

    /// Outages on the tape: first moment, and first moment after it.
    fn outages(&self, outages: &[Outage], field: &str) -> Result<Vec<(i64, i64)>> {
        if outages.iter().any(|o| o.start < 0 || o.end <= o.start) {
            return Err(Error::Config(format!(
                "{field}: expected outages that end after they start, both counted from the first tick"
            )));
        }
        let at = |o: &Outage| (self.opening.saturating_add(o.start), self.opening.saturating_add(o.end));
        Ok(outages.iter().map(at).collect())
    }

    /// The feed that is one state behind.
    pub fn lagged(&mut self, used: Use) -> Use {
        let node = Node {
            rule: Rule::Lagged,
            sources: vec![used.node],
        };
        Use {
            node: add(&mut self.nodes, node),
            prints: Prints::LastOfInstant,
        }
    }

    /// A named feed that must have one price for everyone.
    pub fn one_sided(&mut self, name: &str, field: &str) -> Result<Use> {
        let used = self.named(name, field)?;
        self.check_one_sided(used, field)
    }

    /// The use, if its feed has one price for everyone.
    pub fn check_one_sided(&self, used: Use, field: &str) -> Result<Use> {
        if self.nodes[used.node].rule.two_sided() {
            return Err(Error::Config(format!(
                "{field}: expected a feed with one price, not one for longs and one for shorts"
            )));
        }
        Ok(used)
    }
}

fn cadence(every: i64, offset: i64, field: &str) -> Result<Cadence> {
    if every <= 0 || offset < 0 {
        return Err(Error::Config(format!(
            "{field}: expected a positive cadence and an offset that is not negative"
        )));
    }
    Ok(Cadence { every, offset })
}
