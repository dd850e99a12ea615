//! Text that looks like text: words of a vocabulary, the frequent ones far more often than the others.

/// A word's syllables: one script each.
#[derive(Clone, Copy)]
pub(crate) enum Script {
    /// ASCII.
    Latin,
    /// Two bytes a letter.
    Cyrillic,
    /// Three bytes a letter, without blanks between words.
    Han,
}

/// `bytes` of text, or a few less where a letter does not fit. The same seed gives the same text, another
/// seed a text of other words.
pub(crate) fn text(script: Script, seed: u64, bytes: usize) -> String {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let words: Vec<String> = (0..4096).map(|_| word(script, &mut random)).collect();
    let mut text = String::with_capacity(bytes + 32);
    while text.len() < bytes {
        // A square puts half of the draws into a fourth of the vocabulary.
        let draw = random.below(64) * random.below(64);
        text.push_str(&words[draw as usize]);
        text.push_str(match (random.below(12), script) {
            (0, Script::Han) => "。",
            (_, Script::Han) => "",
            (0, _) => ". ",
            _ => " ",
        });
    }
    while text.len() > bytes {
        text.pop();
    }
    text
}

fn word(script: Script, random: &mut Random) -> String {
    let (first, letters, longest) = match script {
        Script::Latin => ('a', 26, 8),
        Script::Cyrillic => ('а', 32, 8),
        Script::Han => ('一', 4096, 3),
    };
    let letter = |random: &mut Random| char::from_u32(first as u32 + random.below(letters) as u32);
    (0..=random.below(longest)).filter_map(|_| letter(random)).collect()
}

/// Xorshift, which is random enough for words.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}
