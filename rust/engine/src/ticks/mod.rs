//! Ticks from Parquet files or Arrow batches to a [`Tape`].
//!
//! Order: schemas are checked when a [`Source`] is made; [`Source::load`] counts the rows of each market, if there is a column
//! `market`; then it decodes chunks (row groups, stretches of a frame) in parallel, each checked and brought to integers while it
//! is in the cache and written to where it will stay; then chunks are brought to one number of decimals a market, and the seams
//! between them are checked.
//!
//! Guarantees: nothing is dropped or repaired; what cannot be used is an error that names file, column and row; the result, and
//! the error, depend neither on the number of threads nor on the size of row groups. A panic of the Parquet library on damaged
//! bytes is an error of the file.
//!
//! [`Source::stream`] gives the same in the order of time, chunk by chunk; [`Source::select`] reads less.
//!
//! Cost: one pass over the bytes, and a second one over the column `market` of row groups that do not announce to hold one market; the memory of the tape and of a batch a thread. Files
//! of a market whose paths are not in the order of time cost a copy.

mod assemble;
mod columns;
mod decode;
mod export;
mod group;
mod input;
mod lane;
mod merge;
mod part;
mod place;
mod resolve;
mod scaled;
mod schema;
mod selection;
mod stream;
mod survey;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Result};
use crate::market::Definitions;
use crate::progress::Progress;
use crate::tape::Tape;
use decode::{Meter, each};
use input::Input;
use survey::Plan;

pub use export::{quality, table};
pub use schema::{DECIMALS_KEY, DEFINITIONS_KEY, UNIT_KEY};
pub use selection::{Columns, Selection};
pub use stream::Stream;

/// Where ticks come from: their columns are checked, their values are not yet read.
#[derive(Debug)]
pub struct Source {
    inputs: Arc<Vec<Input>>,
    definitions: Definitions,
    selection: Selection,
}

impl Source {
    /// Parquet files in canonical columns; reads their footers. `definitions` is JSON and overrides what the files say.
    ///
    /// Files of one market are put in the order of (first time, path); a file that lacks the column `market` holds the market that
    /// its metadata names, else the one named like the file, else the only one that the definitions add.
    pub fn from_files(paths: &[PathBuf], definitions: Option<&str>) -> Result<Self> {
        if paths.is_empty() {
            return Err(Error::Data(
                "files: expected at least one Parquet file, got none".to_owned(),
            ));
        }
        let mut seen = BTreeSet::new();
        if let Some(path) = paths.iter().find(|&path| !seen.insert(path)) {
            return Err(Error::Data(format!(
                "files: expected each file once, got {} twice",
                path.display()
            )));
        }
        Self::new(each(paths.iter().collect(), |path| Input::file(path))?, definitions)
    }

    /// Batches of one schema in canonical columns. `definitions` is JSON and overrides what the schema's metadata says.
    pub fn from_batches(schema: SchemaRef, batches: Vec<RecordBatch>, definitions: Option<&str>) -> Result<Self> {
        Self::new(vec![Input::frame(&schema, batches)?], definitions)
    }

    fn new(inputs: Vec<Input>, definitions: Option<&str>) -> Result<Self> {
        let definitions = match definitions {
            None => Definitions::default(),
            Some(json) => Definitions::from_json(resolve::CALLER, json)?,
        };
        definitions.check(resolve::CALLER)?;
        if inputs.iter().all(|input| input.layout.market.is_none()) {
            // Said now, because it can be.
            resolve::names(&inputs, &definitions, &BTreeSet::new())?;
        }
        Ok(Self {
            inputs: Arc::new(inputs),
            definitions,
            selection: Selection::default(),
        })
    }

    /// The same source, of which only a part is read. What [`Selection`] leaves out is not checked.
    pub fn select(&self, selection: Selection) -> Self {
        Self {
            inputs: Arc::clone(&self.inputs),
            definitions: self.definitions.clone(),
            selection,
        }
    }

    /// Number of rows, as the files announce it, whatever is selected.
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(Input::rows).fold(0, u64::saturating_add)
    }

    /// Opens the ticks for reading in the order of time, in chunks of whole instants of `chunk` ticks or somewhat more.
    ///
    /// Reads at once what must be known beforehand: the column `market`, if there is one, and the columns of numbers whose
    /// decimals are neither declared nor in the schema. Errors of that pass are those of [`Source::load`].
    pub fn stream(&self, chunk: usize, progress: &dyn Progress) -> Result<Stream> {
        let plan = Plan::of(&self.inputs, &self.definitions, &self.selection, progress)?;
        Ok(Stream::new(plan, chunk))
    }

    /// Decodes everything that is selected.
    pub fn load(&self, progress: &dyn Progress) -> Result<Tape> {
        if !self.selection.is_all() {
            let plan = Plan::of(&self.inputs, &self.definitions, &self.selection, progress)?;
            return selection::load(&plan, progress);
        }
        let meter = Meter::new(progress, "decode", self.rows());
        let drafts = assemble::drafts(&self.inputs, &meter, |columns| {
            resolve::names(&self.inputs, &self.definitions, columns)
        })?;
        let names: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
        let specs = resolve::markets(&self.inputs, &self.definitions, &names)?;
        let assets = resolve::assets(&self.inputs, &self.definitions, &specs)?;
        let finished = each(drafts.into_iter().zip(specs).collect(), |(draft, spec)| {
            meter.poll()?;
            draft.finish(&self.inputs, spec, &meter)
        })?;
        let (markets, quality) = finished.into_iter().unzip();
        Ok(Tape {
            markets,
            assets,
            quality,
        })
    }
}
