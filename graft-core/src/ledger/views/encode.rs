//! Encoders of every view, and random texts to encode: what the guarantee of the views is checked with.

use super::View;

/// Random numbers that a seed decides (SplitMix64, Steele et al., 2014).
#[derive(Debug)]
pub struct Draw(u64);

impl Draw {
    /// The numbers of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, or zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % bound.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// If there is none.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What encoders take and give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Text.
    Text(String),
    /// Bytes that need not be UTF-8.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The scripts of [`text`]: first and last letter.
const SCRIPTS: [(u32, u32); 12] = [
    (0x61, 0x7a),
    (0x41, 0x7a),
    (0x30, 0x39),
    (0xe0, 0x17f),
    (0x391, 0x3c9),
    (0x410, 0x44f),
    (0x5d0, 0x5ea),
    (0x627, 0x64a),
    (0x905, 0x939),
    (0x4e00, 0x9fa0),
    (0xac00, 0xd7a0),
    (0x2_0000, 0x2_a6d0),
];

/// A random text of at least `letters` letters: words of one or two scripts, with punctuation, controls and the signs
/// of the views.
pub fn text(draw: &mut Draw, letters: usize) -> String {
    let main = draw.of(&SCRIPTS);
    let other = draw.of(&SCRIPTS[..6]);
    let mut text = String::new();
    for n in 0..letters {
        let (low, high) = if draw.one_in(6) { other } else { main };
        text.extend(char::from_u32(low + draw.below((high - low) as usize + 1) as u32));
        if draw.one_in(6) && n > 0 {
            text.push_str(draw.of(&[" ", ", ", "\n", ". ", "-", "\t", "\r\n", "\u{200b}", "'"]));
        }
        if draw.one_in(60) {
            text.push_str(
                draw.of(&["&", "<", ">", "\\", "\\u", "=", "%", "%4", "&amp;", "=3D", "<b>", "\u{1}", "+"]),
            );
        }
    }
    text
}

/// What of a text is compared with what was recorded.
pub fn folded(text: &str) -> Vec<u8> {
    crate::ledger::fold::span_fold(text)
}

/// A random chain of up to `depth` views, innermost first, for [`compose`].
pub fn chain(draw: &mut Draw, depth: usize) -> Vec<View> {
    let views = &View::ALL[..8];
    (0..=draw.below(depth)).map(|_| draw.of(views)).collect()
}

/// Encodes `text` under `views`, innermost first, each time in surroundings of its own. `None` if one of them
/// does not take what the one before gives.
pub fn compose(text: &str, views: &[View], draw: &mut Draw) -> Option<Payload> {
    views.iter().try_fold(Payload::Text(text.to_owned()), |payload, view| {
        let encoded = encode(*view, &payload, draw)?;
        Some(if draw.one_in(3) { embed(*view, encoded, draw) } else { encoded })
    })
}

/// Encodes `plain` under `view`, in one of the ways that its grammar has. `None` if it takes text and these are
/// bytes.
pub fn encode(view: View, plain: &Payload, draw: &mut Draw) -> Option<Payload> {
    let bytes = plain.as_bytes();
    let text = match plain {
        Payload::Text(text) => Some(text),
        Payload::Bytes(_) => None,
    };
    Some(Payload::Text(match view {
        View::Base64 => base64(bytes, draw),
        View::Base32 => base32(bytes, draw),
        View::Hex => hex(bytes, draw),
        View::Percent => percent(bytes, draw),
        View::Escape => match text {
            Some(text) if !draw.one_in(4) => escape(text, draw),
            _ => bytes.iter().map(|b| format!("\\x{b:02x}")).collect(),
        },
        View::Html => html(text?, draw),
        View::QuotedPrintable => quoted_printable(bytes, draw),
        View::Utf16 => return utf16(text?, draw).map(Payload::Bytes),
        View::Rot13 => text?.chars().map(super::text::rot13).collect(),
        View::Reversed => text?.chars().rev().collect(),
    }))
}

/// Puts `encoded` between other text; digits of the same base may stand right beside it.
pub fn embed(view: View, encoded: Payload, draw: &mut Draw) -> Payload {
    let Payload::Text(encoded) = encoded else { return encoded };
    let digits = match view {
        View::Base64 => "QUJDabcz0189+/",
        View::Base32 if encoded.contains(|c: char| c.is_ascii_lowercase()) => "abcxyz237",
        View::Base32 => "ABCXYZ237",
        View::Hex => "0123456789abcdef",
        _ => "",
    };
    let beside = |draw: &mut Draw| -> String {
        let digits: Vec<char> = digits.chars().collect();
        if digits.is_empty() {
            String::new()
        } else {
            (0..draw.below(12)).map(|_| draw.of(&digits)).collect()
        }
    };
    let before = prose(draw) + " " + &beside(draw);
    let after = beside(draw) + draw.of(&[" ", "\n", ". ", "\"", "~"]) + &prose(draw);
    Payload::Text(before + &encoded + &after)
}

/// Ordinary words.
pub fn prose(draw: &mut Draw) -> String {
    const WORDS: [&str; 16] = [
        "the", "ledger", "of", "a", "summer", "house", "was", "kept", "by", "two", "sisters", "who", "never",
        "agreed", "on", "numbers",
    ];
    (0..draw.below(40)).map(|_| draw.of(&WORDS)).collect::<Vec<_>>().join(" ")
}

fn digits(bytes: &[u8], bits: usize, alphabet: &[u8]) -> String {
    let (mut word, mut held) = (0_u64, 0);
    let mut out = String::new();
    for byte in bytes {
        word = word << 8 | u64::from(*byte);
        held += 8;
        while held >= bits {
            held -= bits;
            out.push(char::from(alphabet[(word >> held) as usize & ((1 << bits) - 1)]));
        }
        word &= 0xff;
    }
    if held > 0 {
        out.push(char::from(alphabet[(word << (bits - held)) as usize & ((1 << bits) - 1)]));
    }
    out
}

/// Breaks a text into lines, or not.
fn wrap(text: String, draw: &mut Draw) -> String {
    if draw.one_in(2) {
        return text;
    }
    let width = if draw.one_in(3) { 1 + draw.below(20) } else { draw.of(&[76, 64, 60, 72]) };
    let eol = draw.of(&["\n", "\r\n", "\n  ", "\r\n\t", "\n        "]);
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(width).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join(eol)
}

fn base64(bytes: &[u8], draw: &mut Draw) -> String {
    let standard = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut alphabet = standard;
    if draw.one_in(3) {
        alphabet[62..].copy_from_slice(b"-_");
    }
    let mut out = digits(bytes, 6, &alphabet);
    while !out.len().is_multiple_of(4) && alphabet == standard {
        out.push('=');
    }
    wrap(out, draw)
}

fn base32(bytes: &[u8], draw: &mut Draw) -> String {
    let mut out = digits(bytes, 5, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");
    if draw.one_in(3) {
        out.make_ascii_lowercase();
    }
    while !out.len().is_multiple_of(8) {
        out.push('=');
    }
    wrap(out, draw)
}

fn hex(bytes: &[u8], draw: &mut Draw) -> String {
    let upper = draw.one_in(3);
    let before = draw.of(&["", "", "0x", ""]);
    let between = if before.is_empty() { draw.of(&["", "", " ", ":", "-", "\n", ", "]) } else { ", " };
    let pair = |byte: &u8| if upper { format!("{before}{byte:02X}") } else { format!("{before}{byte:02x}") };
    let out = bytes.iter().map(pair).collect::<Vec<_>>().join(between);
    if between.is_empty() { wrap(out, draw) } else { out }
}

/// What share of the characters that need not be encoded are: all, some or none.
fn eager(draw: &mut Draw) -> impl FnMut(&mut Draw) -> bool + use<> {
    let one_in = draw.of(&[1, 1, 2, 5, 100, usize::MAX]);
    move |draw| draw.one_in(one_in)
}

fn percent(bytes: &[u8], draw: &mut Draw) -> String {
    let mut eager = eager(draw);
    let upper = draw.one_in(2);
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' && !eager(draw) {
            out.push(char::from(*byte));
        } else {
            out += &if upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
        }
    }
    out
}

fn escape(text: &str, draw: &mut Draw) -> String {
    let mut eager = eager(draw);
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' if draw.one_in(2) => out += "\\n",
            '\\' if draw.one_in(2) => out += "\\\\",
            '"' if draw.one_in(2) => out += "\\\"",
            ' '..='~' if c != '\\' && !eager(draw) => out.push(c),
            c => match draw.below(4) {
                0 => out += &format!("\\u{{{:x}}}", c as u32),
                1 => out += &format!("\\U{:08x}", c as u32),
                _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
            },
        }
    }
    out
}

fn html(text: &str, draw: &mut Draw) -> String {
    let mut eager = eager(draw);
    let tags = draw.one_in(2);
    let mut out = String::new();
    for c in text.chars() {
        let must = matches!(c, '&' | '<' | '>' | '"');
        if !must && !eager(draw) {
            out.push(c);
        } else {
            let name = match c {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                'é' => "&eacute;",
                'α' => "&alpha;",
                _ => "",
            };
            out += &match draw.below(3) {
                0 if !name.is_empty() => name.to_owned(),
                1 => format!("&#x{:X};", c as u32),
                _ => format!("&#{};", c as u32),
            };
        }
        if tags && draw.one_in(12) {
            out += draw.of(&["<b>", "</b>", "<i class=\"a>b\">", "<!-- > note -->", "<br/>", "<a href='x'>"]);
        }
    }
    out
}

fn quoted_printable(bytes: &[u8], draw: &mut Draw) -> String {
    let mut eager = eager(draw);
    let eol = draw.of(&["\r\n", "\n"]);
    let (mut out, mut line) = (String::new(), 0);
    for byte in bytes {
        if line > 72 {
            out += "=";
            out += eol;
            line = 0;
        }
        if (b' '..=b'~').contains(byte) && *byte != b'=' && !eager(draw) {
            out.push(char::from(*byte));
            line += 1;
        } else {
            out += &format!("={byte:02X}");
            line += 3;
        }
    }
    out
}

/// UTF-16 with or without a byte before it that moves it to odd places. Text of several families is not taken.
fn utf16(text: &str, draw: &mut Draw) -> Option<Vec<u8>> {
    if text.chars().fold(!0, |all, c| all & super::bytes::families(c)) == 0 {
        return None;
    }
    let big = draw.one_in(2);
    let units = text.encode_utf16();
    let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
    let odd = draw.one_in(2).then_some(0x81);
    Some(odd.into_iter().chain(units.flat_map(bytes)).collect())
}
