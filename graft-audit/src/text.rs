//! Text that is put where it is read by people or programs, and could steer what shows it.

/// Whether `c` is invisible, breaks a line, reorders what stands around it or begins a command to a terminal:
/// the controls of C0 and C1, and the characters that Unicode formats text with.
pub(crate) fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_is_told_from_what_is_only_foreign() {
        for c in [
            '\0',
            '\n',
            '\x1b',
            '\x7f',
            '\u{9b}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{2028}',
            '\u{e0041}',
        ] {
            assert!(is_steering(c), "{c:?}");
        }
        for c in [' ', '~', 'ü', '中', '\u{2010}', '\u{1f600}'] {
            assert!(!is_steering(c), "{c:?}");
        }
    }
}
