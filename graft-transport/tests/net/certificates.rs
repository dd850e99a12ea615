//! Certificates made for a test.

use ed25519_dalek::Signer;
use graft_transport::net::tls::{TlsIdentity, TlsRoots};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    SerialNumber, date_time_ymd,
};

/// A key that signs with the family's own Ed25519, so that no other provider is needed.
pub(crate) struct Key {
    secret: ed25519_dalek::SigningKey,
    public: [u8; 32],
}

impl Key {
    fn new() -> Self {
        use std::hash::BuildHasher;
        let random = std::hash::RandomState::new();
        let seed: [[u8; 8]; 4] = std::array::from_fn(|i| random.hash_one(i).to_le_bytes());
        let secret = ed25519_dalek::SigningKey::from_bytes(seed.as_flattened().try_into().expect("32 bytes"));
        let public = secret.verifying_key().to_bytes();
        Self { secret, public }
    }

    /// PKCS #8 (RFC 8410, section 7).
    fn der(&self) -> Vec<u8> {
        const HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        [&HEAD[..], &self.secret.to_bytes()].concat()
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.secret.sign(message).to_bytes().to_vec())
    }
}

/// A root that signs.
pub(crate) struct Authority {
    issuer: Issuer<'static, Key>,
    pub(crate) der: Vec<u8>,
}

/// A certificate and its key.
pub(crate) struct Made {
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) key: Vec<u8>,
}

/// Which days a certificate is for.
#[derive(Clone, Copy)]
pub(crate) enum Days {
    Past,
    Now,
    Future,
}

fn params(name: &str, days: Days) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    params.serial_number = Some(SerialNumber::from(7));
    let (from, to) = match days {
        Days::Past => (2000, 2001),
        Days::Now => (2000, 4000),
        Days::Future => (3000, 4000),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name, Days::Now);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = Key::new();
        let der = params.self_signed(&key).expect("signed").der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    pub(crate) fn roots(&self) -> TlsRoots {
        TlsRoots::from_der([self.der.clone()]).expect("a root")
    }

    pub(crate) fn certificate(&self, name: &str, days: Days, usage: ExtendedKeyUsagePurpose) -> Made {
        let mut params = params(name, days);
        params.extended_key_usages = vec![usage];
        let key = Key::new();
        let chain = vec![params.signed_by(&key, &self.issuer).expect("signed").der().to_vec()];
        Made { chain, key: key.der() }
    }

    pub(crate) fn server(&self) -> Made {
        self.certificate("localhost", Days::Now, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(crate) fn client(&self) -> Made {
        self.certificate("ann", Days::Now, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

impl Made {
    /// A certificate that nobody but its own key vouches for.
    pub(crate) fn self_signed() -> Self {
        let key = Key::new();
        let der = params("localhost", Days::Now).self_signed(&key).expect("signed").der().to_vec();
        Self { chain: vec![der], key: key.der() }
    }

    pub(crate) fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_der(self.chain.clone(), self.key.clone()).expect("an identity")
    }
}

/// RFC 7468.
pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (i, three) in der.chunks(3).enumerate() {
        if i % 16 == 0 {
            text.push('\n');
        }
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for j in 0..4 {
            text.push(if j <= three.len() {
                LETTERS[(bits >> (18 - 6 * j) & 63) as usize].into()
            } else {
                '='
            });
        }
    }
    format!("-----BEGIN {label}-----{text}\n-----END {label}-----\n")
}
