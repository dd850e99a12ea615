//! What folds to what: NFKD, what is dropped, and the closure of case pairs and look-alikes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::skeleton;

/// Arabic tatweel and N'Ko lajanyalan stretch the letter before them and are none of their own.
const STRETCHERS: [char; 2] = ['\u{640}', '\u{7fa}'];

/// Letters and numbers in a frame that Unicode gives no decomposition: the first code point, what it spells,
/// and how many in a row.
const FRAMED: [(u32, Framed, u32); 8] = [
    (0x1f150, Framed::Letter, 26),
    (0x1f170, Framed::Letter, 26),
    (0x1f1e6, Framed::Letter, 26),
    (0x2776, Framed::Number(1), 10),
    (0x278a, Framed::Number(1), 10),
    (0x24f5, Framed::Number(1), 10),
    (0x24eb, Framed::Number(11), 10),
    (0x24ff, Framed::Number(0), 1),
];

#[derive(Clone, Copy)]
enum Framed {
    Letter,
    Number(u32),
}

/// Both folds of every code point that is not dropped by both.
pub struct Folds {
    pub folds: BTreeMap<char, Fold>,
    exact: Classes,
    span: Classes,
}

/// What one code point folds to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fold {
    /// Compatibility forms and case as one.
    pub exact: String,
    /// Look-alikes too.
    pub span: String,
}

impl Folds {
    pub fn new() -> Self {
        let mut exact = Classes::default();
        let mut alike: BTreeMap<String, Vec<char>> = BTreeMap::new();
        for c in every() {
            let Some(atom) = one(&decompose(c)) else { continue };
            for cased in [c.to_lowercase().to_string(), c.to_uppercase().to_string()] {
                if let Some(other) = one(&decompose_all(&cased)) {
                    exact.join(atom, other);
                }
            }
            alike.entry(skeleton(&c.to_string()).collect()).or_default().push(atom);
        }
        let mut span = exact.clone();
        for group in alike.values() {
            group.windows(2).for_each(|pair| span.join(pair[0], pair[1]));
        }
        let (exact, span) = (exact.named(), span.named());
        let fold = |c| {
            let atoms = decompose(c);
            let exact = atoms.iter().filter(|&&a| is_letter(a)).map(|&a| exact.name(a)).collect();
            Fold { exact, span: atoms.iter().map(|&a| span.name(a)).collect() }
        };
        let folds = every().map(|c| (c, fold(c))).filter(|(_, fold)| !fold.span.is_empty()).collect();
        Self { folds, exact, span }
    }

    /// The classes, the largest first.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for (name, classes) in [("exact", &self.exact), ("span", &self.span)] {
            let mut all: BTreeMap<char, Vec<char>> = BTreeMap::new();
            classes.0.keys().for_each(|&c| all.entry(classes.name(c)).or_default().push(c));
            let mut all: Vec<_> = all.into_iter().collect();
            all.sort_by_key(|(name, class)| (std::cmp::Reverse(class.len()), *name));
            let _ = writeln!(text, "{name}: {} classes", all.len());
            for (name, mut class) in all {
                class.sort_unstable();
                let _ = writeln!(text, "{:4} {name} {}", class.len(), class.iter().collect::<String>());
            }
        }
        text
    }
}

pub fn every() -> impl Iterator<Item = char> {
    (0..=u32::from(char::MAX)).filter_map(char::from_u32)
}

/// A letter or a number that is kept. Letters that only modify, and look like a mark of ASCII, are dropped
/// with it: an apostrophe is written with any of them.
fn is_letter(c: char) -> bool {
    let is_kept =
        matches!(c.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number);
    let looks: Vec<char> = skeleton(&c.to_string()).collect();
    let is_ignorable = looks.is_empty();
    let is_apostrophe = c.general_category() == GeneralCategory::ModifierLetter
        && looks.iter().all(char::is_ascii_punctuation);
    is_kept && !is_ignorable && !is_apostrophe && !STRETCHERS.contains(&c)
}

/// A symbol that looks like a letter or digit of ASCII, as `|` does. Other symbols, all punctuation and all
/// marks are dropped, whatever they look like.
fn is_letter_like(c: char) -> bool {
    let looks: Vec<char> = skeleton(&c.to_string()).collect();
    c.general_category_group() == GeneralCategoryGroup::Symbol
        && matches!(looks[..], [look] if look.is_ascii_alphanumeric())
}

/// The letters, numbers and letter-like symbols that `c` is made of.
fn decompose(c: char) -> Vec<char> {
    let framed = FRAMED.iter().find_map(|&(first, framed, count)| {
        let at = u32::from(c).checked_sub(first).filter(|&at| at < count)?;
        Some(match framed {
            Framed::Letter => char::from_u32(u32::from('a') + at)?.to_string(),
            Framed::Number(first) => (first + at).to_string(),
        })
    });
    let spelled = framed.unwrap_or_else(|| c.to_string());
    spelled.nfkd().filter(|&c| is_letter(c) || is_letter_like(c)).collect()
}

fn decompose_all(text: &str) -> Vec<char> {
    text.chars().flat_map(decompose).collect()
}

fn one(atoms: &[char]) -> Option<char> {
    match atoms {
        [atom] => Some(*atom),
        _ => None,
    }
}

/// Classes of characters, as a forest: each character points at another of its class or at itself.
#[derive(Clone, Default)]
struct Classes(HashMap<char, char>);

impl Classes {
    fn name(&self, c: char) -> char {
        match self.0.get(&c) {
            Some(&next) if next != c => self.name(next),
            _ => c,
        }
    }

    fn join(&mut self, a: char, b: char) {
        let (a, b) = (self.name(a), self.name(b));
        // The better name is the root, so that no second pass is needed.
        let (root, leaf) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
        self.0.insert(root, root);
        self.0.insert(leaf, root);
    }

    /// The same, with each character pointing at its class's name.
    fn named(&self) -> Self {
        Self(self.0.keys().map(|&c| (c, self.name(c))).collect())
    }
}

/// What a class is called by: its first digit, else its first small letter of ASCII, else a small letter of
/// the fewest bytes.
fn rank(c: char) -> (bool, usize, bool, char) {
    let is_plain = c.is_ascii_digit() || c.is_ascii_lowercase();
    (!is_plain, c.len_utf8(), !is_plain && !c.is_lowercase(), c)
}
