//! Which key somebody may have meant.

/// More of a mistaken key is not looked at.
const LONGEST: usize = 64;

/// The one of `known` to which `text` is nearest, case aside; of equally near ones the first.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text: Vec<char> = text.chars().take(LONGEST).flat_map(char::to_lowercase).collect();
    known.into_iter().min_by_key(|known| distance(&text, &known.to_lowercase().chars().collect::<Vec<_>>()))
}

/// How many letters have to be inserted, left out, exchanged or swapped with their neighbour: optimal string
/// alignment, the restricted form of Damerau's distance.
fn distance(from: &[char], to: &[char]) -> usize {
    let first: Vec<usize> = (0..=to.len()).collect();
    let (mut two_back, mut back) = (first.clone(), first);
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let exchanged = back[j] + usize::from(a != b);
            let mut best = exchanged.min(back[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(two_back[j - 1] + 1);
            }
            row.push(best);
        }
        two_back = std::mem::replace(&mut back, row);
    }
    back[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_any_kind_counts_one() {
        let letters = |text: &str| text.chars().collect::<Vec<_>>();
        for slip in ["timeot", "timeoutt", "timeour", "tiemout"] {
            assert_eq!(distance(&letters(slip), &letters("timeout")), 1, "{slip}");
        }
        for (from, to, far) in [("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)] {
            assert_eq!(distance(&letters(from), &letters(to)), far);
        }
        assert_eq!(nearest("TIMEOT", ["endpoint", "timeout"]), Some("timeout"));
        assert_eq!(nearest(&"timeout".repeat(1 << 20), ["endpoint", "timeout"]), Some("timeout"));
    }
}
