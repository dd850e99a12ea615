//! What one source of a plan has given so far.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use graft_core::LedgerKey;
use graft_core::ledger::Words;

use super::kinds::{Kind, moment, number, url};
use super::source::{Pick, Returned};
use super::tree::Tree;

/// What a run keeps of candidates at most: digests, and bytes of text whose words are looked up.
const MAX_DIGESTS: usize = 1 << 16;
const MAX_TEXT: usize = 1 << 18;

/// What is left of these, for all sources of a run together.
pub(super) struct Budget {
    digests: usize,
    text: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { digests: MAX_DIGESTS, text: MAX_TEXT }
    }
}

impl Budget {
    fn take(left: &mut usize, much: usize) -> bool {
        let fits = *left >= much;
        *left = left.saturating_sub(much);
        fits
    }
}

/// Whether a source gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gives {
    /// It is what the pick comes to.
    Yes,
    /// It is one of the values in a text, each of which counts.
    InText,
    /// It is one of several, and the pick does not decide.
    Among,
    /// It may be one that was not kept, or a part of one.
    Perhaps,
    /// It is not.
    No,
}

/// The candidates of a source, as digests.
#[derive(Default)]
pub(super) struct Found {
    /// Different candidates, in the order in which they came.
    candidates: Vec<Candidate>,
    known: HashSet<u64>,
    /// For text of which any value counts.
    words: Option<Words>,
    /// Whether not all candidates were kept.
    is_full: bool,
    /// The call that returned last.
    pub(super) source: Option<graft_core::Source>,
}

/// One value, or a list of them, and what else they go by.
struct Candidate {
    members: Vec<u64>,
    /// What `max` and `min` compare; nothing where the field holds neither number nor date.
    rank: Option<Rank>,
}

/// A number or a date; one is not compared with the other.
#[derive(Clone, Copy, PartialEq)]
struct Rank {
    is_date: bool,
    at: f64,
}

/// The spelling in which a value is compared with those of `source`.
fn digest(source: &Returned, key: &LedgerKey, value: &str) -> Option<u64> {
    match source.kind {
        Some(kind) => key.value(&kind.canonical(value)),
        None => plain(key, value),
    }
}

/// The digest of a value of no particular kind.
pub(super) fn plain(key: &LedgerKey, value: &str) -> Option<u64> {
    key.value(url(value))
}

impl Found {
    /// Takes the candidates out of a result.
    pub(super) fn take(&mut self, source: &Returned, key: &LedgerKey, tree: &Tree, budget: &mut Budget) {
        self.is_full |= tree.is_cut;
        let mut records = Records { key, tree, source, known: HashMap::new(), admitted: HashMap::new() };
        let nodes = source.path.as_ref().map_or_else(|| vec![0], |path| path.nodes(tree));
        let Some(kind) = source.kind else {
            for node in nodes {
                let values = match tree.is_list(node) {
                    true => tree
                        .node(node)
                        .children
                        .iter()
                        .filter_map(|&child| tree.node(child).text.as_deref())
                        .collect(),
                    false => tree.node(node).text.as_deref().into_iter().collect::<Vec<_>>(),
                };
                self.add(&mut records, node, &values, budget);
            }
            return;
        };
        let roots = nodes.clone();
        for node in tree.under(&nodes) {
            // The key under which a value stands is text there too, unless the path named it.
            let is_inside = roots.binary_search(&node).is_err();
            let key_text = match &tree.node(node).step {
                super::tree::Step::Key(name) if is_inside => Some(name.as_str()),
                _ => None,
            };
            for text in key_text.into_iter().chain(tree.node(node).text.as_deref()) {
                kind.each(text, &mut |values| self.add(&mut records, node, values, budget));
                if kind == Kind::Text && records.admit(node).is_some() {
                    self.is_full |= !Budget::take(&mut budget.text, text.len());
                    if !self.is_full {
                        self.words.get_or_insert_with(|| Words::new(key.clone())).record(text);
                    }
                }
            }
        }
    }

    fn add(&mut self, records: &mut Records<'_>, node: usize, values: &[&str], budget: &mut Budget) {
        let (source, key) = (records.source, records.key);
        let Some(rank) = records.admit(node) else { return };
        let members: Vec<u64> = values.iter().filter_map(|value| digest(source, key, value)).collect();
        if members.is_empty() {
            return;
        }
        match source.pick {
            Pick::First if !self.candidates.is_empty() => return,
            Pick::Last => {
                self.candidates.clear();
                self.known.clear();
            }
            _ => {}
        }
        let mut hasher = DefaultHasher::new(); // of digests that are keyed already
        (&members, rank.map(|rank| (rank.is_date, rank.at.to_bits()))).hash(&mut hasher);
        if !self.known.insert(hasher.finish()) {
            return;
        }
        let keeps_one = matches!(source.pick, Pick::First | Pick::Last);
        if keeps_one && members.len() <= MAX_DIGESTS || Budget::take(&mut budget.digests, members.len()) {
            self.candidates.push(Candidate { members, rank });
        } else {
            self.is_full = true;
        }
    }

    /// What the pick comes to now.
    pub(super) fn picked<'a>(&'a self, source: &'a Returned, key: &'a LedgerKey) -> Picked<'a> {
        let best = self.best(&source.pick);
        let is_picked = |candidate: &&Candidate| best.is_none() || candidate.rank == best;
        let mut members = HashSet::new();
        let mut count = 0;
        for candidate in self.candidates.iter().filter(is_picked) {
            members.extend(candidate.members.iter().copied());
            count += 1;
        }
        let decides = match &source.pick {
            Pick::Any => true,
            Pick::First | Pick::Last => !self.is_full,
            Pick::Only | Pick::Where(..) => count == 1 && !self.is_full,
            Pick::Max(_) | Pick::Min(_) => best.is_some() && count == 1 && !self.is_full,
        };
        Picked { found: self, source, key, members, decides }
    }

    /// The best rank, if the pick asks for one and all ranks can be compared.
    fn best(&self, pick: &Pick) -> Option<Rank> {
        let is_max = match pick {
            Pick::Max(_) => true,
            Pick::Min(_) => false,
            _ => return None,
        };
        let mut ranks = self.candidates.iter().map(|candidate| candidate.rank);
        let first = ranks.next()??;
        ranks.try_fold(first, |best, rank| {
            let rank = rank.filter(|rank| rank.is_date == best.is_date)?;
            Some(if rank.at.total_cmp(&best.at).is_gt() == is_max { rank } else { best })
        })
    }
}

/// What a source comes to by its pick.
pub(super) struct Picked<'a> {
    found: &'a Found,
    source: &'a Returned,
    key: &'a LedgerKey,
    members: HashSet<u64>,
    decides: bool,
}

impl Picked<'_> {
    /// Whether it gives `value`.
    pub(super) fn gives(&self, value: &str) -> Gives {
        let is_among =
            digest(self.source, self.key, value).is_some_and(|digest| self.members.contains(&digest));
        if is_among && self.decides {
            return Gives::Yes;
        }
        let in_text = self.found.words.as_ref().map_or(Some(false), |words| words.hold(value));
        match in_text {
            Some(true) if self.source.pick == Pick::Any => Gives::InText,
            _ if is_among => Gives::Among,
            // One value of several in a text is never the only one.
            Some(true) | None => Gives::Perhaps,
            Some(false) if self.found.is_full => Gives::Perhaps,
            Some(false) => Gives::No,
        }
    }
}

/// What stands around the nodes of a result.
struct Records<'a> {
    key: &'a LedgerKey,
    tree: &'a Tree,
    source: &'a Returned,
    /// For each object that was looked at, where the pick's field stands in it or around it.
    known: HashMap<usize, Option<usize>>,
    /// For each such field, what the pick makes of it: it may be long, and shared by many candidates.
    admitted: HashMap<usize, Option<Option<Rank>>>,
}

impl Records<'_> {
    /// Whether the pick counts the candidate at `node`, and its rank.
    fn admit(&mut self, node: usize) -> Option<Option<Rank>> {
        let field = match &self.source.pick {
            Pick::Only | Pick::Any | Pick::First | Pick::Last => return Some(None),
            Pick::Max(field) | Pick::Min(field) | Pick::Where(field, _) => self.field(node, field)?,
        };
        if let Some(admitted) = self.admitted.get(&field) {
            return *admitted;
        }
        let admitted = self.admit_field(field);
        self.admitted.insert(field, admitted);
        admitted
    }

    /// What the pick makes of a record by what stands in its field.
    fn admit_field(&self, field: usize) -> Option<Option<Rank>> {
        let text = self.tree.node(field).text.as_deref();
        let Pick::Where(_, value) = &self.source.pick else {
            let date = || moment(text?).map(|at| Rank { is_date: true, at });
            return Some(number(text?).map(|at| Rank { is_date: false, at }).or_else(date));
        };
        let expected = plain(self.key, value);
        let says = |text: Option<&str>| text.is_some_and(|text| plain(self.key, text) == expected);
        let members =
            || self.tree.node(field).children.iter().map(|&child| self.tree.node(child).text.as_deref());
        (says(text) || self.tree.is_list(field) && members().any(says)).then_some(None)
    }

    /// The member `field` of the innermost object around `node` that has it.
    fn field(&mut self, node: usize, field: &str) -> Option<usize> {
        let mut passed = Vec::new();
        let mut at = node;
        let found = loop {
            if at == 0 {
                break None;
            }
            at = self.tree.node(at).parent;
            if let Some(found) = self.known.get(&at) {
                break *found;
            }
            passed.push(at);
            let is_it = |&&child: &&usize| self.tree.node(child).step.name() == Some(field);
            if let Some(found) = self.tree.node(at).children.iter().find(is_it) {
                break Some(*found);
            }
        };
        self.known.extend(passed.into_iter().map(|at| (at, found)));
        found
    }
}
