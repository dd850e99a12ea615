//! What went wrong in TLS, in words that stay.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// Why two ends did not agree on TLS. It holds no name and no byte of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsFault {
    /// This end refused the peer's certificate.
    #[error("this end refused the peer's certificate")]
    Certificate(#[source] CertificateFault),
    /// The peer showed no certificate, and this end requires one; give the client an identity.
    #[error("the peer showed no certificate; give it an identity that this end's roots know")]
    NoCertificate,
    /// The peer refused this end's certificate, by the alert that it sent.
    #[error(
        "the peer refused this end's certificate ({0}); give this end an identity that the peer's roots know"
    )]
    Refused(&'static str),
    /// The ends have no version, cipher or application protocol in common.
    #[error("the two ends have no version, cipher or application protocol in common")]
    NothingInCommon,
    /// What answers there does not speak TLS.
    #[error("the peer does not speak TLS; check the port and that both ends are set to TLS")]
    NotTls,
    /// The peer broke the protocol or gave up.
    #[error("the peer broke the TLS protocol or gave up")]
    Broken,
}

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It is for another name than the one that was dialled.
    #[error("the certificate is for another name than the one that was dialled")]
    WrongName,
    /// It, or one above it, has expired; it has to be renewed.
    #[error("the certificate has expired; it has to be renewed")]
    Expired,
    /// It, or one above it, is not valid yet; check the clocks.
    #[error("the certificate is not valid yet; check the clocks of both ends")]
    NotYetValid,
    /// No configured root vouches for it, as for one that is signed by itself.
    #[error("no configured root vouches for the certificate; add its root if you trust it")]
    UnknownIssuer,
    /// It is not made for this use, such as a server's shown by a client.
    #[error("the certificate is not made for this use")]
    WrongPurpose,
    /// A signature does not fit, or is of a kind that is not taken.
    #[error("a signature of the certificate or by its key does not fit")]
    BadSignature,
    /// It cannot be read, or has what this end does not know.
    #[error("the certificate cannot be read")]
    Malformed,
}

impl TlsFault {
    /// The fault inside an error of a stream, if it is one of TLS.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().map(Self::from_rustls)
    }

    /// The same in one word, which does not change between versions: `no-certificate`, `refused`,
    /// `nothing-in-common`, `not-tls`, `broken`, or that of the [`CertificateFault`].
    pub fn reason(self) -> &'static str {
        match self {
            Self::Certificate(fault) => fault.reason(),
            Self::NoCertificate => "no-certificate",
            Self::Refused(_) => "refused",
            Self::NothingInCommon => "nothing-in-common",
            Self::NotTls => "not-tls",
            Self::Broken => "broken",
        }
    }

    fn from_rustls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Certificate(CertificateFault::from_rustls(error)),
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(alert) => Self::from_alert(*alert),
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::NothingInCommon,
            Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Broken,
        }
    }

    fn from_alert(alert: AlertDescription) -> Self {
        use AlertDescription as A;
        match alert {
            A::NoCertificate | A::CertificateRequired => Self::Refused("certificate-required"),
            A::BadCertificate => Self::Refused("bad-certificate"),
            A::UnsupportedCertificate => Self::Refused("unsupported-certificate"),
            A::CertificateRevoked => Self::Refused("revoked"),
            A::CertificateExpired => Self::Refused("expired"),
            A::CertificateUnknown => Self::Refused("certificate-unknown"),
            A::UnknownCA => Self::Refused("unknown-issuer"),
            A::DecryptError => Self::Refused("bad-signature"),
            A::AccessDenied => Self::Refused("access-denied"),
            A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity | A::NoApplicationProtocol => {
                Self::NothingInCommon
            }
            _ => Self::Broken,
        }
    }
}

impl CertificateFault {
    /// The same in one word, which does not change between versions: `wrong-name`, `expired`, `not-yet-valid`,
    /// `unknown-issuer`, `wrong-purpose`, `bad-signature` or `malformed`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::WrongName => "wrong-name",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::UnknownIssuer => "unknown-issuer",
            Self::WrongPurpose => "wrong-purpose",
            Self::BadSignature => "bad-signature",
            Self::Malformed => "malformed",
        }
    }

    fn from_rustls(error: &CertificateError) -> Self {
        use CertificateError as E;
        match error {
            E::NotValidForName | E::NotValidForNameContext { .. } => Self::WrongName,
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::WrongPurpose,
            E::BadSignature
            | E::UnsupportedSignatureAlgorithmContext { .. }
            | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::BadSignature,
            _ => Self::Malformed,
        }
    }
}
