//! What witnesses sign: that they saw a log's checkpoint at a time, and that it contains all that they saw of
//! the log before ([C2SP tlog-cosignature](https://c2sp.org/tlog-cosignature), Ed25519).

use std::fmt;
use std::str::FromStr;

use graft_core::{Timestamp, WeakKey};

use crate::note::key::{KeyError, KeyName, KeyType, SignerKey, VerifierKey};
use crate::note::{SignatureLine, parse_lines};
use crate::{AuditError, Checkpoint, CheckpointError};

/// The secret key of a witness, with its name. Wiped from memory when dropped; `Debug` shows nothing of it.
///
/// It signs through a [`Witness`](crate::Witness) alone, which remembers what it signed before.
#[derive(Clone)]
pub struct WitnessSigner(SignerKey);

impl WitnessSigner {
    /// Keeps a copy of the 32 random bytes of an Ed25519 secret key, which no other witness and no log may
    /// have; wiping the original is the caller's part.
    ///
    /// # Errors
    /// [`WeakKey`] if the bytes are not random.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Result<Self, WeakKey> {
        Ok(Self(SignerKey::new(name, KeyType::Cosignature, seed)?))
    }

    /// A fresh key out of the operating system's randomness.
    ///
    /// # Errors
    /// [`AuditError::Randomness`] if the system has none to give.
    pub fn generate(name: KeyName) -> Result<Self, AuditError> {
        Ok(Self(SignerKey::generate(name, KeyType::Cosignature)?))
    }

    /// The secret key's bytes, to put them into a key store: the one door to them.
    pub fn expose_secret(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// The public half, to hand out.
    pub fn verifier(&self) -> WitnessVerifier {
        WitnessVerifier(self.0.verifier().clone())
    }

    /// The line that goes behind the checkpoint's signatures. The caller saw to it that no other tree of this
    /// log was ever signed that is not contained in this one, or contains it.
    pub(crate) fn cosign(&self, checkpoint: &Checkpoint, now: Timestamp) -> String {
        let time = now.0 / 1_000_000_000;
        let signature = self.0.sign(&message(time, checkpoint.note().text()));
        let bytes = [&time.to_be_bytes()[..], &signature].concat();
        SignatureLine::new(self.0.verifier(), bytes).to_string()
    }
}

impl fmt::Debug for WitnessSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessSigner({:?}, redacted)", self.0.verifier().name())
    }
}

/// The public key of a witness, with its name: `name+id+key`.
///
/// ```
/// use graft_audit::WitnessVerifier;
/// let text = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
/// assert_eq!(text.parse::<WitnessVerifier>()?.to_string(), text);
/// # Ok::<(), graft_audit::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessVerifier(VerifierKey);

impl WitnessVerifier {
    /// The witness's name.
    pub fn name(&self) -> &KeyName {
        self.0.name()
    }

    /// The time that a line of this witness's says, if the line is its own.
    fn time_of(&self, text: &str, line: &SignatureLine) -> Option<u64> {
        let (time, signature) = line.bytes.split_first_chunk()?;
        let time = u64::from_be_bytes(*time);
        let sound = i64::try_from(time).is_ok() && self.0.verifies(&message(time, text), signature);
        sound.then_some(time)
    }
}

impl FromStr for WitnessVerifier {
    type Err = KeyError;

    fn from_str(vkey: &str) -> Result<Self, KeyError> {
        Ok(Self(VerifierKey::parse(vkey, KeyType::Cosignature)?))
    }
}

impl fmt::Display for WitnessVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for WitnessVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessVerifier({self})")
    }
}

/// That a witness saw a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness.
    pub witness: KeyName,
    /// When it says that it did, in seconds since 1970-01-01T00:00:00Z: the latest time if it signed twice.
    /// Whether that is recent enough is for the caller to judge.
    pub unix_seconds: u64,
}

impl Checkpoint {
    /// Which of these witnesses cosigned the checkpoint, each key once. Lines of others are left aside.
    ///
    /// # Errors
    /// [`CheckpointError::Forged`] if a line says to be of one of them and is not.
    pub fn cosigned_by(&self, witnesses: &[WitnessVerifier]) -> Result<Vec<Cosigned>, CheckpointError> {
        self.judge(self.note().signatures(), witnesses)
    }

    /// Puts a witness's answer behind the signatures: those lines of it that are of these witnesses.
    ///
    /// # Errors
    /// [`CheckpointError::Note`] if the answer is not signature lines or there are too many,
    /// [`CheckpointError::Forged`] if one of them is not what it says. Then the checkpoint stays as it was.
    pub fn add_cosignatures(
        &mut self,
        answer: &str,
        witnesses: &[WitnessVerifier],
    ) -> Result<Vec<Cosigned>, CheckpointError> {
        let lines = parse_lines(answer)?;
        let seen = self.judge(&lines, witnesses)?;
        let known = |line: &SignatureLine| witnesses.iter().any(|witness| line.is_of(&witness.0));
        self.note_mut().add(lines.into_iter().filter(known).collect())?;
        Ok(seen)
    }

    fn judge(
        &self,
        lines: &[SignatureLine],
        witnesses: &[WitnessVerifier],
    ) -> Result<Vec<Cosigned>, CheckpointError> {
        let mut seen = Vec::new();
        for (at, witness) in witnesses.iter().enumerate() {
            let mut latest = None;
            for line in lines.iter().filter(|line| line.is_of(&witness.0)) {
                let time = witness.time_of(self.note().text(), line).ok_or(CheckpointError::Forged)?;
                latest = latest.max(Some(time));
            }
            // What is signed does not name the witness, so one key under two names would count twice.
            let counted = witnesses[..at].iter().any(|earlier| earlier.0.same_key(&witness.0));
            if let (Some(unix_seconds), false) = (latest, counted) {
                seen.push(Cosigned { witness: witness.name().clone(), unix_seconds });
            }
        }
        Ok(seen)
    }
}

/// What is signed: no checkpoint's text begins like it, since its second line is no number.
fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::tests::{ARCHE, ARCHE_NOTE, seed, signer};
    use crate::note::NoteError;
    use crate::{TreeHead, UnverifiedCheckpoint};

    // Keys of public witnesses, as their operators publish them.
    const WITNESSES: [&str; 4] = [
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    ];

    fn witness(name: &str, number: u8) -> WitnessSigner {
        WitnessSigner::new(name.parse().expect("a name"), &seed(number)).expect("random")
    }

    fn checkpoint() -> Checkpoint {
        signer("example.com/log", 1).sign(&TreeHead::EMPTY, &["more"]).expect("a sound extension")
    }

    #[test]
    fn the_cosignatures_of_public_witnesses_hold() {
        let verify = |note: &str| {
            let log = ARCHE.parse().expect("a key");
            UnverifiedCheckpoint::parse(note).expect("a checkpoint").verify(&log).expect("signed")
        };
        let keys = WITNESSES.map(|vkey| vkey.parse::<WitnessVerifier>().expect("a key"));
        let seen = verify(ARCHE_NOTE).cosigned_by(&keys).expect("none forged");
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|seen| seen.unix_seconds == 1_779_573_024), "{seen:?}");
        assert_eq!(verify(ARCHE_NOTE).cosigned_by(&[]), Ok(Vec::new()));

        let changed = ARCHE_NOTE.replace("2net5wAAAABqEiEg", "2net5wAAAABqEiEh");
        assert_eq!(verify(&changed).cosigned_by(&keys), Err(CheckpointError::Forged));
        assert_eq!(verify(&changed).cosigned_by(&keys[..2]).map(|seen| seen.len()), Ok(2));
    }

    #[test]
    fn a_cosignature_is_taken_in_once_and_from_known_witnesses() {
        let (one, two, other) = (witness("w/1", 1), witness("w/2", 2), witness("w/3", 3));
        let known = [one.verifier(), two.verifier()];
        let mut log = checkpoint();
        let lines =
            |witness: &WitnessSigner, seconds: u64| witness.cosign(&log, Timestamp(seconds * 1_000_000_000));
        let (early, late, second, strange) =
            (lines(&one, 5), lines(&one, 9), lines(&two, 7), lines(&other, 8));
        let seen = log.add_cosignatures(&format!("{strange}{early}{late}{early}"), &known).expect("sound");
        assert_eq!(seen, [Cosigned { witness: one.verifier().name().clone(), unix_seconds: 9 }]);
        log.add_cosignatures(&second, &known).expect("sound");
        log.add_cosignatures(&second, &known).expect("sound");
        assert_eq!(log.to_string(), format!("{}{early}{late}{second}", checkpoint()));
        assert_eq!(log.cosigned_by(&known).map(|seen| seen.len()), Ok(2));
        assert_eq!(log.cosigned_by(&[other.verifier()]), Ok(Vec::new()));
    }

    #[test]
    fn one_key_under_two_names_counts_once() {
        let (one, alias) = (witness("w/1", 1), witness("w/alias", 1));
        let known = [one.verifier(), alias.verifier(), one.verifier()];
        let mut log = checkpoint();
        let both = [one, alias].map(|signer| signer.cosign(&log, Timestamp(0))).concat();
        assert_eq!(log.add_cosignatures(&both, &known).map(|seen| seen.len()), Ok(1));
        assert_eq!(log.cosigned_by(&known).map(|seen| seen.len()), Ok(1));
    }

    #[test]
    fn hostile_answers_leave_the_checkpoint_as_it_was() {
        let one = witness("w/1", 1);
        let known = [one.verifier()];
        let mut log = checkpoint();
        let line = one.cosign(&log, Timestamp(0));
        let of_another =
            one.cosign(&signer("other", 1).sign(&TreeHead::EMPTY, &[]).expect("sound"), Timestamp(0));
        // An honest signature by the same key as a log's, in a witness's name.
        let as_log = signer("w/1", 1).sign(&TreeHead::EMPTY, &[]).expect("sound").to_string();
        let as_log = format!("{}\n", as_log.lines().last().expect("a line"));
        let mut short = SignatureLine::parse(line.trim_end()).expect("a line");
        short.bytes.truncate(7);
        // Rightly signed, as no time may be.
        let future =
            [&(1_u64 << 63).to_be_bytes()[..], &one.0.sign(&message(1 << 63, log.note().text()))].concat();
        let future = SignatureLine::new(one.0.verifier(), future);
        let note = CheckpointError::Note;
        for (what, answer, why) in [
            ("nothing", String::new(), note(NoteError::NoSignatures)),
            ("no newline", line.trim_end().to_owned(), note(NoteError::NoSignatures)),
            ("empty line", format!("{line}\n"), note(NoteError::Signature { line: 2 })),
            ("a page", "<html>\n".to_owned(), note(NoteError::Signature { line: 1 })),
            ("33 lines", line.repeat(33), note(NoteError::TooManySignatures)),
            ("too long", format!("— a {}\n", "A".repeat(70_000)), note(NoteError::TooLong)),
            ("of another checkpoint", of_another, CheckpointError::Forged),
            ("too short for a time", short.to_string(), CheckpointError::Forged),
            ("time of 2^63", future.to_string(), CheckpointError::Forged),
        ] {
            assert_eq!(log.add_cosignatures(&answer, &known).err(), Some(why), "{what}");
        }
        assert_eq!(log.add_cosignatures(&as_log, &known), Ok(Vec::new()));
        assert_eq!(log, checkpoint());
    }
}
